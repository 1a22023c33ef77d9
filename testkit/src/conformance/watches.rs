//! Watches: order, starting points, selectors, bookmarks, ends.

use std::pin::pin;
use std::time::Duration;

use futures::{Stream, StreamExt as _, TryStreamExt as _};
use kube::api::{
    DeleteParams, DynamicObject, ListParams, PartialObjectMeta, Patch, PatchParams, PostParams, WatchEvent,
    WatchParams,
};
use kube::runtime::watcher::{self, watcher};
use kube::{Resource, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::bench::{Bench, RawAnswer, version};

/// Longer than an event takes to arrive.
const SOON: Duration = Duration::from_secs(30);

/// The next event in short: what happened to which object, and its generation; bookmarks are passed over.
async fn next<K: Resource + Clone>(
    events: &mut (impl Stream<Item = kube::Result<WatchEvent<K>>> + Unpin),
) -> String {
    loop {
        let event = timeout(SOON, events.next())
            .await
            .expect("an event in time")
            .expect("the watch continues")
            .unwrap();
        match event {
            WatchEvent::Added(object) => return format!("added {}", object.name_any()),
            WatchEvent::Modified(object) => return format!("modified {}", object.name_any()),
            WatchEvent::Deleted(object) => return format!("deleted {}", object.name_any()),
            WatchEvent::Error(status) => return format!("error {}", status.code),
            WatchEvent::Bookmark(_) => {}
        }
    }
}

async fn relabel(bench: &Bench, name: &str, colour: Value) -> DynamicObject {
    let patch = Patch::Merge(json!({"metadata": {"labels": {"colour": colour}}}));
    bench
        .parcels()
        .patch(name, &PatchParams::default(), &patch)
        .await
        .unwrap()
}

async fn list_version(bench: &Bench) -> String {
    bench
        .parcels()
        .list(&ListParams::default())
        .await
        .unwrap()
        .metadata
        .resource_version
        .unwrap()
}

pub async fn a_watch_shows_additions_changes_and_deletions_in_order(bench: Bench) {
    let from = list_version(&bench).await;
    let mut events = bench
        .parcels()
        .watch(&WatchParams::default(), &from)
        .await
        .unwrap()
        .boxed();
    let created = bench.small_parcel("a").await;
    let changed = relabel(&bench, "a", json!("red")).await;
    bench
        .parcels()
        .delete("a", &DeleteParams::default())
        .await
        .unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let event = timeout(SOON, events.try_next()).await.unwrap().unwrap().unwrap();
        match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) | WatchEvent::Deleted(object) => {
                seen.push(object);
            }
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(status) => panic!("{status:?}"),
        }
    }
    assert_eq!(seen[0], created);
    assert_eq!(seen[1], changed);
    assert_eq!(
        seen[2].labels()["colour"],
        "red",
        "a deletion shows the last state"
    );
    let revision = |object: &DynamicObject| version(object).parse::<u64>().unwrap();
    assert!(
        revision(&seen[2]) > revision(&seen[1]),
        "at the revision of the deletion"
    );
}

pub async fn a_watch_from_a_list_misses_nothing(bench: Bench) {
    bench.small_parcel("before").await;
    let from = list_version(&bench).await;
    bench.small_parcel("between").await;
    let mut events = bench
        .parcels()
        .watch(&WatchParams::default(), &from)
        .await
        .unwrap()
        .boxed();
    bench.small_parcel("after").await;
    assert_eq!(next(&mut events).await, "added between");
    assert_eq!(next(&mut events).await, "added after");
}

pub async fn a_watch_from_zero_starts_with_what_is_there(bench: Bench) {
    bench.small_parcel("a").await;
    bench.small_parcel("b").await;
    list_version(&bench).await;
    let mut events = bench
        .parcels()
        .watch(&WatchParams::default(), "0")
        .await
        .unwrap()
        .boxed();
    let mut seen = [next(&mut events).await, next(&mut events).await];
    seen.sort();
    assert_eq!(seen, ["added a", "added b"]);
    bench.small_parcel("c").await;
    assert_eq!(next(&mut events).await, "added c");
}

