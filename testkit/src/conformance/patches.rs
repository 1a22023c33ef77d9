//! Merge patch and JSON patch.

use kube::ResourceExt as _;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::bench::{Bench, GROUP, RawAnswer, refused, version};

const JSON_PATCH: &str = "application/json-patch+json";

async fn merge(bench: &Bench, patch: Value) -> kube::Result<kube::api::DynamicObject> {
    bench
        .parcels()
        .patch("a", &PatchParams::default(), &Patch::Merge(patch))
        .await
}

pub async fn a_merge_patch_merges_and_null_removes(bench: Bench) {
    bench
        .create(json!({"metadata": {"name": "a"}, "spec": {"label": "a", "notes": {"x": "1", "y": "2"}, "stamps": ["s"]}}))
        .await;
    let patch = json!({"spec": {"notes": {"x": null, "z": "3"}, "stamps": ["t"]}, "metadata": {"annotations": {"k": "v"}}});
    let patched = merge(&bench, patch).await.unwrap();
    assert_eq!(patched.data["spec"]["notes"], json!({"y": "2", "z": "3"}));
    assert_eq!(patched.data["spec"]["stamps"], json!(["t"]));
    assert_eq!(patched.annotations()["k"], "v");
    assert_eq!(patched.metadata.generation, Some(2));
}

pub async fn a_merge_patch_with_an_old_resource_version_conflicts(bench: Bench) {
    let first = bench.small_parcel("a").await;
    merge(&bench, json!({"spec": {"label": "b"}})).await.unwrap();
    let without = refused(merge(&bench, json!({"metadata": {"resourceVersion": null}})).await);
    assert!(without.is_invalid(), "{without:?}");
    let patch = json!({"metadata": {"resourceVersion": version(&first)}, "spec": {"label": "c"}});
    assert!(refused(merge(&bench, patch).await).is_conflict());
    assert_eq!(bench.parcels().get("a").await.unwrap().data["spec"]["label"], "b");
}

pub async fn a_merge_patch_that_changes_nothing_leaves_the_resource_version(bench: Bench) {
    let first = bench.small_parcel("a").await;
    let again = merge(&bench, json!({"spec": {"label": "a"}})).await.unwrap();
    assert_eq!(version(&again), version(&first));
}

pub async fn a_json_patch_is_all_or_nothing(bench: Bench) {
    let first = bench.small_parcel("a").await;
    let patch = json!([
        {"op": "test", "path": "/spec/label", "value": "a"},
        {"op": "add", "path": "/metadata/finalizers", "value": ["example.com/x"]},
        {"op": "replace", "path": "/spec/label", "value": "b"},
        {"op": "add", "path": "/spec/notes", "value": {"a/b": "1"}},
        {"op": "copy", "from": "/spec/notes/a~1b", "path": "/spec/notes/c"},
        {"op": "remove", "path": "/spec/notes/a~1b"},
    ]);
    let RawAnswer { code, body: patched } = bench.raw("PATCH", &bench.path("a"), JSON_PATCH, &patch).await;
    assert_eq!(code, 200, "{patched}");
    assert_eq!(patched["spec"]["notes"], json!({"c": "1"}));
    assert_eq!(patched["metadata"]["finalizers"], json!(["example.com/x"]));
    let patch = json!([
        {"op": "replace", "path": "/spec/label", "value": "c"},
        {"op": "remove", "path": "/spec/nothing"},
    ]);
    let RawAnswer { code, .. } = bench.raw("PATCH", &bench.path("a"), JSON_PATCH, &patch).await;
    assert_eq!(code, 422);
    let read = bench.parcels().get("a").await.unwrap();
    assert_eq!(read.data["spec"]["label"], "b");
    let stale = json!([{"op": "replace", "path": "/metadata/resourceVersion", "value": version(&first)}]);
    let RawAnswer { code, body: answer } = bench.raw("PATCH", &bench.path("a"), JSON_PATCH, &stale).await;
    assert_eq!((code, answer["reason"].as_str()), (409, Some("Conflict")));
    let last = json!([{"op": "remove", "path": "/metadata/finalizers/0"}]);
    let RawAnswer { code, body: answer } = bench.raw("PATCH", &bench.path("a"), JSON_PATCH, &last).await;
    assert_eq!((code, &answer["metadata"]["finalizers"]), (200, &Value::Null));
}

pub async fn a_failed_json_patch_test_is_unprocessable(bench: Bench) {
    bench.small_parcel("a").await;
    let patch = json!([{"op": "test", "path": "/spec/label", "value": "z"}]);
    let RawAnswer { code, body: answer } = bench.raw("PATCH", &bench.path("a"), JSON_PATCH, &patch).await;
    assert_eq!((code, answer["reason"].as_str()), (422, Some("Invalid")));
    assert_eq!(
        answer["message"],
        "the server rejected our request due to an error in our request"
    );
}

pub async fn a_patch_of_the_status_leaves_the_spec(bench: Bench) {
    bench.small_parcel("a").await;
    let patch = Patch::Merge(json!({"status": {"phase": "Sent"}, "spec": {"label": "b"}}));
    let patched = bench
        .parcels()
        .patch_status("a", &PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_eq!(
        (&patched.data["status"]["phase"], &patched.data["spec"]["label"]),
        (&json!("Sent"), &json!("a"))
    );
    assert_eq!(patched.metadata.generation, Some(1));
    let untouched = merge(&bench, json!({"status": {"phase": "Lost"}})).await.unwrap();
    assert_eq!(
        version(&untouched),
        version(&patched),
        "the main resource ignores a status alone"
    );
}

pub async fn a_patch_of_nothing_is_not_found(bench: Bench) {
    let status = refused(merge(&bench, json!({"spec": {"label": "b"}})).await);
    assert_eq!(
        (status.code, status.message),
        (404, format!("parcels.{GROUP} \"a\" not found"))
    );
}

pub async fn a_patch_cannot_rename(bench: Bench) {
    bench.small_parcel("a").await;
    let status = refused(merge(&bench, json!({"metadata": {"name": "b"}})).await);
    assert_eq!(
        (status.code, status.message.as_str()),
        (
            400,
            "the name of the object (b) does not match the name on the URL (a)"
        )
    );
}
