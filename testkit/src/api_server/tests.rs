//! What only the double can do: its clock, its faults, its log. That it is an API server at all is held by
//! `conformance`.

use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::ApiResource;
use kube::runtime::watcher::{self, watcher};
use kube::{Client, ResourceExt as _};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::{ApiServer, Disturbance, Staleness, Verb, on, on_status_writes, on_writes};
use crate::conformance;

fn server() -> ApiServer {
    let server = ApiServer::new("2026-11-22T09:00:00Z".parse().unwrap());
    server.install_crd(serde_json::from_value(conformance::parcel_definition()).unwrap());
    server
}

fn parcels(client: Client) -> Api<DynamicObject> {
    let kind = ApiResource {
        group: conformance::GROUP.to_owned(),
        version: "v1".to_owned(),
        api_version: format!("{}/v1", conformance::GROUP),
        kind: "Parcel".to_owned(),
        plural: "parcels".to_owned(),
    };
    Api::namespaced_with(client, "default", &kind)
}

async fn post(api: &Api<DynamicObject>, name: &str) -> kube::Result<DynamicObject> {
    let object = json!({
        "apiVersion": format!("{}/v1", conformance::GROUP), "kind": "Parcel",
        "metadata": {"name": name}, "spec": {"label": "a"},
    });
    api.create(&PostParams::default(), &serde_json::from_value(object).unwrap())
        .await
}

async fn names(api: &Api<DynamicObject>, parameters: &ListParams) -> String {
    let list = api.list(parameters).await.unwrap();
    list.iter()
        .map(kube::ResourceExt::name_any)
        .collect::<Vec<_>>()
        .join(" ")
}

fn created(object: &DynamicObject) -> String {
    object.creation_timestamp().unwrap().0.to_string()
}

