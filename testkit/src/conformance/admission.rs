//! Schemas, defaults, pruning and CEL rules.

use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::Status;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};

use super::bench::{
    Bench, Cause, GROUP, RawAnswer, causes, depot_definition, eventually, install, refused, uninstall,
};

async fn refusal_of(bench: &Bench, spec: Value) -> Status {
    let status = bench
        .refusal(json!({"metadata": {"name": "a"}, "spec": spec}))
        .await;
    assert_eq!(
        (status.code, status.reason.as_str()),
        (422, "Invalid"),
        "{status:?}"
    );
    status
}

/// What the server says about one field of an otherwise good spec.
async fn complaint(bench: &Bench, field: &str, value: Value) -> String {
    let mut spec = json!({"label": "a"});
    spec[field] = value;
    let status = refusal_of(bench, spec).await;
    let start = format!("Parcel.{GROUP} \"a\" is invalid: ");
    status
        .message
        .strip_prefix(&start)
        .unwrap_or_else(|| panic!("{status:?}"))
        .to_owned()
}

pub async fn a_time_is_hardly_looked_at(bench: Bench) {
    for text in [
        "2026-01-01T00:00:00Z",
        "2026-01-01t00:00:00z",
        "2024-02-29T23:59:59.123456789123+23:59",
        "2026-01-01T00:00:00+99:99",
        "2026-01-01T00:00:00ZT25:61:61Z",
        "2026-01-01T00:00:00x5Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    ] {
        let name = bench.parcels().list(&ListParams::default()).await.unwrap();
        let metadata = json!({"name": format!("p{}", name.items.len())});
        bench
            .create(json!({"metadata": metadata, "spec": {"label": "a", "sent": text}}))
            .await;
    }
    for text in [
        "",
        "2026-01-01",
        "2026-02-30T00:00:00Z",
        "2026-1-1T00:00:00Z",
        "20260101T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00Z",
        "2026-01-01 00:00:00Z",
        "+2026-01-01T00:00:00Z",
    ] {
        let said = complaint(&bench, "sent", json!(text)).await;
        assert!(
            said.contains("spec.sent in body must be of type date-time"),
            "{text}: {said}"
        );
    }
}

pub async fn values_outside_the_schema_are_refused_with_their_fields(bench: Bench) {
    for (field, value, wanted) in [
        (
            "label",
            json!(""),
            "spec.label: Invalid value: \"\": spec.label in body should be at least 1 chars long",
        ),
        (
            "weight",
            json!(0),
            "spec.weight: Invalid value: 0: spec.weight in body should be greater than or equal to 1",
        ),
        (
            "weight",
            json!(101),
            "spec.weight: Invalid value: 101: spec.weight in body should be less than or equal to 100",
        ),
        (
            "address",
            json!("nobody"),
            "spec.address: Invalid value: \"nobody\": spec.address in body should match '^[^@]+@[^@]+$'",
        ),
    ] {
        let said = complaint(&bench, field, value).await;
        assert!(said.contains(wanted), "{field}: {said}");
    }
    for (field, value, wanted) in [
        (
            "label",
            json!("123456789012345678901"),
            "spec.label: Too long: may not be more than 20 bytes",
        ),
        (
            "weight",
            json!("heavy"),
            "spec.weight: Invalid value: \"string\": spec.weight in body must be of type integer: \"string\"",
        ),
        (
            "weight",
            json!(1.5),
            "spec.weight: Invalid value: \"float64\": spec.weight in body must be of type int32: \"float64\"",
        ),
        (
            "stops",
            json!([{"city": "x", "hours": 1.5}]),
            "spec.stops[0].hours: Invalid value: \"number\": spec.stops[0].hours in body must be of type integer: \"number\"",
        ),
        (
            "weight",
            json!(5_000_000_000_u64),
            "<nil>: Invalid value: \"\": Checked value must be of type integer with format int32 in spec.weight",
        ),
        (
            "size",
            json!("Tiny"),
            "spec.size: Unsupported value: \"Tiny\": supported values: \"Small\", \"Medium\", \"Large\"",
        ),
        (
            "stamps",
            json!(["1", "2", "3", "4", "5", "6"]),
            "spec.stamps: Too many: 6: must have at most 5 items",
        ),
        (
            "notes",
            json!({"a": "", "b": "", "c": "", "d": ""}),
            "spec.notes: Too many: 4: must have at most 3 items",
        ),
        (
            "notes",
            json!({"a": 1}),
            "spec.notes.a: Invalid value: \"integer\": spec.notes.a in body must be of type string: \"integer\"",
        ),
        (
            "stops",
            json!([{"city": 1}]),
            "spec.stops[0].city: Invalid value: \"integer\": spec.stops[0].city in body must be of type string: \"integer\"",
        ),
        (
            "limit",
            json!(true),
            "spec.limit: Invalid value: \"boolean\": spec.limit in body must be of type integer,string: \"boolean\"",
        ),
    ] {
        let said = complaint(&bench, field, value).await;
        assert!(said.contains(wanted), "{field}: {said}");
    }
    for limit in [json!(3), json!("3%")] {
        let body = json!({"metadata": {"generateName": "fine-"}, "spec": {"label": "a", "limit": limit}});
        bench.create(body).await;
    }
}

