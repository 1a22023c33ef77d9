//! Creating, reading, replacing and listing.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::bench::{Bench, GROUP, RawAnswer, parcel, refused, version};

pub async fn a_created_object_has_identity_and_the_first_generation(bench: Bench) {
    let created = bench.small_parcel("a").await;
    assert_eq!(created.metadata.generation, Some(1));
    assert_eq!(created.namespace().as_deref(), Some(bench.namespace.as_str()));
    assert_eq!(created.uid().unwrap().len(), 36);
    assert!(version(&created).parse::<u64>().unwrap() > 0);
    let Time(at) = created.metadata.creation_timestamp.clone().unwrap();
    assert_eq!(at.subsec_nanosecond(), 0, "creation times are whole seconds");
    assert_eq!(created.types.as_ref().unwrap().kind, "Parcel");
    let read = bench.parcels().get("a").await.unwrap();
    assert_eq!(read, created);
}

pub async fn a_name_is_taken_once(bench: Bench) {
    bench.small_parcel("a").await;
    let status = bench
        .refusal(json!({"metadata": {"name": "a"}, "spec": {"label": "b"}}))
        .await;
    assert!(status.is_already_exists());
    assert_eq!(status.code, 409);
    assert_eq!(status.message, format!("parcels.{GROUP} \"a\" already exists"));
    let details = status.details.unwrap();
    assert_eq!(
        (
            details.name.as_str(),
            details.group.as_str(),
            details.kind.as_str()
        ),
        ("a", GROUP, "parcels")
    );
}

pub async fn what_is_not_there_is_not_found(bench: Bench) {
    let status = refused(bench.parcels().get("a").await);
    assert!(status.is_not_found());
    assert_eq!(
        (status.code, status.message),
        (404, format!("parcels.{GROUP} \"a\" not found"))
    );
    let replaced = parcel(json!({"metadata": {"name": "a", "resourceVersion": "1"}, "spec": {"label": "a"}}));
    assert!(
        refused(
            bench
                .parcels()
                .replace("a", &PostParams::default(), &replaced)
                .await
        )
        .is_not_found()
    );
    assert!(refused(bench.parcels().delete("a", &DeleteParams::default()).await).is_not_found());
    let RawAnswer { code, body } = bench
        .raw("GET", &format!("/apis/{GROUP}/v1/nothings"), "", &Value::Null)
        .await;
    assert_eq!((code, body), (404, json!("404 page not found\n")));
}

pub async fn generated_names_start_with_their_prefix(bench: Bench) {
    let body = json!({"metadata": {"generateName": "parcel-"}, "spec": {"label": "a"}});
    let first = bench.create(body.clone()).await;
    let second = bench.create(body).await;
    assert!(first.name_any().starts_with("parcel-") && first.name_any().len() == 12);
    assert_ne!(first.name_any(), second.name_any());
}

pub async fn names_must_be_dns_subdomains(bench: Bench) {
    let status = bench
        .refusal(json!({"metadata": {"name": "Bad_Name"}, "spec": {"label": "a"}}))
        .await;
    assert!(status.is_invalid());
    assert_eq!(status.code, 422);
    assert!(status.message.starts_with(&format!(
        "Parcel.{GROUP} \"Bad_Name\" is invalid: metadata.name: Invalid value: \"Bad_Name\": \
         a lowercase RFC 1123 subdomain must consist of"
    )));
}

pub async fn a_replace_with_an_old_resource_version_conflicts(bench: Bench) {
    let first = bench.small_parcel("a").await;
    let mut newer = first.clone();
    newer.data["spec"]["label"] = json!("b");
    let newer = bench
        .parcels()
        .replace("a", &PostParams::default(), &newer)
        .await
        .unwrap();
    assert_ne!(version(&newer), version(&first));
    let status = refused(bench.parcels().replace("a", &PostParams::default(), &first).await);
    assert!(status.is_conflict());
    assert_eq!(
        (status.code, status.message),
        (
            409,
            format!(
                "Operation cannot be fulfilled on parcels.{GROUP} \"a\": the object has been modified; \
                 please apply your changes to the latest version and try again"
            )
        )
    );
    assert_eq!(bench.parcels().get("a").await.unwrap(), newer);
}