fn code(result: kube::Result<DynamicObject>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_double_conforms() {
    let server = ApiServer::new("2026-11-22T09:00:00Z".parse().unwrap());
    let failures = conformance::run_all(server.client(), "conformance").await;
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test(start_paused = true)]
async fn times_follow_the_paused_clock_and_identities_repeat_from_run_to_run() {
    let (first, second) = (server(), server());
    sleep(Duration::from_hours(24)).await;
    let object = post(&parcels(first.client()), "a").await.unwrap();
    assert_eq!(created(&object), "2026-11-23T09:00:00Z");
    let twin = post(&parcels(second.client()), "a").await.unwrap();
    assert_eq!(object.uid(), twin.uid());
}

#[tokio::test(start_paused = true)]
async fn a_disturbance_befalls_so_many_of_the_requests_it_was_meant_for() {
    let server = server();
    let api = parcels(server.client());
    server.disturb(2, on(Verb::Create, "parcels"), Disturbance::refused(500));
    assert_eq!(code(post(&api, "a").await), 500);
    assert_eq!(names(&api, &ListParams::default()).await, "");
    assert_eq!(code(post(&api, "a").await), 500);
    post(&api, "a").await.unwrap();
    server.disturb(1, on_status_writes("parcels"), Disturbance::refused(409));
    let patch = Patch::Merge(json!({"metadata": {"labels": {"a": "b"}}}));
    api.patch("a", &PatchParams::default(), &patch).await.unwrap();
    let patch = Patch::Merge(json!({"status": {"phase": "Sent"}}));
    assert_eq!(
        code(api.patch_status("a", &PatchParams::default(), &patch).await),
        409
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_can_be_lost_though_the_request_took_effect() {
    let server = server();
    let api = parcels(server.client());
    for (name, disturbance, there) in [
        ("a", Disturbance::lost(), false),
        ("b", Disturbance::answer_lost(), true),
        ("c", Disturbance::done_but_refused(504), true),
    ] {
        server.disturb(1, on_writes(), disturbance);
        post(&api, name).await.unwrap_err();
        assert_eq!(api.get_opt(name).await.unwrap().is_some(), there, "{name}");
    }
    for (name, disturbance, there) in [
        ("d", Disturbance::ignored(), false),
        ("e", Disturbance::done_in_silence(), true),
    ] {
        server.disturb(1, on_writes(), disturbance);
        timeout(Duration::from_hours(1), post(&api, name))
            .await
            .expect_err("nobody answers");
        assert_eq!(api.get_opt(name).await.unwrap().is_some(), there, "{name}");
    }
    let outcomes: Vec<(u16, bool)> = server
        .requests()
        .iter()
        .filter(|request| request.is_write)
        .map(|r| (r.code, r.changed))
        .collect();
    assert_eq!(
        outcomes,
        [(0, false), (0, true), (504, true), (0, false), (0, true)]
    );
    assert_eq!(server.writes().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn requests_and_answers_can_be_late() {
    let server = server();
    let api = parcels(server.client());
    let minute = Duration::from_mins(1);
    let start = Instant::now();
    server.disturb(1, on_writes(), Disturbance::late(minute));
    let late = post(&api, "a").await.unwrap();
    assert_eq!(
        (start.elapsed(), created(&late).as_str()),
        (minute, "2026-11-22T09:01:00Z")
    );
    server.disturb(1, on_writes(), Disturbance::answered_late(minute));
    let answered_late = post(&api, "b").await.unwrap();
    assert_eq!(
        (start.elapsed(), created(&answered_late).as_str()),
        (2 * minute, "2026-11-22T09:01:00Z")
    );
}

#[tokio::test(start_paused = true)]
async fn a_late_write_arrives_though_its_sender_is_gone() {
    let server = server();
    let api = parcels(server.client());
    server.disturb(1, on_writes(), Disturbance::late(Duration::from_mins(1)));
    timeout(Duration::from_secs(1), post(&api, "a"))
        .await
        .expect_err("still on its way");
    assert!(api.get_opt("a").await.unwrap().is_none());
    sleep(Duration::from_mins(1)).await;
    assert!(api.get_opt("a").await.unwrap().is_some());
    assert_eq!(server.writes().len(), 1, "it is on record all the same");
}

#[tokio::test(start_paused = true)]
async fn a_client_with_retries_waits_as_long_as_the_server_asks() {
    let server = server();
    let retries = kube::client::retry::RetryPolicy::server_retry();
    let service = tower::retry::Retry::new(retries, server.service());
    let api = parcels(server.client_over(service));
    server.disturb(2, on_writes(), Disturbance::refused_for(429, 30));
    let start = Instant::now();
    post(&api, "a").await.unwrap();
    assert!(start.elapsed() >= Duration::from_mins(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn reads_can_come_from_the_past() {
    let server = server();
    let api = parcels(server.client());
    for name in ["a", "b", "c"] {
        post(&api, name).await.unwrap();
    }
    server.read_from_the_past(Staleness::WhereAllowed(2));
    assert_eq!(
        names(&api, &ListParams::default()).await,
        "a b c",
        "a consistent read is consistent"
    );
    assert_eq!(names(&api, &ListParams::default().match_any()).await, "a");
    server.read_from_the_past(Staleness::Everywhere(1));
    assert_eq!(names(&api, &ListParams::default()).await, "a b");
    assert!(api.get_opt("c").await.unwrap().is_none());
    server.calm();
    assert!(api.get_opt("c").await.unwrap().is_some());
}

/// Names of the objects a raw watch shows until nothing more comes for a second.
async fn seen(api: &Api<DynamicObject>, from: &str) -> String {
    let mut events = api.watch(&WatchParams::default(), from).await.unwrap().boxed();
    let mut seen = Vec::new();
    while let Ok(Some(event)) = timeout(Duration::from_secs(1), events.next()).await {
        match event.unwrap() {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => seen.push(object.name_any()),
            WatchEvent::Error(status) => seen.push(status.code.to_string()),
            other @ (WatchEvent::Deleted(_) | WatchEvent::Bookmark(_)) => panic!("{other:?}"),
        }
    }
    seen.join(" ")
}

#[tokio::test(start_paused = true)]
async fn events_can_be_late_and_repeated_and_history_forgotten() {
    let server = server();
    let api = parcels(server.client());
    let from = post(&api, "a").await.unwrap().resource_version().unwrap();
    server.delay_events("parcels", Duration::from_mins(1));
    post(&api, "b").await.unwrap();
    assert_eq!(seen(&api, &from).await, "");
    sleep(Duration::from_secs(59)).await;
    assert_eq!(seen(&api, &from).await, "b");
    server.calm();
    server.repeat_events(true);
    assert_eq!(seen(&api, &from).await, "b b");
    server.compact();
    assert_eq!(seen(&api, &from).await, "410");
}

#[tokio::test(start_paused = true)]
async fn a_watcher_finds_out_what_it_missed_while_it_was_cut_off() {
    let server = server();
    let api = parcels(server.client());
    post(&api, "a").await.unwrap();
    let mut events = watcher(api.clone(), watcher::Config::default()).boxed();
    let mut next = async || loop {
        match timeout(Duration::from_mins(10), events.next())
            .await
            .unwrap()
            .unwrap()
        {
            Ok(watcher::Event::Init) | Err(_) => {}
            Ok(event) => return event,
        }
    };
    assert!(matches!(next().await, watcher::Event::InitApply(object) if object.name_any() == "a"));
    assert!(matches!(next().await, watcher::Event::InitDone));
    server.disturb_by(|call| (call.verb == Verb::Watch).then(|| Disturbance::refused(503)));
    server.cut_watches();
    post(&api, "b").await.unwrap();
    api.delete("a", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    server.compact();
    server.calm();
    assert!(matches!(next().await, watcher::Event::InitApply(object) if object.name_any() == "b"));
    assert!(matches!(next().await, watcher::Event::InitDone));
}

#[tokio::test(start_paused = true)]
async fn a_layer_around_the_service_sees_every_request() {
    let server = server();
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = {
        let seen = std::sync::Arc::clone(&seen);
        tower::ServiceExt::map_request(server.service(), move |request| {
            seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            request
        })
    };
    let api = parcels(server.client_over(counted));
    post(&api, "a").await.unwrap();
    api.get("a").await.unwrap();
    assert_eq!(seen.load(std::sync::atomic::Ordering::Relaxed), 2);
    assert_eq!(server.requests().len(), 2);
    assert_eq!(server.objects(conformance::GROUP, "parcels", None).len(), 1);
}
