//! Selecting by the fields that a definition names.

use futures::{StreamExt as _, TryStreamExt as _};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use kube::core::Status;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::bench::{Bench, GROUP, PATIENCE, RawAnswer, refused};
use super::records::{create, named, records, shipments};

/// The records that a selector picks, by the ends of their names.
async fn selected(bench: &Bench, fields: &str) -> String {
    let list = records(bench)
        .list(&ListParams::default().fields(fields))
        .await
        .unwrap();
    let prefix = named(bench, "");
    let names = list
        .iter()
        .filter_map(|object| Some(object.name_any().strip_prefix(&prefix)?.to_owned()));
    names.collect::<Vec<_>>().join(" ")
}

async fn refusal(bench: &Bench, fields: &str) -> Status {
    refused(records(bench).list(&ListParams::default().fields(fields)).await)
}

pub async fn lists_select_by_the_fields_that_a_definition_names(bench: Bench) {
    let owner = bench.namespace.clone();
    create(
        &bench,
        "a",
        json!({"owner": {"uid": owner, "name": "x"}, "box": {"id": "1"}, "count": 1, "open": true}),
    )
    .await;
    create(
        &bench,
        "b",
        json!({"owner": {"uid": owner, "name": "y"}, "box": {"id": "1"}, "count": 0, "open": false}),
    )
    .await;
    create(&bench, "c", json!({"owner": {"uid": owner}})).await;
    create(
        &bench,
        "d",
        json!({"owner": {"uid": "another"}, "box": {"id": "1"}, "open": true}),
    )
    .await;
    for (fields, wanted) in [
        ("", "a b c"),
        (",spec.owner.name=x", "a"),
        (",spec.owner.name!=x", "b c"),
        (",spec.owner.name=y,spec.box.id=1", "b"),
        (",spec.box.id==1", "a b"),
        (",spec.box.id=", "c"),
        (",spec.owner.name=", "c"),
        (",spec.count=0", "b"),
        (",spec.count=", "c"),
        (",spec.open=true", "a"),
        (",spec.open=false", "b"),
        (",spec.box.id=2", ""),
    ] {
        let fields = format!("spec.owner.uid={owner}{fields}");
        assert_eq!(selected(&bench, &fields).await, wanted, "selected by {fields}");
    }
    let by_name = format!("spec.owner.uid={owner},metadata.name={}", named(&bench, "b"));
    assert_eq!(selected(&bench, &by_name).await, "b");

    let shipment = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "Shipment",
        "metadata": {"name": "a"}, "spec": {"parcel": "x"},
    });
    let shipment = serde_json::from_value(shipment).unwrap();
    shipments(&bench)
        .create(&PostParams::default(), &shipment)
        .await
        .unwrap();
    for (parcel, found) in [("x", 1), ("y", 0)] {
        let fields = format!("spec.parcel={parcel},metadata.namespace={}", bench.namespace);
        let list = shipments(&bench)
            .list(&ListParams::default().fields(&fields))
            .await
            .unwrap();
        assert_eq!(list.items.len(), found, "{parcel}");
    }
}

pub async fn a_selector_by_another_field_is_refused(bench: Bench) {
    for field in [
        "spec.shown.state",
        "spec.owner",
        "spec.nothing",
        "metadata.namespace",
        "metadata.uid",
    ] {
        let status = refusal(&bench, &format!("{field}=a")).await;
        assert_eq!(
            (status.code, status.reason.as_str()),
            (400, "BadRequest"),
            "{status:?}"
        );
        assert_eq!(status.message, format!("field label not supported: {field}"));
    }
    let path = format!("/apis/{GROUP}/v1/records?watch=true&fieldSelector=spec.nothing%3Da");
    let RawAnswer { code, body } = bench.raw("GET", &path, "", &Value::Null).await;
    assert_eq!(
        (code, body["message"].as_str()),
        (400, Some("field label not supported: spec.nothing"))
    );
}

pub async fn a_watch_selects_by_the_fields_that_a_definition_names(bench: Bench) {
    let owner = bench.namespace.clone();
    let from = records(&bench).list(&ListParams::default()).await.unwrap();
    let mine = WatchParams::default().fields(&format!("spec.owner.uid={owner}"));
    let from = from.metadata.resource_version.unwrap();
    let mut events = records(&bench).watch(&mine, &from).await.unwrap().boxed();
    create(&bench, "other", json!({"owner": {"uid": "another"}})).await;
    let mut object = create(&bench, "a", json!({"owner": {"uid": "another"}, "count": 1})).await;
    for (uid, count) in [(owner.as_str(), 2), (owner.as_str(), 3), ("another", 4)] {
        object.data["spec"]["owner"]["uid"] = json!(uid);
        object.data["spec"]["count"] = json!(count);
        let name = object.name_any();
        object = records(&bench)
            .replace(&name, &PostParams::default(), &object)
            .await
            .unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let event = timeout(PATIENCE, events.try_next())
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        let (what, object) = match event {
            WatchEvent::Added(object) => ("added", object),
            WatchEvent::Modified(object) => ("modified", object),
            WatchEvent::Deleted(object) => ("deleted", object),
            WatchEvent::Bookmark(_) => continue,
            WatchEvent::Error(status) => panic!("{status:?}"),
        };
        let spec = &object.data["spec"];
        seen.push(format!(
            "{what} {} {}",
            spec["owner"]["uid"] == owner.as_str(),
            spec["count"]
        ));
    }
    assert_eq!(
        seen,
        ["added true 2", "modified true 3", "deleted true 3"],
        "it left as it last matched"
    );
}

pub async fn a_collection_is_deleted_by_the_fields_that_a_definition_names(bench: Bench) {
    let owner = bench.namespace.clone();
    create(&bench, "a", json!({"owner": {"uid": owner}, "count": 1})).await;
    create(&bench, "b", json!({"owner": {"uid": owner}, "count": 2})).await;
    let first = ListParams::default().fields(&format!("spec.owner.uid={owner},spec.count=1"));
    records(&bench)
        .delete_collection(&DeleteParams::default(), &first)
        .await
        .unwrap();
    assert_eq!(selected(&bench, &format!("spec.owner.uid={owner}")).await, "b");
}
