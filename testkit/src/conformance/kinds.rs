//! The built-in kinds that the operator reads and writes.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use super::bench::{Bench, RawAnswer, refused};

pub async fn secrets_fold_text_into_data(bench: Bench) {
    let secrets: Api<Secret> = Api::namespaced(bench.client.clone(), &bench.namespace);
    let body = json!({"metadata": {"name": "a"}, "stringData": {"password": "hunter2"}});
    secrets
        .create(&PostParams::default(), &serde_json::from_value(body).unwrap())
        .await
        .unwrap();
    let read = secrets.get("a").await.unwrap();
    assert_eq!(read.data.unwrap()["password"].0, b"hunter2");
    assert_eq!(read.string_data, None);
    assert_eq!(read.type_.as_deref(), Some("Opaque"));
    assert_eq!(read.metadata.generation, None);
    let listed = secrets
        .list(&ListParams::default().fields("metadata.name=a"))
        .await
        .unwrap();
    assert_eq!(listed.items.len(), 1);
}

pub async fn a_lease_is_taken_by_replacing_it_at_its_resource_version(bench: Bench) {
    let leases: Api<Lease> = Api::namespaced(bench.client.clone(), &bench.namespace);
    let lease = |holder: &str, version: Option<String>| -> Lease {
        let spec = json!({
            "holderIdentity": holder, "leaseDurationSeconds": 15, "leaseTransitions": 0,
            "acquireTime": "2026-11-22T09:00:00.123456Z", "renewTime": "2026-11-22T09:00:00.123456Z",
        });
        let mut lease = json!({"metadata": {"name": "leader"}, "spec": spec});
        lease["metadata"]["resourceVersion"] = json!(version);
        serde_json::from_value(lease).unwrap()
    };
    let first = leases
        .create(&PostParams::default(), &lease("one", None))
        .await
        .unwrap();
    let taken = leases
        .replace(
            "leader",
            &PostParams::default(),
            &lease("two", first.resource_version()),
        )
        .await
        .unwrap();
    assert_eq!(
        taken.spec.as_ref().unwrap().holder_identity.as_deref(),
        Some("two")
    );
    let late = leases
        .replace(
            "leader",
            &PostParams::default(),
            &lease("three", first.resource_version()),
        )
        .await;
    assert!(refused(late).is_conflict());
    let renewed = leases
        .get("leader")
        .await
        .unwrap()
        .spec
        .unwrap()
        .renew_time
        .unwrap();
    assert_eq!(renewed.0.to_string(), "2026-11-22T09:00:00.123456Z");
}

pub async fn an_event_is_created_and_its_series_patched(bench: Bench) {
    let events: Api<Event> = Api::namespaced(bench.client.clone(), &bench.namespace);
    let body = json!({
        "metadata": {"name": "a.1"},
        "eventTime": "2026-11-22T09:00:00.000000Z",
        "reportingController": "sharedmailbox.dev/controller", "reportingInstance": "pod-1",
        "action": "Create", "reason": "Created", "note": "made", "type": "Normal",
        "regarding": {"kind": "Parcel", "name": "a", "namespace": bench.namespace},
    });
    let event = events
        .create(&PostParams::default(), &serde_json::from_value(body).unwrap())
        .await
        .unwrap();
    assert_eq!(event.note.as_deref(), Some("made"));
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-11-22T09:01:00.000000Z"}});
    let patched = events
        .patch("a.1", &PatchParams::default(), &Patch::Merge(series))
        .await
        .unwrap();
    assert_eq!(patched.series.unwrap().count, 2);
    for (patch, wanted) in [
        (
            json!({"note": "other"}),
            "message: Invalid value: \"other\": field is immutable",
        ),
        (
            json!({"series": {"count": 1}}),
            "series.count: Invalid value: \"\": should be at least 2",
        ),
    ] {
        let status = refused(
            events
                .patch("a.1", &PatchParams::default(), &Patch::Merge(patch))
                .await,
        );
        assert_eq!(status.message, format!("Event \"a.1\" is invalid: {wanted}"));
    }
    let series = json!({"series": {"lastObservedTime": "2026-11-22T09:02:00Z"}});
    let status = refused(
        events
            .patch("a.1", &PatchParams::default(), &Patch::Merge(series))
            .await,
    );
    assert!(
        matches!(status.code, 400 | 422),
        "times of events have six digits after the second: {status:?}"
    );
    let bare = json!({"metadata": {"name": "b"}, "eventTime": "2026-11-22T09:00:00.000000Z"});
    let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", bench.namespace);
    let RawAnswer { code, body: answer } = bench.raw("POST", &path, "application/json", &bare).await;
    assert_eq!(code, 422);
    for field in ["reportingController", "reportingInstance", "action", "reason"] {
        assert!(
            answer["message"]
                .as_str()
                .unwrap()
                .contains(&format!("{field}: Required value")),
            "{answer}"
        );
    }
}

pub async fn a_namespace_is_active_and_carries_its_name_as_label(bench: Bench) {
    let namespaces: Api<Namespace> = Api::all(bench.client.clone());
    let namespace = namespaces.get(&bench.namespace).await.unwrap();
    assert_eq!(namespace.labels()["kubernetes.io/metadata.name"], bench.namespace);
    assert_eq!(namespace.status.unwrap().phase.as_deref(), Some("Active"));
    assert_eq!(namespace.spec.unwrap().finalizers.unwrap(), ["kubernetes"]);
    let label = format!("kubernetes.io/metadata.name={}", bench.namespace);
    let selected = namespaces
        .list(&ListParams::default().labels(&label))
        .await
        .unwrap();
    assert_eq!(selected.items.len(), 1);
}
