//! A cluster-scoped kind without a status that one writer writes whole and finds by its fields, as MailboxLedger is;
//! and a status with a default of its own.

use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions, WatchEvent,
    WatchParams,
};
use kube::core::ApiResource;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::bench::{Bench, GROUP, PATIENCE, RawAnswer, install, refused, version};

/// A record: its spec is one atomic map that keeps what the schema does not know, and is found by five of its fields.
fn record_definition() -> Value {
    let text = json!({"type": "string", "maxLength": 64});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("records.{GROUP}")},
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {"plural": "records", "singular": "record", "kind": "Record", "listKind": "RecordList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "selectableFields": [
                    {"jsonPath": ".spec.owner.uid"}, {"jsonPath": ".spec.owner.name"}, {"jsonPath": ".spec.box.id"},
                    {"jsonPath": ".spec.count"}, {"jsonPath": ".spec.open"},
                ],
                "schema": {"openAPIV3Schema": {
                    "type": "object", "required": ["spec"],
                    "properties": {"spec": {
                        "type": "object", "required": ["owner"],
                        "x-kubernetes-map-type": "atomic", "x-kubernetes-preserve-unknown-fields": true,
                        "properties": {
                            "owner": {
                                "type": "object", "required": ["uid"], "properties": {"uid": text, "name": text},
                            },
                            "box": {"type": "object", "properties": {"id": text}},
                            "count": {"type": "integer"},
                            "open": {"type": "boolean"},
                            "lines": {
                                "type": "array", "maxItems": 9,
                                "items": {"type": "object", "properties": {"at": text}},
                            },
                            "shown": {
                                "type": "object", "default": {"state": ""},
                                "properties": {"state": {"type": "string", "default": ""}},
                            },
                        },
                    }},
                }},
            }],
        },
    })
}

/// A shipment: before anybody has reported on it, its status says that nothing was observed.
fn shipment_definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("shipments.{GROUP}")},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": "shipments", "singular": "shipment", "kind": "Shipment", "listKind": "ShipmentList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "selectableFields": [{"jsonPath": ".spec.parcel"}],
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "spec": {"type": "object", "properties": {"parcel": {"type": "string"}}},
                        "status": {
                            "type": "object", "default": {"observedGeneration": -1},
                            "properties": {
                                "observedGeneration": {"type": "integer", "format": "int64"},
                                "phase": {"type": "string"},
                            },
                        },
                    },
                }},
            }],
        },
    })
}

pub async fn install_definitions(client: &Client) {
    install(client, record_definition()).await;
    install(client, shipment_definition()).await;
}

fn resource(plural: &str, kind: &str) -> ApiResource {
    ApiResource {
        group: GROUP.to_owned(),
        version: "v1".to_owned(),
        api_version: format!("{GROUP}/v1"),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// All records of the cluster; a check tells its own by the namespace in their names and owners.
pub fn records(bench: &Bench) -> Api<DynamicObject> {
    Api::all_with(bench.client.clone(), &resource("records", "Record"))
}

pub fn shipments(bench: &Bench) -> Api<DynamicObject> {
    Api::namespaced_with(
        bench.client.clone(),
        &bench.namespace,
        &resource("shipments", "Shipment"),
    )
}

fn record(bench: &Bench, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "Record",
        "metadata": {"name": named(bench, name)}, "spec": spec,
    })
}

pub fn named(bench: &Bench, name: &str) -> String {
    format!("{}-{name}", bench.namespace)
}

pub async fn create(bench: &Bench, name: &str, spec: Value) -> DynamicObject {
    let body = serde_json::from_value(record(bench, name, &spec)).unwrap();
    records(bench)
        .create(&PostParams::default(), &body)
        .await
        .unwrap()
}

/// What each manager owns below its `fieldsV1`.
fn owned(object: &DynamicObject) -> Vec<(String, Value)> {
    let entries = object.metadata.managed_fields.iter().flatten();
    entries
        .map(|entry| {
            let fields = serde_json::to_value(&entry.fields_v1).unwrap();
            (entry.manager.clone().unwrap_or_default(), fields)
        })
        .collect()
}