pub async fn a_missing_required_field_is_named(bench: Bench) {
    let status = refusal_of(&bench, json!({"stops": [{"hours": 1}]})).await;
    let causes = causes(&status);
    assert!(
        causes.contains(&Cause::new("spec.label", "Required value")),
        "{causes:?}"
    );
    assert!(
        causes.contains(&Cause::new("spec.stops[0].city", "Required value")),
        "{causes:?}"
    );
    let details = status.details.unwrap();
    assert_eq!(
        (
            details.name.as_str(),
            details.group.as_str(),
            details.kind.as_str()
        ),
        ("a", GROUP, "Parcel")
    );
}

pub async fn unknown_fields_are_pruned_unless_preserved(bench: Bench) {
    let body = json!({
        "metadata": {"name": "a"},
        "spec": {"label": "a", "colour": "red", "free": {"any": {"thing": [1]}}, "stops": [{"city": "Ulm", "x": 1}]},
        "other": 1,
    });
    let created = bench.create(body).await;
    assert_eq!(created.data["spec"].get("colour"), None);
    assert_eq!(created.data.get("other"), None);
    assert_eq!(created.data["spec"]["free"], json!({"any": {"thing": [1]}}));
    assert_eq!(
        created.data["spec"]["stops"],
        json!([{"city": "Ulm", "hours": 24}])
    );
}

pub async fn unknown_fields_are_refused_on_strict_validation(bench: Bench) {
    let mut body = json!({"metadata": {"name": "a"}, "spec": {"label": "a", "colour": "red"}});
    body["apiVersion"] = json!(format!("{GROUP}/v1"));
    body["kind"] = json!("Parcel");
    let path = format!("{}?fieldValidation=Strict", bench.path(""));
    let RawAnswer { code, body: answer } = bench.raw("POST", &path, "application/json", &body).await;
    assert_eq!((code, answer["reason"].as_str()), (400, Some("BadRequest")));
    assert!(
        answer["message"]
            .as_str()
            .unwrap()
            .contains("strict decoding error: unknown field \"spec.colour\""),
        "{answer}"
    );
}

pub async fn defaults_are_filled_in_on_every_write(bench: Bench) {
    let created = bench.small_parcel("a").await;
    let full = json!({"label": "a", "weight": 1, "size": "Small", "options": {"insured": false}});
    assert_eq!(created.data["spec"], full);
    let mut bare = created.clone();
    bare.data["spec"] = json!({"label": "a"});
    let replaced = bench
        .parcels()
        .replace("a", &PostParams::default(), &bare)
        .await
        .unwrap();
    assert_eq!(replaced.data["spec"], full);
    assert_eq!(
        replaced.metadata.generation,
        Some(1),
        "leaving defaults out is no change"
    );
}

pub async fn null_counts_as_absent_unless_it_is_allowed(bench: Bench) {
    let body = json!({
        "metadata": {"name": "a"},
        "spec": {
            "label": "a", "size": null, "fragile": null, "address": null, "notes": {"x": null},
            "stops": [{"city": "Ulm", "open": null}], "free": {"x": null},
        },
    });
    let created = bench.create(body).await;
    assert_eq!(created.data["spec"]["size"], "Small");
    assert_eq!(created.data["spec"].get("fragile"), Some(&Value::Null));
    assert_eq!(created.data["spec"].get("address"), None);
    assert_eq!(created.data["spec"]["notes"], json!({}));
    assert_eq!(
        created.data["spec"]["stops"],
        json!([{"city": "Ulm", "hours": 24}])
    );
    assert_eq!(created.data["spec"]["free"], json!({"x": null}));
    let said = complaint(&bench, "label", Value::Null).await;
    assert!(said.contains("spec.label: Required value"), "{said}");
}

pub async fn duplicates_in_sets_and_keyed_lists_are_refused(bench: Bench) {
    let said = complaint(&bench, "stamps", json!(["s", "t", "s"])).await;
    assert_eq!(said, "spec.stamps[2]: Duplicate value: \"s\"");
    let said = complaint(
        &bench,
        "stops",
        json!([{"city": "Ulm"}, {"city": "Ulm", "hours": 2}]),
    )
    .await;
    assert_eq!(said, "spec.stops[1]: Duplicate value: {\"city\":\"Ulm\"}");
}

pub async fn rules_see_the_whole_object(bench: Bench) {
    let status = refusal_of(&bench, json!({"label": "a", "weight": 60})).await;
    let causes = causes(&status);
    assert_eq!(causes.len(), 1, "{causes:?}");
    assert_eq!(
        causes[0],
        Cause::new("spec", "Invalid value: heavy parcels are Large")
    );
    bench
        .create(json!({"metadata": {"name": "a"}, "spec": {"label": "a", "weight": 60, "size": "Large"}}))
        .await;
}

