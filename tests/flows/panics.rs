//! Bugs that panic in the middle of the work: the work continues, and what a panic prints shows no secret.

use std::panic;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use http::{HeaderMap, Method, Uri};
use shared_mailbox_operator::exchange::HttpService;
use simulator::Seed;
use tower::ServiceExt;

use testkit::canary::{TOKEN, found_in};
use testkit::simulation::Secrets;
use testkit::{World, in_process, mailbox, permission, tenant};

/// What panics of this thread print while it lives.
struct Printed {
    text: Arc<Mutex<String>>,
    over: Arc<AtomicBool>,
}

impl Printed {
    fn watch() -> Self {
        let (text, over) = (Arc::<Mutex<String>>::default(), Arc::<AtomicBool>::default());
        let (kept, ended, ours) = (Arc::clone(&text), Arc::clone(&over), thread::current().id());
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panicked| {
            if thread::current().id() == ours && !ended.load(Ordering::SeqCst) {
                kept.lock().unwrap().push_str(&panicked.to_string());
            } else {
                before(panicked);
            }
        }));
        Self { text, over }
    }

    fn text(self) -> String {
        self.over.store(true, Ordering::SeqCst);
        self.text.lock().unwrap().clone()
    }
}

impl Drop for Printed {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if thread::panicking() {
            eprintln!("{}", self.text.lock().unwrap());
        }
    }
}

/// Panics the first time, and shows what an HTTP stack that panics would show.
#[derive(Clone, Default)]
struct Bug(Arc<AtomicUsize>);

impl Bug {
    fn strike(&self, method: &Method, uri: &Uri, headers: &HeaderMap) {
        let earlier = self.0.fetch_add(1, Ordering::SeqCst);
        assert!(earlier > 0, "a bug while sending {method} {uri} with {headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_any_request_shows_no_secret_and_the_work_continues() {
    let logs = Secrets::default();
    let _logging = logs.watch_logs();
    let printed = Printed::watch();
    let mut world = World::without_operator(Seed::contoso()).await;
    world.apply(&tenant()).await;

    let (token, cmdlet, graph, status) = (Bug::default(), Bug::default(), Bug::default(), Bug::default());
    let struck = [&token, &cmdlet, &graph, &status].map(|bug| Arc::clone(&bug.0));
    let simulator = world.simulator.clone();
    let http = HttpService::new(tower::service_fn(move |request: http::Request<bytes::Bytes>| {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        if uri.path().ends_with("/token") {
            token.strike(method, uri, headers);
        } else if uri.path().starts_with("/v1.0/") {
            graph.strike(method, uri, headers);
        } else {
            cmdlet.strike(method, uri, headers);
        }
        in_process(&simulator).oneshot(request)
    }));
    let server = world.server.service();
    let client = world.server.client_over(tower::service_fn(
        move |request: http::Request<kube::client::Body>| {
            let (server, status) = (server.clone(), status.clone());
            // Where the caller waits: a panic at the time of the call would end the client's own worker.
            async move {
                if request.uri().path().ends_with("/status") {
                    status.strike(request.method(), request.uri(), request.headers());
                }
                server.oneshot(request).await
            }
        },
    ));
    world.start_operator_over(client, http);
    world.apply(&mailbox("sales", "sales@contoso.com")).await;
    let members = ["first.member@contoso.com"];
    world
        .apply(&permission("team", "sales", &members, &["FullAccess", "SendAs"]))
        .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    world.stop_operator().await;

    let printed = printed.text();
    assert_eq!(
        printed.matches("a bug while sending").count(),
        struck.len(),
        "{printed}"
    );
    assert!(printed.contains("\"authorization\": Sensitive"), "{printed}");
    for secret in ["simulated-secret", TOKEN] {
        assert_eq!(found_in(printed.as_bytes(), secret), None);
    }
    assert_eq!(logs.found(), Vec::<String>::new());
}