pub async fn a_streaming_list_ends_with_its_bookmark(bench: Bench) {
    bench.small_parcel("a").await;
    let last = bench.small_parcel("b").await;
    let all = WatchParams::default().initial_events();
    let mut events = bench.parcels().watch(&all, "").await.unwrap().boxed();
    let mut seen = [next(&mut events).await, next(&mut events).await];
    seen.sort();
    assert_eq!(seen, ["added a", "added b"]);
    let event = timeout(SOON, events.try_next()).await.unwrap().unwrap().unwrap();
    let WatchEvent::Bookmark(bookmark) = event else {
        panic!("expected the end of the list, got {event:?}")
    };
    assert_eq!(bookmark.metadata.annotations["k8s.io/initial-events-end"], "true");
    let revision: u64 = bookmark.metadata.resource_version.parse().unwrap();
    assert!(revision >= version(&last).parse().unwrap());
    bench.small_parcel("c").await;
    assert_eq!(next(&mut events).await, "added c");
}

pub async fn initial_events_need_a_version_match(bench: Bench) {
    let path = format!(
        "{}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true",
        bench.path("")
    );
    let RawAnswer { code, body: answer } = bench.raw("GET", &path, "", &Value::Null).await;
    assert_eq!(code, 422, "{answer}");
    assert_eq!(
        answer["message"],
        "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting \
         resourceVersionMatch to NotOlderThan"
    );
}

pub async fn a_selecting_watch_shows_entering_and_leaving(bench: Bench) {
    let from = list_version(&bench).await;
    let red = WatchParams::default().labels("colour=red");
    let mut events = bench.parcels().watch(&red, &from).await.unwrap().boxed();
    bench.small_parcel("a").await;
    relabel(&bench, "a", json!("red")).await;
    bench.small_parcel("b").await;
    let patch = Patch::Merge(json!({"spec": {"label": "b"}}));
    bench
        .parcels()
        .patch("a", &PatchParams::default(), &patch)
        .await
        .unwrap();
    let left = relabel(&bench, "a", json!("blue")).await;
    assert_eq!(next(&mut events).await, "added a");
    assert_eq!(next(&mut events).await, "modified a");
    let event = timeout(SOON, events.try_next()).await.unwrap().unwrap().unwrap();
    let WatchEvent::Deleted(last) = event else {
        panic!("expected a deletion, got {event:?}")
    };
    assert_eq!(last.labels()["colour"], "red", "shown as it last matched");
    assert_eq!(version(&last), version(&left), "at the revision at which it left");
}

pub async fn a_watch_of_one_namespace_sees_no_other(bench: Bench) {
    let other = Bench::new(bench.client.clone(), format!("{}-other", bench.namespace)).await;
    let from = list_version(&bench).await;
    let mut events = bench
        .parcels()
        .watch(&WatchParams::default(), &from)
        .await
        .unwrap()
        .boxed();
    other.small_parcel("elsewhere").await;
    bench.small_parcel("here").await;
    assert_eq!(next(&mut events).await, "added here");
}

pub async fn a_watch_ends_after_its_timeout(bench: Bench) {
    let from = list_version(&bench).await;
    let short = WatchParams::default().timeout(1);
    let mut events = bench.parcels().watch(&short, &from).await.unwrap().boxed();
    let end = timeout(SOON, async {
        while let Some(event) = events.next().await {
            assert!(matches!(event, Ok(WatchEvent::Bookmark(_))), "{event:?}");
        }
    });
    end.await.expect("the watch ends by itself");
}