pub async fn rules_name_the_field_and_the_reason_they_say(bench: Bench) {
    let status = refusal_of(&bench, json!({"label": "a", "options": {"insured": true}})).await;
    assert_eq!(
        status.message,
        format!(
            "Parcel.{GROUP} \"a\" is invalid: spec.options.value: Required value: an insured Small parcel needs a value"
        )
    );
    assert_eq!(status.details.unwrap().causes[0].reason, "FieldValueRequired");
}

pub async fn transition_rules_compare_with_what_was_there(bench: Bench) {
    let spec = json!({"label": "a", "carrier": "Post", "address": "a@b"});
    let mut object = bench
        .create(json!({"metadata": {"name": "a"}, "spec": spec}))
        .await;
    object.data["spec"]["carrier"] = json!("Pigeon");
    let status = refused(
        bench
            .parcels()
            .replace("a", &PostParams::default(), &object)
            .await,
    );
    assert_eq!(
        status.message,
        format!(
            "Parcel.{GROUP} \"a\" is invalid: spec.carrier: Invalid value: \"Pigeon\": carrier is immutable"
        )
    );
    object.data["spec"] = json!({"label": "a", "carrier": "Post"});
    let status = refused(
        bench
            .parcels()
            .replace("a", &PostParams::default(), &object)
            .await,
    );
    assert_eq!(
        status.message,
        format!("Parcel.{GROUP} \"a\" is invalid: spec: Forbidden: the address cannot be taken away")
    );
    object.data["spec"] = json!({"label": "b", "address": "c@d"});
    bench
        .parcels()
        .replace("a", &PostParams::default(), &object)
        .await
        .unwrap();
}

pub async fn rules_wait_until_the_schema_holds(bench: Bench) {
    let status = refusal_of(&bench, json!({"label": "a", "weight": 60, "size": "Tiny"})).await;
    assert!(!status.message.contains("heavy parcels are Large"));
    assert!(
        status.message.contains(
            "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; \
             correct the existing errors to complete validation"
        ),
        "{status:?}"
    );
}

pub async fn the_status_is_validated_too(bench: Bench) {
    bench.small_parcel("a").await;
    let patch = Patch::Merge(json!({"status": {"count": -1}}));
    let status = refused(
        bench
            .parcels()
            .patch_status("a", &PatchParams::default(), &patch)
            .await,
    );
    assert_eq!(
        status.message,
        format!(
            "Parcel.{GROUP} \"a\" is invalid: status.count: Invalid value: -1: count in body should be greater \
             than or equal to 0"
        )
    );
    let patch = Patch::Merge(
        json!({"status": {"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "now"}]}}),
    );
    let status = refused(
        bench
            .parcels()
            .patch_status("a", &PatchParams::default(), &patch)
            .await,
    );
    assert!(status.message.contains("status.conditions[0].lastTransitionTime: Invalid value: \"now\": conditions[0].lastTransitionTime in body must be of type date-time: \"now\""), "{status:?}");
    let patch = Patch::Merge(json!({"status": {"unknown": 1, "phase": "Sent"}}));
    let patched = bench
        .parcels()
        .patch_status("a", &PatchParams::default(), &patch)
        .await
        .unwrap();
    assert_eq!(patched.data["status"], json!({"phase": "Sent"}));
}

pub async fn unchanged_values_are_not_judged_again_when_a_schema_tightens(bench: Bench) {
    install(
        &bench.client,
        depot_definition("barns", &json!({"type": "integer"})),
    )
    .await;
    let barns = depots(&bench, "barns");
    let barn = |body: Value| -> DynamicObject {
        let mut body = body;
        body["apiVersion"] = json!(format!("{GROUP}/v1"));
        body["kind"] = json!("Barn");
        serde_json::from_value(body).unwrap()
    };
    let old = barns
        .create(
            &PostParams::default(),
            &barn(json!({"metadata": {"generateName": "a-"}, "spec": {"capacity": 500}})),
        )
        .await
        .unwrap();
    install(
        &bench.client,
        depot_definition("barns", &json!({"type": "integer", "maximum": 100})),
    )
    .await;
    let too_large = barn(json!({"metadata": {"generateName": "b-"}, "spec": {"capacity": 500}}));
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    eventually("the tighter schema holds", || async {
        barns.create(&dry, &too_large).await.is_err()
    })
    .await;
    let mut kept = old.clone();
    kept.data["spec"]["keeper"] = json!("Ann");
    let name = old.name_any();
    let kept = barns.replace(&name, &PostParams::default(), &kept).await.unwrap();
    assert_eq!(kept.metadata.generation, Some(2));
    let mut worse = kept.clone();
    worse.data["spec"]["capacity"] = json!(501);
    assert!(refused(barns.replace(&name, &PostParams::default(), &worse).await).is_invalid());
    uninstall(&bench.client, "barns").await;
}

/// The API of a definition built by [`depot_definition`].
pub fn depots(bench: &Bench, plural: &str) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: GROUP.to_owned(),
        version: "v1".to_owned(),
        api_version: format!("{GROUP}/v1"),
        kind: format!("{}{}", plural[..1].to_uppercase(), &plural[1..plural.len() - 1]),
        plural: plural.to_owned(),
    };
    Api::all_with(bench.client.clone(), &resource)
}