pub async fn a_replace_of_a_custom_resource_needs_a_resource_version(bench: Bench) {
    bench.small_parcel("a").await;
    let blind = parcel(json!({"metadata": {"name": "a"}, "spec": {"label": "b"}}));
    let status = refused(bench.parcels().replace("a", &PostParams::default(), &blind).await);
    assert!(status.is_invalid());
    assert_eq!(
        status.message,
        format!(
            "parcels.{GROUP} \"a\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
        )
    );
}

pub async fn a_replace_that_changes_nothing_leaves_the_resource_version(bench: Bench) {
    let first = bench.small_parcel("a").await;
    let again = bench
        .parcels()
        .replace("a", &PostParams::default(), &first)
        .await
        .unwrap();
    assert_eq!(version(&again), version(&first));
}

pub async fn generations_count_changes_of_the_spec_only(bench: Bench) {
    let mut object = bench.small_parcel("a").await;
    object.labels_mut().insert("colour".to_owned(), "red".to_owned());
    let mut object = bench
        .parcels()
        .replace("a", &PostParams::default(), &object)
        .await
        .unwrap();
    assert_eq!(object.metadata.generation, Some(1));
    object.data["spec"]["label"] = json!("b");
    let mut object = bench
        .parcels()
        .replace("a", &PostParams::default(), &object)
        .await
        .unwrap();
    assert_eq!(object.metadata.generation, Some(2));
    object.data["status"] = json!({"phase": "Sent"});
    let object = bench
        .parcels()
        .replace_status("a", &PostParams::default(), &object)
        .await
        .unwrap();
    assert_eq!(object.metadata.generation, Some(2));
}

pub async fn identity_and_bookkeeping_cannot_be_written(bench: Bench) {
    let first = bench.small_parcel("a").await;
    let mut forged = first.clone();
    forged.metadata.generation = Some(77);
    forged.metadata.creation_timestamp = None;
    forged.data["spec"]["label"] = json!("b");
    let written = bench
        .parcels()
        .replace("a", &PostParams::default(), &forged)
        .await
        .unwrap();
    assert_eq!(written.metadata.generation, Some(2));
    assert_eq!(
        written.metadata.creation_timestamp,
        first.metadata.creation_timestamp
    );
    assert_eq!(written.metadata.deletion_timestamp, None);
    assert_eq!(written.uid(), first.uid());
    let mut marked = written.clone();
    marked.metadata.deletion_timestamp = first.metadata.creation_timestamp.clone();
    let status = refused(
        bench
            .parcels()
            .replace("a", &PostParams::default(), &marked)
            .await,
    );
    assert!(status.is_invalid());
    assert!(
        status
            .message
            .contains("metadata.deletionTimestamp: Invalid value: "),
        "{status:?}"
    );
    assert!(status.message.ends_with(": field is immutable"), "{status:?}");
}

pub async fn another_uid_than_the_objects_conflicts(bench: Bench) {
    let mut object = bench.small_parcel("a").await;
    let uid = object.uid().unwrap();
    object.metadata.uid = Some("00000000-0000-0000-0000-000000000000".to_owned());
    let status = refused(
        bench
            .parcels()
            .replace("a", &PostParams::default(), &object)
            .await,
    );
    assert!(status.is_conflict());
    let why = "Precondition failed: UID in precondition: 00000000-0000-0000-0000-000000000000, UID in object meta: ";
    assert!(status.message.ends_with(&format!("{why}{uid}")), "{status:?}");
    let patch = Patch::Merge(json!({"metadata": {"uid": "another"}}));
    let status = refused(bench.parcels().patch("a", &PatchParams::default(), &patch).await);
    assert_eq!(
        status.message,
        format!(
            "Parcel.{GROUP} \"a\" is invalid: metadata.uid: Invalid value: \"another\": field is immutable"
        )
    );
}

