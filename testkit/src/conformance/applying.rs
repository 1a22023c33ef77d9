//! Server-side apply, as far as it is used: ownership field by field, conflicts, force.

use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::bench::{Bench, Cause, RawAnswer, causes, refused, version};

pub async fn an_apply_creates_what_is_not_there(bench: Bench) {
    let body = json!({"spec": {"label": "a"}});
    let created = bench.apply("one", false, "a", body).await.unwrap();
    assert_eq!(
        (created.metadata.generation, &created.data["spec"]["size"]),
        (Some(1), &json!("Small"))
    );
    let owner = &created.metadata.managed_fields.unwrap()[0];
    assert_eq!(
        (owner.manager.as_deref(), owner.operation.as_deref()),
        (Some("one"), Some("Apply"))
    );
    assert_eq!(
        serde_json::to_value(&owner.fields_v1).unwrap(),
        json!({"f:spec": {"f:label": {}}})
    );
}

pub async fn an_apply_removes_what_its_manager_no_longer_mentions(bench: Bench) {
    let body = json!({
        "metadata": {"labels": {"colour": "red"}},
        "spec": {"label": "a", "address": "a@b", "notes": {"x": "1"}, "stamps": ["s", "t"]},
    });
    bench.apply("one", false, "a", body).await.unwrap();
    // Taking the address away is what a rule of the definition forbids: the rest can be removed.
    let less = json!({"spec": {"label": "a", "address": "a@b", "stamps": ["t"]}});
    let applied = bench.apply("one", false, "a", less).await.unwrap();
    assert_eq!(applied.data["spec"].get("notes"), None);
    assert_eq!(applied.data["spec"]["stamps"], json!(["t"]));
    assert_eq!(applied.metadata.labels, None);
    assert_eq!(
        applied.data["spec"]["size"], "Small",
        "defaults belong to nobody and stay"
    );
}

pub async fn an_apply_leaves_what_others_set(bench: Bench) {
    bench
        .apply(
            "one",
            false,
            "a",
            json!({"spec": {"label": "a", "notes": {"x": "1"}}}),
        )
        .await
        .unwrap();
    bench
        .apply("two", false, "a", json!({"spec": {"notes": {"y": "2"}}}))
        .await
        .unwrap();
    let applied = bench
        .apply("one", false, "a", json!({"spec": {"label": "a"}}))
        .await
        .unwrap();
    assert_eq!(applied.data["spec"]["notes"], json!({"y": "2"}));
}

pub async fn a_field_with_two_owners_stays_until_both_drop_it(bench: Bench) {
    let both = json!({"spec": {"label": "a", "notes": {"x": "1"}}});
    bench.apply("one", false, "a", both.clone()).await.unwrap();
    bench.apply("two", false, "a", both).await.unwrap();
    let without = json!({"spec": {"label": "a"}});
    let applied = bench.apply("one", false, "a", without.clone()).await.unwrap();
    assert_eq!(applied.data["spec"]["notes"], json!({"x": "1"}));
    let applied = bench.apply("two", false, "a", without).await.unwrap();
    assert_eq!(applied.data["spec"].get("notes"), None);
}