pub async fn a_watch_of_metadata_shows_only_metadata(bench: Bench) {
    let from = list_version(&bench).await;
    let mut events = bench
        .parcels()
        .watch_metadata(&WatchParams::default(), &from)
        .await
        .unwrap()
        .boxed();
    let created = bench.small_parcel("a").await;
    let event = timeout(SOON, events.try_next()).await.unwrap().unwrap().unwrap();
    let WatchEvent::Added(partial) = event else {
        panic!("expected an addition, got {event:?}")
    };
    let partial: PartialObjectMeta<DynamicObject> = partial;
    assert_eq!(partial.metadata, created.metadata);
    assert_eq!(partial.types.unwrap().kind, "PartialObjectMetadata");
}

pub async fn a_write_that_changes_nothing_causes_no_event(bench: Bench) {
    let object = bench.small_parcel("a").await;
    let from = list_version(&bench).await;
    let mut events = bench
        .parcels()
        .watch(&WatchParams::default(), &from)
        .await
        .unwrap()
        .boxed();
    bench
        .parcels()
        .replace("a", &PostParams::default(), &object)
        .await
        .unwrap();
    let patch = Patch::Merge(json!({"spec": {"label": "a"}}));
    bench
        .parcels()
        .patch("a", &PatchParams::default(), &patch)
        .await
        .unwrap();
    bench.small_parcel("b").await;
    assert_eq!(next(&mut events).await, "added b");
}

pub async fn removing_the_last_finalizer_shows_a_deletion(bench: Bench) {
    let metadata = json!({"name": "a", "finalizers": ["example.com/x"]});
    bench
        .create(json!({"metadata": metadata, "spec": {"label": "a"}}))
        .await;
    let from = list_version(&bench).await;
    let mut events = bench
        .parcels()
        .watch(&WatchParams::default(), &from)
        .await
        .unwrap()
        .boxed();
    bench
        .parcels()
        .delete("a", &DeleteParams::default())
        .await
        .unwrap();
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    bench
        .parcels()
        .patch("a", &PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_eq!(next(&mut events).await, "modified a");
    let event = timeout(SOON, events.try_next()).await.unwrap().unwrap().unwrap();
    let WatchEvent::Deleted(last) = event else {
        panic!("expected a deletion, got {event:?}")
    };
    assert!(last.metadata.deletion_timestamp.is_some());
}

/// The next few events of a watcher, without those of the initial list's frame.
async fn follow(
    events: &mut (impl Stream<Item = watcher::Result<watcher::Event<DynamicObject>>> + Unpin),
    count: usize,
) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let event = timeout(SOON, events.next())
            .await
            .expect("an event in time")
            .expect("a watcher never ends")
            .unwrap();
        match event {
            watcher::Event::Apply(object) => seen.push(format!("apply {}", object.name_any())),
            watcher::Event::Delete(object) => seen.push(format!("delete {}", object.name_any())),
            watcher::Event::InitApply(object) => seen.push(format!("list {}", object.name_any())),
            watcher::Event::InitDone => seen.push("listed".to_owned()),
            watcher::Event::Init => {}
        }
    }
    seen
}

pub async fn kubes_watcher_follows_a_collection(bench: Bench) {
    for config in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        bench.small_parcel("a").await;
        let mut events = pin!(watcher(bench.parcels(), config));
        let first = follow(&mut events, 2).await;
        // A busy server may begin from a cache that is a moment behind; then what it lacks comes as news.
        assert!(
            first == ["list a", "listed"] || first == ["listed", "apply a"],
            "{first:?}"
        );
        bench.small_parcel("b").await;
        relabel(&bench, "a", json!("red")).await;
        bench
            .parcels()
            .delete("b", &DeleteParams::default())
            .await
            .unwrap();
        assert_eq!(follow(&mut events, 3).await, ["apply b", "apply a", "delete b"]);
        bench
            .parcels()
            .delete("a", &DeleteParams::default())
            .await
            .unwrap();
        assert_eq!(follow(&mut events, 1).await, ["delete a"]);
    }
}