pub async fn an_atomic_map_has_one_owner_and_keeps_what_is_unknown(bench: Bench) {
    let spec = json!({"owner": {"uid": "u"}, "lines": [{"at": "1", "newer": {"a": [1]}}], "newest": {"b": {"c": true}}});
    let body = serde_json::from_value(record(&bench, "a", &spec)).unwrap();
    let by = |manager: &str| PostParams {
        field_manager: Some(manager.to_owned()),
        ..PostParams::default()
    };
    let created = records(&bench).create(&by("one"), &body).await.unwrap();
    // What is unknown stays directly below the map that preserves it, and is pruned further down.
    let kept = json!({
        "owner": {"uid": "u"}, "lines": [{"at": "1"}], "newest": {"b": {"c": true}}, "shown": {"state": ""},
    });
    assert_eq!(created.data["spec"], kept);
    let whole = json!({"f:spec": {}});
    assert_eq!(owned(&created), [("one".to_owned(), whole.clone())]);

    let mut changed = created.clone();
    changed.data["spec"]["count"] = json!(1);
    let name = changed.name_any();
    let changed = records(&bench)
        .replace(&name, &by("two"), &changed)
        .await
        .unwrap();
    assert_eq!(owned(&changed), [("two".to_owned(), whole)]);

    let labelled =
        Patch::Merge(json!({"metadata": {"labels": {"colour": "red"}}, "spec": {"newest": {"b": {"d": 1}}}}));
    let merge = PatchParams {
        field_manager: Some("three".to_owned()),
        ..PatchParams::default()
    };
    let merged = records(&bench).patch(&name, &merge, &labelled).await.unwrap();
    assert_eq!(
        merged.data["spec"]["newest"],
        json!({"b": {"c": true, "d": 1}}),
        "a merge patch merges all the same"
    );
    let labels_and_spec = json!({"f:metadata": {"f:labels": {".": {}, "f:colour": {}}}, "f:spec": {}});
    assert_eq!(owned(&merged), [("three".to_owned(), labels_and_spec)]);
}

pub async fn an_apply_of_an_atomic_map_conflicts_or_replaces_it_whole(bench: Bench) {
    let apply = |manager: &str, force: bool| {
        let how = PatchParams::apply(manager);
        if force { how.force() } else { how }
    };
    let first = record(
        &bench,
        "a",
        &json!({"owner": {"uid": "u"}, "count": 1, "newest": 1}),
    );
    let name = named(&bench, "a");
    let api = records(&bench);
    let created = api
        .patch(&name, &apply("one", false), &Patch::Apply(&first))
        .await
        .unwrap();
    assert_eq!(owned(&created), [("one".to_owned(), json!({"f:spec": {}}))]);
    let second = record(&bench, "a", &json!({"owner": {"uid": "u"}, "count": 2}));
    let status = refused(
        api.patch(&name, &apply("two", false), &Patch::Apply(&second))
            .await,
    );
    assert_eq!(
        (status.code, status.message.as_str()),
        (409, "Apply failed with 1 conflict: conflict with \"one\": .spec")
    );
    let taken = api
        .patch(&name, &apply("two", true), &Patch::Apply(&second))
        .await
        .unwrap();
    assert_eq!(
        taken.data["spec"],
        json!({"owner": {"uid": "u"}, "count": 2, "shown": {"state": ""}})
    );
    assert_eq!(owned(&taken), [("two".to_owned(), json!({"f:spec": {}}))]);
}

pub async fn without_a_status_every_change_but_of_metadata_is_a_generation(bench: Bench) {
    let mut object = create(&bench, "a", json!({"owner": {"uid": "u"}})).await;
    assert_eq!(object.metadata.generation, Some(1));
    let name = object.name_any();
    let change = async |patch: Value| {
        let patch = Patch::Merge(patch);
        let changed = records(&bench)
            .patch(&name, &PatchParams::default(), &patch)
            .await
            .unwrap();
        changed.metadata.generation
    };
    assert_eq!(
        change(json!({"metadata": {"annotations": {"a": "b"}}})).await,
        Some(1)
    );
    assert_eq!(
        change(json!({"metadata": {"finalizers": ["example.com/x"]}})).await,
        Some(1)
    );
    assert_eq!(change(json!({"spec": {"shown": {"state": "x"}}})).await, Some(2));
    assert_eq!(
        change(json!({"spec": {"unknown": 1}})).await,
        Some(3),
        "what is unknown counts too"
    );
    assert_eq!(change(json!({"spec": {"unknown": 1}})).await, Some(3));
    assert_eq!(
        change(json!({"metadata": {"labels": {"a": "b"}}, "spec": {"unknown": null}})).await,
        Some(4)
    );
    assert_eq!(change(json!({"metadata": {"generation": 9}})).await, Some(4));
    object = records(&bench).get(&name).await.unwrap();
    object.metadata.generation = Some(77);
    object.data["spec"]["count"] = json!(1);
    let replaced = records(&bench)
        .replace(&name, &PostParams::default(), &object)
        .await
        .unwrap();
    assert_eq!(replaced.metadata.generation, Some(5));
    let RawAnswer { code, .. } = bench
        .raw(
            "GET",
            &format!("/apis/{GROUP}/v1/records/{name}/status"),
            "",
            &Value::Null,
        )
        .await;
    assert_eq!(code, 404, "there is no such subresource");
    // Marking it for deletion is one more.
    records(&bench)
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    let mut marked = records(&bench).get(&name).await.unwrap();
    assert_eq!(marked.metadata.generation, Some(6));
    marked.finalizers_mut().clear();
    records(&bench)
        .replace(&name, &PostParams::default(), &marked)
        .await
        .unwrap();
}