pub async fn the_main_resource_leaves_status_alone(bench: Bench) {
    let mut object = bench.small_parcel("a").await;
    object.data["status"] = json!({"phase": "Sent"});
    let mut object = bench
        .parcels()
        .replace_status("a", &PostParams::default(), &object)
        .await
        .unwrap();
    object.data["status"] = json!({"phase": "Lost"});
    object.data["spec"]["label"] = json!("b");
    let object = bench
        .parcels()
        .replace("a", &PostParams::default(), &object)
        .await
        .unwrap();
    assert_eq!(object.data["status"], json!({"phase": "Sent"}));
    assert_eq!(object.data["spec"]["label"], json!("b"));
}

pub async fn the_status_subresource_changes_nothing_but_status(bench: Bench) {
    let first = bench.small_parcel("a").await;
    let mut object = first.clone();
    object.data["status"] = json!({"phase": "Sent"});
    object.data["spec"]["label"] = json!("b");
    object.labels_mut().insert("colour".to_owned(), "red".to_owned());
    object.finalizers_mut().push("example.com/x".to_owned());
    let object = bench
        .parcels()
        .replace_status("a", &PostParams::default(), &object)
        .await
        .unwrap();
    assert_eq!(object.data["status"], json!({"phase": "Sent"}));
    assert_eq!(object.data["spec"], first.data["spec"]);
    assert!(object.labels().is_empty() && object.finalizers().is_empty());
    let read = bench.parcels().get_status("a").await.unwrap();
    assert_eq!(read, object);
    let status = refused(
        bench
            .parcels()
            .replace_status("a", &PostParams::default(), &first)
            .await,
    );
    assert!(status.is_conflict(), "{status:?}");
}

pub async fn a_create_drops_the_status(bench: Bench) {
    let body = json!({"metadata": {"name": "a"}, "spec": {"label": "a"}, "status": {"phase": "Sent"}});
    assert_eq!(bench.create(body).await.data.get("status"), None);
}

pub async fn lists_select_by_label_and_name(bench: Bench) {
    for (name, colour) in [("a", "red"), ("b", "blue"), ("c", "green")] {
        let metadata = json!({"name": name, "labels": {"colour": colour, "kind": "box"}});
        bench
            .create(json!({"metadata": metadata, "spec": {"label": "a"}}))
            .await;
    }
    bench.small_parcel("d").await;
    for (labels, wanted) in [
        ("colour=red", "a"),
        ("colour==red,kind=box", "a"),
        ("colour!=red", "b c d"),
        ("colour in (red, green)", "a c"),
        ("colour notin (red),kind", "b c"),
        ("!kind", "d"),
        ("kind", "a b c"),
    ] {
        let list = bench
            .parcels()
            .list(&ListParams::default().labels(labels))
            .await
            .unwrap();
        let names: Vec<String> = list.iter().map(kube::ResourceExt::name_any).collect();
        assert_eq!(names.join(" "), wanted, "selected by {labels}");
    }
    for (fields, wanted) in [("metadata.name=b", "b"), ("metadata.name!=b", "a c d")] {
        let list = bench
            .parcels()
            .list(&ListParams::default().fields(fields))
            .await
            .unwrap();
        let names: Vec<String> = list.iter().map(kube::ResourceExt::name_any).collect();
        assert_eq!(names.join(" "), wanted, "selected by {fields}");
    }
    let status = refused(
        bench
            .parcels()
            .list(&ListParams::default().fields("spec.label=a"))
            .await,
    );
    assert_eq!((status.code, status.reason.as_str()), (400, "BadRequest"));
}