pub async fn an_apply_over_anothers_value_conflicts_unless_forced(bench: Bench) {
    bench
        .apply("one", false, "a", json!({"spec": {"label": "a", "weight": 2}}))
        .await
        .unwrap();
    let other = json!({"spec": {"label": "b", "weight": 2}});
    let status = refused(bench.apply("two", false, "a", other.clone()).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert_eq!(
        status.message,
        "Apply failed with 1 conflict: conflict with \"one\": .spec.label"
    );
    assert_eq!(
        causes(&status),
        [Cause::new(".spec.label", "conflict with \"one\"")]
    );
    let applied = bench.apply("two", true, "a", other).await.unwrap();
    assert_eq!(applied.data["spec"]["label"], "b");
    let status = refused(
        bench
            .apply("one", false, "a", json!({"spec": {"label": "a", "weight": 2}}))
            .await,
    );
    assert!(
        status.message.contains("conflict with \"two\""),
        "the field has changed hands"
    );
}

pub async fn an_update_takes_fields_away_from_an_applier(bench: Bench) {
    bench
        .apply("one", false, "a", json!({"spec": {"label": "a"}}))
        .await
        .unwrap();
    let patch = Patch::Merge(json!({"spec": {"label": "b"}}));
    let hand = PatchParams {
        field_manager: Some("hand".to_owned()),
        ..PatchParams::default()
    };
    bench.parcels().patch("a", &hand, &patch).await.unwrap();
    let status = refused(
        bench
            .apply("one", false, "a", json!({"spec": {"label": "a"}}))
            .await,
    );
    assert_eq!(status.code, 409);
    assert!(
        status
            .message
            .starts_with("Apply failed with 1 conflict: conflict with \"hand\" using "),
        "{status:?}"
    );
}

pub async fn lists_with_keys_merge_by_key(bench: Bench) {
    let one = json!({"spec": {"label": "a", "stops": [{"city": "Bonn", "hours": 1}, {"city": "Kiel"}]}});
    bench.apply("one", false, "a", one).await.unwrap();
    let two = json!({"spec": {"stops": [{"city": "Bonn", "open": true}, {"city": "Ulm", "hours": 3}]}});
    let applied = bench.apply("two", false, "a", two).await.unwrap();
    assert_eq!(
        applied.data["spec"]["stops"],
        json!([
            {"city": "Bonn", "hours": 1, "open": true}, {"city": "Kiel", "hours": 24}, {"city": "Ulm", "hours": 3},
        ])
    );
    let fewer = json!({"spec": {"label": "a", "stops": [{"city": "Kiel"}]}});
    let applied = bench.apply("one", false, "a", fewer).await.unwrap();
    let mut stops = applied.data["spec"]["stops"].as_array().unwrap().clone();
    stops.sort_by_key(Value::to_string);
    assert_eq!(
        stops,
        [
            json!({"city": "Bonn", "hours": 24, "open": true}),
            json!({"city": "Kiel", "hours": 24}),
            json!({"city": "Ulm", "hours": 3}),
        ]
    );
}

pub async fn an_applied_status_leaves_the_spec_and_other_managers_conditions(bench: Bench) {
    bench.small_parcel("a").await;
    let ready = json!({"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-22T09:00:00Z"});
    let body = json!({"spec": {"label": "b"}, "status": {"phase": "Sent", "conditions": [ready]}});
    let applied = bench.apply_status("one", "a", body).await.unwrap();
    assert_eq!(
        (&applied.data["spec"]["label"], &applied.data["status"]["phase"]),
        (&json!("a"), &json!("Sent"))
    );
    assert_eq!(applied.metadata.generation, Some(1));
    let other = json!({"type": "Checked", "status": "True"});
    bench
        .apply_status("two", "a", json!({"status": {"conditions": [other]}}))
        .await
        .unwrap();
    let applied = bench
        .apply_status("one", "a", json!({"status": {"conditions": [ready]}}))
        .await
        .unwrap();
    assert_eq!(
        applied.data["status"],
        json!({"conditions": [ready, other]}),
        "the phase went, the condition stays"
    );
    let owners = applied.metadata.managed_fields.unwrap();
    let own = owners
        .iter()
        .find(|owner| owner.manager.as_deref() == Some("one"))
        .unwrap();
    assert_eq!(own.subresource.as_deref(), Some("status"));
}

pub async fn an_apply_that_changes_nothing_leaves_the_resource_version(bench: Bench) {
    let body = json!({"spec": {"label": "a", "notes": {"x": "1"}}});
    let first = bench.apply("one", false, "a", body.clone()).await.unwrap();
    let again = bench.apply("one", false, "a", body.clone()).await.unwrap();
    assert_eq!(version(&again), version(&first));
    let shared = bench.apply("two", false, "a", body).await.unwrap();
    assert_ne!(version(&shared), version(&first), "another owner is a change");
    let status = json!({"status": {"phase": "Sent"}});
    let first = bench.apply_status("one", "a", status.clone()).await.unwrap();
    let again = bench.apply_status("one", "a", status).await.unwrap();
    assert_eq!(version(&again), version(&first));
}

pub async fn an_apply_with_an_old_resource_version_conflicts(bench: Bench) {
    let first = bench
        .apply("one", false, "a", json!({"spec": {"label": "a"}}))
        .await
        .unwrap();
    let newer = bench
        .apply("one", false, "a", json!({"spec": {"label": "b"}}))
        .await
        .unwrap();
    let stale = json!({"metadata": {"resourceVersion": version(&first)}, "spec": {"label": "c"}});
    assert!(refused(bench.apply("one", true, "a", stale).await).is_conflict());
    let fresh = json!({"metadata": {"resourceVersion": version(&newer)}, "spec": {"label": "c"}});
    assert_eq!(
        bench.apply("one", true, "a", fresh).await.unwrap().data["spec"]["label"],
        "c"
    );
    let stale = json!({"metadata": {"resourceVersion": version(&first)}, "status": {"phase": "Sent"}});
    assert!(refused(bench.apply_status("one", "a", stale).await).is_conflict());
}

pub async fn an_apply_of_a_status_without_its_object_is_not_found(bench: Bench) {
    let status = refused(
        bench
            .apply_status("one", "a", json!({"status": {"phase": "Sent"}}))
            .await,
    );
    assert!(status.is_not_found());
}

pub async fn an_apply_needs_a_field_manager(bench: Bench) {
    let body = json!({"metadata": {"name": "a"}, "spec": {"label": "a"}});
    let RawAnswer { code, body: answer } = bench
        .raw("PATCH", &bench.path("a"), "application/apply-patch+yaml", &body)
        .await;
    assert_eq!(code, 422, "{answer}");
    assert_eq!(
        answer["message"],
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
    );
}
