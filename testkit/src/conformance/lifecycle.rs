//! Deletion: finalizers, preconditions, namespaces.

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt as _;
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions,
};
use serde_json::json;

use super::bench::{Bench, GROUP, eventually, parcel, refused, version};

async fn held_parcel(bench: &Bench) -> DynamicObject {
    let metadata = json!({"name": "a", "finalizers": ["example.com/x", "example.com/y"]});
    bench
        .create(json!({"metadata": metadata, "spec": {"label": "a"}}))
        .await
}

async fn set_finalizers(bench: &Bench, finalizers: &[&str]) -> kube::Result<DynamicObject> {
    let patch = Patch::Merge(json!({"metadata": {"finalizers": finalizers}}));
    bench.parcels().patch("a", &PatchParams::default(), &patch).await
}

pub async fn an_object_without_finalizers_is_deleted_at_once(bench: Bench) {
    let object = bench.small_parcel("a").await;
    let answer = bench
        .parcels()
        .delete("a", &DeleteParams::default())
        .await
        .unwrap();
    let status = answer.right().expect("a Status, for the object is gone");
    assert!(status.is_success());
    let details = status.details.unwrap();
    assert_eq!(
        (details.name, details.kind, details.uid),
        ("a".into(), "parcels".into(), object.uid().unwrap())
    );
    assert!(refused(bench.parcels().get("a").await).is_not_found());
}

pub async fn finalizers_hold_a_deleted_object(bench: Bench) {
    held_parcel(&bench).await;
    let answer = bench
        .parcels()
        .delete("a", &DeleteParams::default())
        .await
        .unwrap();
    let marked = answer.left().expect("the object, for it is still there");
    assert!(marked.metadata.deletion_timestamp.is_some());
    assert_eq!(marked.metadata.deletion_grace_period_seconds, Some(0));
    assert_eq!(marked.metadata.generation, Some(2), "marking counts as a change");
    let fewer = set_finalizers(&bench, &["example.com/y"]).await.unwrap();
    assert_eq!(fewer.metadata.generation, Some(2));
    bench.parcels().get("a").await.unwrap();
    let last = set_finalizers(&bench, &[]).await.unwrap();
    assert!(last.finalizers().is_empty());
    assert!(refused(bench.parcels().get("a").await).is_not_found());
}

pub async fn no_finalizer_is_added_to_a_deleted_object(bench: Bench) {
    held_parcel(&bench).await;
    bench
        .parcels()
        .delete("a", &DeleteParams::default())
        .await
        .unwrap();
    let status = refused(set_finalizers(&bench, &["example.com/x", "example.com/z"]).await);
    assert!(status.is_invalid());
    assert_eq!(
        status.message,
        format!(
            "Parcel.{GROUP} \"a\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the \
             object is being deleted, found new finalizers []string{{\"example.com/z\"}}"
        )
    );
}

pub async fn a_second_delete_changes_nothing(bench: Bench) {
    held_parcel(&bench).await;
    let delete = || async {
        bench
            .parcels()
            .delete("a", &DeleteParams::default())
            .await
            .unwrap()
            .left()
            .unwrap()
    };
    let first = delete().await;
    assert_eq!(version(&delete().await), version(&first));
}

pub async fn deletes_can_insist_on_uid_and_resource_version(bench: Bench) {
    let object = bench.small_parcel("a").await;
    let with = |uid: Option<&str>, version: Option<&str>| {
        let preconditions = Preconditions {
            uid: uid.map(str::to_owned),
            resource_version: version.map(str::to_owned),
        };
        DeleteParams::default().preconditions(preconditions)
    };
    let status = refused(bench.parcels().delete("a", &with(Some("another"), None)).await);
    assert_eq!(status.code, 409);
    assert!(
        status
            .message
            .contains("the UID in the precondition (another) does not match the UID in record")
    );
    let status = refused(bench.parcels().delete("a", &with(None, Some("1"))).await);
    assert_eq!(status.code, 409);
    assert!(
        status
            .message
            .contains("the ResourceVersion in the precondition (1) does not match"),
        "{status:?}"
    );
    let right = with(object.uid().as_deref(), object.resource_version().as_deref());
    bench.parcels().delete("a", &right).await.unwrap();
}

pub async fn a_created_again_object_has_another_uid(bench: Bench) {
    let first = bench.small_parcel("a").await;
    bench
        .parcels()
        .delete("a", &DeleteParams::default())
        .await
        .unwrap();
    let second = bench.small_parcel("a").await;
    assert_ne!(first.uid(), second.uid());
}

pub async fn nothing_is_created_in_a_missing_namespace(bench: Bench) {
    let body = parcel(json!({"metadata": {"name": "a"}, "spec": {"label": "a"}}));
    let status = refused(
        bench
            .parcels_in("nowhere")
            .create(&PostParams::default(), &body)
            .await,
    );
    assert_eq!(
        (status.code, status.message.as_str()),
        (404, "namespaces \"nowhere\" not found")
    );
}

pub async fn a_deleted_namespace_takes_its_content_along(bench: Bench) {
    bench.small_parcel("a").await;
    let namespaces: Api<Namespace> = Api::all(bench.client.clone());
    let marked = namespaces
        .delete(&bench.namespace, &DeleteParams::default())
        .await
        .unwrap();
    let marked = marked.left().expect("a namespace takes its time");
    assert_eq!(marked.status.unwrap().phase.as_deref(), Some("Terminating"));
    eventually("the namespace is gone", || async {
        namespaces.get_opt(&bench.namespace).await.unwrap().is_none()
    })
    .await;
    assert!(
        bench
            .parcels()
            .list(&ListParams::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

pub async fn a_deleted_namespace_waits_for_finalizers_and_refuses_new_content(bench: Bench) {
    held_parcel(&bench).await;
    let namespaces: Api<Namespace> = Api::all(bench.client.clone());
    namespaces
        .delete(&bench.namespace, &DeleteParams::default())
        .await
        .unwrap();
    eventually("the content is marked", || async {
        bench
            .parcels()
            .get("a")
            .await
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    })
    .await;
    let status = bench
        .refusal(json!({"metadata": {"name": "b"}, "spec": {"label": "a"}}))
        .await;
    assert_eq!((status.code, status.reason.as_str()), (403, "Forbidden"));
    assert_eq!(
        status.message,
        format!(
            "parcels.{GROUP} \"b\" is forbidden: unable to create new content in namespace {} because it is being \
             terminated",
            bench.namespace
        )
    );
    assert_eq!(status.details.unwrap().causes[0].reason, "NamespaceTerminating");
    let there = namespaces.get(&bench.namespace).await.unwrap();
    assert_eq!(there.status.unwrap().phase.as_deref(), Some("Terminating"));
    set_finalizers(&bench, &[]).await.unwrap();
    eventually("the namespace is gone", || async {
        namespaces.get_opt(&bench.namespace).await.unwrap().is_none()
    })
    .await;
}