pub async fn lists_come_in_pages_of_one_revision(bench: Bench) {
    for name in ["a", "b", "c"] {
        bench.small_parcel(name).await;
    }
    let first = bench
        .parcels()
        .list(&ListParams::default().limit(2))
        .await
        .unwrap();
    assert_eq!(
        (first.items.len(), first.metadata.remaining_item_count),
        (2, Some(1))
    );
    let token = first.metadata.continue_.clone().unwrap();
    bench
        .parcels()
        .delete("c", &DeleteParams::default())
        .await
        .unwrap();
    bench.small_parcel("d").await;
    let next = ListParams::default().limit(2).continue_token(&token);
    let second = bench.parcels().list(&next).await.unwrap();
    let names: Vec<String> = second.iter().map(kube::ResourceExt::name_any).collect();
    assert_eq!(names, ["c"], "the second page is of the revision of the first");
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    assert!(second.metadata.continue_.unwrap_or_default().is_empty());
}

pub async fn metadata_alone_can_be_read(bench: Bench) {
    let object = bench.small_parcel("a").await;
    let partial = bench.parcels().get_metadata("a").await.unwrap();
    assert_eq!(partial.metadata, object.metadata);
    assert_eq!(partial.types.unwrap().kind, "PartialObjectMetadata");
    let list = bench
        .parcels()
        .list_metadata(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(list.items[0].metadata, object.metadata);
}

pub async fn a_dry_run_changes_nothing(bench: Bench) {
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let body = parcel(json!({"metadata": {"name": "a"}, "spec": {"label": "a"}}));
    let answer = bench.parcels().create(&dry, &body).await.unwrap();
    assert_eq!(
        answer.data["spec"]["size"], "Small",
        "admission runs in a dry run too"
    );
    assert!(refused(bench.parcels().get("a").await).is_not_found());
    let first = bench.small_parcel("a").await;
    let mut changed = first.clone();
    changed.data["spec"]["label"] = json!("b");
    bench.parcels().replace("a", &dry, &changed).await.unwrap();
    assert_eq!(bench.parcels().get("a").await.unwrap(), first);
}

pub async fn a_body_of_another_kind_is_refused(bench: Bench) {
    let body = json!({"apiVersion": format!("{GROUP}/v1"), "kind": "Letter", "metadata": {"name": "a"}, "spec": {"label": "a"}});
    let RawAnswer { code, body: answer } = bench
        .raw("POST", &bench.path(""), "application/json", &body)
        .await;
    assert_eq!(code, 422, "{answer}");
    let message = answer["message"].as_str().unwrap();
    assert!(
        message.contains("kind: Invalid value: \"Letter\": must be Parcel"),
        "{message}"
    );
    let RawAnswer { code, body: answer } = bench
        .raw(
            "POST",
            &bench.path(""),
            "application/json",
            &json!({"metadata": {"name": "a"}}),
        )
        .await;
    assert_eq!(
        (code, answer["reason"].as_str()),
        (400, Some("BadRequest")),
        "a custom resource says what it is"
    );
    let mut elsewhere = json!({"metadata": {"name": "a", "namespace": "default"}, "spec": {"label": "a"}});
    elsewhere["apiVersion"] = json!(format!("{GROUP}/v1"));
    elsewhere["kind"] = json!("Parcel");
    let RawAnswer { code, body: answer } = bench
        .raw("POST", &bench.path(""), "application/json", &elsewhere)
        .await;
    assert_eq!(
        (code, answer["message"].as_str()),
        (
            400,
            Some("the namespace of the provided object does not match the namespace sent on the request")
        )
    );
}

pub async fn a_collection_is_deleted_by_selector(bench: Bench) {
    for (name, colour) in [("a", "red"), ("b", "blue")] {
        let metadata = json!({"name": name, "labels": {"colour": colour}});
        bench
            .create(json!({"metadata": metadata, "spec": {"label": "a"}}))
            .await;
    }
    let red = ListParams::default().labels("colour=red");
    bench
        .parcels()
        .delete_collection(&DeleteParams::default(), &red)
        .await
        .unwrap();
    let left = bench.parcels().list(&ListParams::default()).await.unwrap();
    let names: Vec<String> = left.iter().map(kube::ResourceExt::name_any).collect();
    assert_eq!(names, ["b"]);
}