pub async fn cluster_wide_objects_are_replaced_and_deleted_under_preconditions(bench: Bench) {
    let first = create(&bench, "a", json!({"owner": {"uid": "u"}})).await;
    let (name, uid) = (first.name_any(), first.uid().unwrap());
    let mut newer = first.clone();
    newer.data["spec"]["count"] = json!(1);
    let newer = records(&bench)
        .replace(&name, &PostParams::default(), &newer)
        .await
        .unwrap();
    let status = refused(
        records(&bench)
            .replace(&name, &PostParams::default(), &first)
            .await,
    );
    assert_eq!(
        (status.code, status.message),
        (
            409,
            format!(
                "Operation cannot be fulfilled on records.{GROUP} \"{name}\": the object has been modified; please apply \
                 your changes to the latest version and try again"
            )
        )
    );
    let only = |uid: &str| DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    let another = "00000000-0000-0000-0000-000000000000";
    let status = refused(records(&bench).delete(&name, &only(another)).await);
    assert_eq!(
        (status.code, status.message),
        (
            409,
            format!(
                "Operation cannot be fulfilled on Record.{GROUP} \"{name}\": the UID in the precondition ({another}) does \
                 not match the UID in record ({uid}). The object might have been deleted and then recreated"
            )
        )
    );
    assert_eq!(
        version(&records(&bench).get(&name).await.unwrap()),
        version(&newer)
    );
    records(&bench).delete(&name, &only(&uid)).await.unwrap();
    assert!(refused(records(&bench).delete(&name, &only(&uid)).await).is_not_found());
}

pub async fn a_status_with_a_default_is_there_from_the_start(bench: Bench) {
    let unobserved = json!({"observedGeneration": -1});
    let by = |manager: &str| PostParams {
        field_manager: Some(manager.to_owned()),
        ..PostParams::default()
    };
    let from = shipments(&bench).list(&ListParams::default()).await.unwrap();
    let body = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "Shipment", "metadata": {"name": "a"},
        "spec": {"parcel": "x"}, "status": {"observedGeneration": 1, "phase": "Forged"},
    });
    let body = serde_json::from_value(body).unwrap();
    let created = shipments(&bench).create(&by("one"), &body).await.unwrap();
    assert_eq!(
        created.data["status"], unobserved,
        "the status of the request is dropped"
    );
    assert_eq!(
        owned(&created),
        [("one".to_owned(), json!({"f:spec": {".": {}, "f:parcel": {}}}))],
        "a default belongs to nobody"
    );
    assert_eq!(shipments(&bench).get("a").await.unwrap(), created);
    let from = from.metadata.resource_version.unwrap();
    let mut events = shipments(&bench)
        .watch(&WatchParams::default(), &from)
        .await
        .unwrap()
        .boxed();
    let event = timeout(PATIENCE, events.try_next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(
        matches!(&event, WatchEvent::Added(seen) if *seen == created),
        "{event:?}"
    );

    let mut edited = created.clone();
    edited.data["spec"]["parcel"] = json!("y");
    edited.data.as_object_mut().unwrap().remove("status");
    let edited = shipments(&bench).replace("a", &by("one"), &edited).await.unwrap();
    assert_eq!(
        (edited.metadata.generation, &edited.data["status"]),
        (Some(2), &unobserved)
    );

    let mut reported = edited.clone();
    reported.data["status"] = json!({"observedGeneration": 2, "phase": "Sent"});
    let reported = shipments(&bench)
        .replace_status("a", &by("two"), &reported)
        .await
        .unwrap();
    assert_eq!(reported.metadata.generation, Some(2));
    assert_eq!(
        reported.data["status"],
        json!({"observedGeneration": 2, "phase": "Sent"})
    );
    // The default is of the whole: a status without the field stays without it.
    let mut shorter = reported.clone();
    shorter.data["status"] = json!({"phase": "Sent"});
    let shorter = shipments(&bench)
        .replace_status("a", &by("two"), &shorter)
        .await
        .unwrap();
    assert_eq!(shorter.data["status"], json!({"phase": "Sent"}));
    let mut taken_away = shorter;
    taken_away.data.as_object_mut().unwrap().remove("status");
    let taken_away = shipments(&bench)
        .replace_status("a", &by("two"), &taken_away)
        .await
        .unwrap();
    assert_eq!(taken_away.data["status"], unobserved);
    let none = Patch::Merge(json!({"status": null}));
    let patched = shipments(&bench)
        .patch_status("a", &PatchParams::default(), &none)
        .await
        .unwrap();
    assert_eq!(patched.data["status"], unobserved);

    let applied = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "Shipment", "metadata": {"name": "b"}, "spec": {"parcel": "x"},
    });
    let how = PatchParams::apply("one");
    let applied = shipments(&bench)
        .patch("b", &how, &Patch::Apply(&applied))
        .await
        .unwrap();
    assert_eq!(applied.data["status"], unobserved);
    assert_eq!(
        owned(&applied),
        [("one".to_owned(), json!({"f:spec": {"f:parcel": {}}}))]
    );
}
