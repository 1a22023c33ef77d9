//! The tenant behind a socket.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use crate::control::endpoints;
use crate::journal::JournalEntry;
use crate::simulator::{Dropped, Simulator};

/// Connections served at a time; more wait to be accepted.
const CONNECTIONS: usize = 512;

/// Bytes of a request's body; more is answered with 413.
const BODY: usize = 4 << 20;

/// Called with every new journal entry.
pub type Observer = Arc<dyn Fn(&JournalEntry) + Send + Sync>;

/// Serves the tenant, and its control endpoints under `/_simulator/`, until `stop` completes; then
/// closes every connection. Plain HTTP: meant for loopback and test networks.
///
/// An answer that a fault loses is a connection closed without one.
pub async fn serve(
    simulator: Simulator,
    listener: TcpListener,
    observer: Option<Observer>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let watch = Arc::new(Watch {
        observer,
        reported: parking_lot::Mutex::new(0),
    });
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        while connections.try_join_next().is_some() {}
        let slot = tokio::select! {
            () = &mut stop => return Ok(()),
            slot = Arc::clone(&slots).acquire_owned() => slot.map_err(io::Error::other)?,
        };
        let stream = tokio::select! {
            () = &mut stop => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match stream {
            Ok((stream, _)) => {
                connections.spawn(connection(simulator.clone(), Arc::clone(&watch), stream, slot));
            }
            // Out of file descriptors and the like: the next one may do better.
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Passes new journal entries on, each once and in order.
struct Watch {
    observer: Option<Observer>,
    reported: parking_lot::Mutex<u64>,
}

impl Watch {
    fn report(&self, simulator: &Simulator) {
        let Some(observer) = &self.observer else { return };
        let mut reported = self.reported.lock();
        for entry in simulator.control().journal_since(*reported) {
            observer(&entry);
            *reported = entry.sequence;
        }
    }
}

async fn connection(simulator: Simulator, watch: Arc<Watch>, stream: TcpStream, slot: OwnedSemaphorePermit) {
    let _slot = slot;
    let service = service_fn(|request: Request<Incoming>| {
        let (simulator, watch) = (simulator.clone(), Arc::clone(&watch));
        async move {
            let answer = answer(&simulator, request).await;
            watch.report(&simulator);
            answer
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn answer(simulator: &Simulator, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Dropped> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY).collect().await else {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return Ok(response);
    };
    let request = Request::from_parts(parts, body.to_bytes());
    let response = if request.uri().path().starts_with(endpoints::ROOT) {
        endpoints::answer(&simulator.control(), &request)
    } else {
        simulator.handle(request).await?
    };
    Ok(response.map(Full::new))
}
