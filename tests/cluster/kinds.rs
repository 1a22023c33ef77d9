//! The three custom resources as the API server takes and refuses them.

use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, PostParams, ValidationDirective};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use shared_mailbox_operator::api::{ExchangeTenant, MailboxPermission, SharedMailbox, all_crds};

use super::server::{client, kubectl, shared};
use testkit::longest_address;

/// One kind in one namespace, or everywhere.
struct Kind {
    api: Api<DynamicObject>,
    resource: ApiResource,
}

impl Kind {
    fn manifest(&self, name: &str, spec: &Value) -> DynamicObject {
        let manifest = json!({
            "apiVersion": self.resource.api_version, "kind": self.resource.kind,
            "metadata": { "name": name }, "spec": spec
        });
        serde_json::from_value(manifest).unwrap()
    }

    async fn create(&self, name: &str, spec: &Value) -> Result<DynamicObject, kube::Error> {
        self.api
            .create(&PostParams::default(), &self.manifest(name, spec))
            .await
    }

    /// Why the server refuses to create it.
    async fn refusal(&self, spec: &Value) -> String {
        said(self.create("refused", spec).await)
    }

    /// Why the server refuses to change a part of it.
    async fn refusal_of_change(&self, name: &str, spec: &Value) -> String {
        let patch = Patch::Merge(json!({ "spec": spec }));
        said(self.api.patch(name, &PatchParams::default(), &patch).await)
    }
}

fn said(result: Result<DynamicObject, kube::Error>) -> String {
    match result {
        Err(kube::Error::Api(status)) => status.message,
        Ok(taken) => format!("taken: {}", taken.data["spec"]),
        Err(other) => panic!("{other}"),
    }
}

struct Kinds {
    mailboxes: Kind,
    permissions: Kind,
    tenants: Kind,
}

impl Kinds {
    async fn of(client: Client, namespace: &str) -> Self {
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
        let wanted = serde_json::from_value(json!({ "metadata": { "name": namespace } })).unwrap();
        namespaces.create(&PostParams::default(), &wanted).await.unwrap();
        let of_teams = |resource: ApiResource| Kind {
            api: Api::namespaced_with(client.clone(), namespace, &resource),
            resource,
        };
        let tenant = ApiResource::erase::<ExchangeTenant>(&());
        Self {
            mailboxes: of_teams(ApiResource::erase::<SharedMailbox>(&())),
            permissions: of_teams(ApiResource::erase::<MailboxPermission>(&())),
            tenants: Kind {
                api: Api::all_with(client.clone(), &tenant),
                resource: tenant,
            },
        }
    }
}

/// A spec with some fields changed; null takes one away.
fn with(mut spec: Value, path: &str, value: &Value) -> Value {
    let (parent, field) = path.rsplit_once('/').unwrap();
    let parent = spec.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(field).unwrap();
    } else {
        parent.insert(field.to_owned(), value.clone());
    }
    spec
}

fn mailbox() -> Value {
    json!({ "displayName": "Sales", "emailAddress": "sales@contoso.com", "tenantRef": { "name": "nowhere" } })
}

fn permission() -> Value {
    json!({
        "tenantRef": { "name": "nowhere" }, "mailboxRef": { "name": "sales" },
        "members": [{ "user": "first.member@contoso.com" }], "rights": ["FullAccess"]
    })
}

fn tenant() -> Value {
    json!({
        "tenantId": "99999999-2222-3333-4444-555555555555",
        "management": "Paused",
        "credentials": {
            "clientId": "66666666-7777-8888-9999-000000000000",
            "clientSecretRef": { "name": "nothing" }
        },
        "ownership": {}, "drift": {}, "limits": {}, "endpoints": {},
        "access": [{ "namespaces": { "names": ["nobody"] }, "addresses": ["*@contoso.com"] }]
    })
}

fn texts(count: usize, text: impl Fn(usize) -> String) -> Value {
    (0..count).map(text).collect()
}

#[tokio::test]
async fn our_custom_resources_apply_without_a_warning_and_with_structural_schemas() {
    let Some(shared) = shared() else { return };
    assert!(!shared.applying.contains("Warning"), "{}", shared.applying);
    let applied = shared.applying.matches("serverside-applied").count();
    assert_eq!(applied, all_crds().len(), "{}", shared.applying);
    for crd in all_crds() {
        let read = format!("get crd {} -o jsonpath={{.status.conditions}}", crd.name_any());
        let conditions: Value =
            serde_json::from_str(&kubectl(&shared.control_plane, &read).unwrap()).unwrap();
        let holds = |kind: &str| {
            conditions
                .as_array()
                .unwrap()
                .iter()
                .any(|c| c["type"] == kind && c["status"] == "True")
        };
        assert!(holds("Established") && holds("NamesAccepted"), "{conditions}");
        assert!(!holds("NonStructuralSchema"), "{conditions}");
    }
    let found = kubectl(&shared.control_plane, "api-resources --categories=mail -o name").unwrap();
    assert_eq!(found.lines().count(), 3, "{found}");
    for short in ["smbx", "mbxperm", "xtenant"] {
        kubectl(&shared.control_plane, &format!("get {short} -A")).unwrap();
    }
}

#[tokio::test]
async fn the_largest_legal_object_of_each_kind_is_taken() {
    let Some(shared) = shared() else { return };
    let kinds = Kinds::of(client(&shared.control_plane).await, "largest").await;
    let longest_name = "n".repeat(253);
    let largest = json!({
        "tenantRef": { "name": longest_name }, "displayName": "ä".repeat(256),
        "emailAddress": longest_address(0), "alias": "a".repeat(64),
        "aliases": texts(300, longest_address), "signIn": "Allowed", "management": "Enforce",
        "deletionPolicy": "Retain", "permissions": { "mode": "Exclusive", "ignore": texts(32, longest_address) }
    });
    kinds.mailboxes.create(&longest_name, &largest).await.unwrap();

    let members: Vec<Value> = (0..500)
        .map(|number| json!({ "group": longest_address(number), "expand": true }))
        .collect();
    let largest = json!({
        "tenantRef": { "name": longest_name }, "mailboxRef": { "name": longest_name },
        "members": members, "rights": ["FullAccess", "SendAs", "SendOnBehalf"], "autoMapping": false,
        "expiresAt": "2027-01-31T12:34:56Z", "reason": "ä".repeat(256)
    });
    kinds.permissions.create(&longest_name, &largest).await.unwrap();
    // Transition rules cost more than the others: they compare with what was there.
    let kept = Patch::Merge(json!({ "spec": { "autoMapping": true, "members": members } }));
    kinds
        .permissions
        .api
        .patch(&longest_name, &PatchParams::default(), &kept)
        .await
        .unwrap();

    let rules = |patterns: Value, others: &Value| {
        let rule = json!({
            "namespaces": { "names": texts(64, |number| format!("{number:n>63}")) },
            "addresses": patterns, "members": others, "groups": others,
            "rights": ["FullAccess", "SendAs", "SendOnBehalf"], "powers": ["AllowSignIn", "Exclusive"],
            "maxMailboxes": 100_000
        });
        Value::from(vec![rule; 64])
    };
    let spec = |access: &Value| with(tenant(), "/access", access);
    // Every list full. (With all three lists full of the longest addresses it would be more than etcd stores.)
    let short = texts(32, |number| format!("person.number.{number}@sales.contoso.com"));
    let full = spec(&rules(texts(32, longest_address), &short));
    let full = with(
        full,
        "/departed",
        &texts(1000, |number| format!("person.{number}@sales.contoso.com")),
    );
    let full = with(
        full,
        "/protectedTrustees",
        &texts(100, |number| format!("service.{number}@sales.contoso.com")),
    );
    kinds.tenants.create("largest", &full).await.unwrap();
    let kept = Patch::Merge(json!({ "spec": { "limits": { "writesPerMinute": 6000 } } }));
    kinds
        .tenants
        .api
        .patch("largest", &PatchParams::default(), &kept)
        .await
        .unwrap();
}

/// A field, a value that is one too much for it (null: left out), and the words that the refusal must have.
type Case = (&'static str, Value, &'static str, &'static str);

async fn each_is_refused(kind: &Kind, legal: &Value, cases: impl IntoIterator<Item = Case>) {
    for (path, value, field, why) in cases {
        let message = kind.refusal(&with(legal.clone(), path, &value)).await;
        let expected = message.contains(field) && message.contains(why);
        assert!(expected, "{path} {value}: {message}");
    }
}

#[tokio::test]
async fn a_mailbox_outside_its_bounds_is_refused_with_field_and_reason() {
    let Some(shared) = shared() else { return };
    let kinds = Kinds::of(client(&shared.control_plane).await, "mailbox-bounds").await;
    let too_long = format!("{}m", longest_address(0));
    let too_many = texts(301, longest_address);
    let nameless = json!({ "name": "" });
    let long_named = json!({ "name": "n".repeat(254) });
    #[rustfmt::skip]
    let cases: [Case; 20] = [
        ("/displayName", Value::Null, "spec.displayName", "Required value"),
        ("/displayName", json!(""), "spec.displayName", "at least 1 chars long"),
        ("/displayName", json!("x".repeat(257)), "spec.displayName", "may not be more than 256"),
        ("/emailAddress", Value::Null, "spec.emailAddress", "Required value"),
        ("/emailAddress", json!("sales(at)contoso.com"), "spec.emailAddress", "should match '^"),
        ("/emailAddress", json!("sales@contoso"), "spec.emailAddress", "should match '^"),
        ("/emailAddress", json!("sales team@contoso.com"), "spec.emailAddress", "should match '^"),
        ("/emailAddress", json!(too_long), "spec.emailAddress", "more than 320"),
        ("/alias", json!(""), "spec.alias", "at least 1 chars long"),
        ("/alias", json!("sales team"), "spec.alias", "should match '^"),
        ("/alias", json!(".sales"), "spec.alias", "should match '^"),
        ("/alias", json!("a".repeat(65)), "spec.alias", "may not be more than 64"),
        ("/aliases", too_many, "spec.aliases", "must have at most 300 items"),
        ("/aliases", json!(["info"]), "spec.aliases[0]", "should match '^"),
        ("/signIn", json!("Open"), "spec.signIn", r#"supported values: "Blocked", "Allowed""#),
        ("/management", json!("Approve"), "spec.management", "Unsupported value"),
        (
            "/deletionPolicy",
            json!("Purge"),
            "spec.deletionPolicy",
            r#"supported values: "Retain", "RevokePermissions""#,
        ),
        ("/automaticReplies", json!({ "state": "Disabled", "end": "2026-01-01T00:00:00+99:99" }),
         "spec.automaticReplies.end", "should match '^"),
        ("/tenantRef", nameless, "spec.tenantRef.name", "at least 1 chars long"),
        ("/tenantRef", long_named, "spec.tenantRef.name", "more than 253"),
    ];
    each_is_refused(&kinds.mailboxes, &mailbox(), cases).await;
}

#[tokio::test]
async fn a_permission_outside_its_bounds_is_refused_with_field_and_reason() {
    let Some(shared) = shared() else { return };
    let kinds = Kinds::of(client(&shared.control_plane).await, "permission-bounds").await;
    let both = json!([{ "user": "a@contoso.com", "group": "b@contoso.com" }]);
    let too_many = (0..501)
        .map(|number| json!({ "user": longest_address(number) }))
        .collect();
    #[rustfmt::skip]
    let cases: [Case; 15] = [
        ("/mailboxRef", Value::Null, "spec.mailboxRef", "Required value"),
        ("/mailboxRef", json!({ "name": "" }), "spec.mailboxRef.name", "at least 1 chars long"),
        ("/members", Value::Null, "spec.members", "Required value"),
        ("/members", too_many, "spec.members", "must have at most 500 items"),
        ("/members", both, "spec.members[0]", "a member is either a user or a group"),
        ("/members", json!([{}]), "spec.members[0]", "a member is either a user or a group"),
        ("/members", json!([{ "user": "first.member" }]), "spec.members[0].user", "should match"),
        ("/members", json!([{ "group": "*@contoso" }]), "spec.members[0].group", "should match"),
        ("/rights", Value::Null, "spec.rights", "Required value"),
        ("/rights", json!([]), "spec.rights", "should have at least 1 items"),
        ("/rights", json!(["SendAs", "SendAs"]), "spec.rights[1]", "Duplicate value"),
        ("/rights", json!(["ReadPermission"]), "spec.rights[0]", "Unsupported value"),
        ("/expiresAt", json!("2026-01-01T00:00:00Zt"), "spec.expiresAt", "should match '^"),
        ("/expiresAt", json!("9999-12-31T23:59:59Z"), "spec.expiresAt", "should match '^"),
        ("/autoMapping", json!("no"), "spec.autoMapping", "must be of type boolean"),
    ];
    each_is_refused(&kinds.permissions, &permission(), cases).await;
}

#[tokio::test]
async fn a_tenant_outside_its_bounds_is_refused_with_field_and_reason() {
    let Some(shared) = shared() else { return };
    let kinds = Kinds::of(client(&shared.control_plane).await, "tenant-bounds").await;
    #[rustfmt::skip]
    let cases: [Case; 20] = [
        ("/tenantId", Value::Null, "spec.tenantId", "Required value"),
        ("/tenantId", json!("contoso.onmicrosoft.com"), "spec.tenantId", "should match"),
        ("/cloud", json!("Moon"), "spec.cloud", "Unsupported value"),
        ("/management", json!("Approve"), "spec.management", "Unsupported value"),
        ("/credentials", Value::Null, "spec.credentials", "Required value"),
        ("/credentials/clientId", json!("app"), "spec.credentials.clientId", "should match"),
        ("/credentials/clientSecretRef", json!({ "name": "" }), "clientSecretRef.name", "at least 1 chars"),
        ("/signInControl", json!("Neither"), "spec.signInControl", "Unsupported value"),
        ("/ownership/clusterId", json!(""), "spec.ownership.clusterId", "at least 1 chars"),
        ("/ownership/clusterId", json!("-a"), "spec.ownership.clusterId", "should match"),
        ("/ownership/clusterId", json!("c".repeat(64)), "spec.ownership.clusterId", "more than 63"),
        ("/ownership/markerAttribute", json!("CustomAttribute16"), "markerAttribute", "Unsupported value"),
        ("/ownership/succeeds", json!(["production-1"]), "spec.ownership.succeeds[0]", "should match"),
        ("/drift/interval", json!("1d"), "spec.drift.interval", "should match"),
        ("/limits/maxConcurrentRequests", json!(0), "maxConcurrentRequests", "greater than or equal to 1"),
        ("/limits/maxConcurrentRequests", json!(11), "maxConcurrentRequests", "less than or equal to 10"),
        ("/limits/writesPerMinute", json!(0), "writesPerMinute", "greater than or equal to 1"),
        ("/limits/writesPerMinute", json!(6001), "writesPerMinute", "less than or equal to 6000"),
        ("/endpoints/exchange", json!("ftp://127.0.0.1"), "spec.endpoints.exchange", "should match"),
        ("/endpoints/graph", json!("https://graph.example/v1"), "spec.endpoints.graph", "should match"),
    ];
    each_is_refused(&kinds.tenants, &tenant(), cases).await;
}

#[tokio::test]
async fn an_access_rule_outside_its_bounds_is_refused_with_field_and_reason() {
    let Some(shared) = shared() else { return };
    let kinds = Kinds::of(client(&shared.control_plane).await, "rule-bounds").await;
    let too_many = texts(33, longest_address);
    let namespaces = |names: Value| json!({ "names": names });
    let many_names = texts(65, |number| number.to_string());
    #[rustfmt::skip]
    let cases: [Case; 12] = [
        ("/access/0/addresses", json!([]), "spec.access[0].addresses", "at least 1 items"),
        ("/access/0/addresses", too_many.clone(), "spec.access[0].addresses", "at most 32 items"),
        ("/access/0/addresses", json!(["*"]), "spec.access[0].addresses[0]", "should match"),
        ("/access/0/members", too_many.clone(), "spec.access[0].members", "at most 32 items"),
        ("/access/0/groups", too_many, "spec.access[0].groups", "at most 32 items"),
        ("/access/0/rights", json!(["Everything"]), "spec.access[0].rights[0]", "Unsupported value"),
        ("/access/0/powers", json!(["Purge"]), "spec.access[0].powers[0]", "Unsupported value"),
        ("/access/0/maxMailboxes", json!(-1), "spec.access[0].maxMailboxes", "greater than or equal to 0"),
        ("/access/0/maxMailboxes", json!(100_001), "maxMailboxes", "less than or equal to 100000"),
        ("/access/0/namespaces", namespaces(json!([])), "namespaces.names", "at least 1 items"),
        ("/access/0/namespaces", namespaces(json!(["n".repeat(64)])), "names[0]", "more than 63"),
        ("/access/0/namespaces", namespaces(many_names), "namespaces.names", "at most 64 items"),
    ];
    each_is_refused(&kinds.tenants, &tenant(), cases).await;
    let rule = &tenant()["access"][0];
    let cases: [Case; 2] = [
        ("/access", Value::Null, "spec.access", "Required value"),
        (
            "/access",
            Value::from(vec![rule.clone(); 65]),
            "spec.access",
            "at most 64 items",
        ),
    ];
    each_is_refused(&kinds.tenants, &tenant(), cases).await;
}

#[tokio::test]
async fn what_identifies_a_mailbox_or_a_tenant_cannot_be_changed() {
    let Some(shared) = shared() else { return };
    let kinds = Kinds::of(client(&shared.control_plane).await, "immutable").await;
    let Kinds {
        mailboxes,
        permissions,
        tenants,
    } = &kinds;
    mailboxes.create("sales", &mailbox()).await.unwrap();
    permissions.create("sales", &permission()).await.unwrap();
    tenants.create("immutable", &tenant()).await.unwrap();
    let elsewhere = json!({ "tenantRef": { "name": "other" } });
    let other_mailbox = json!({ "mailboxRef": { "name": "other" } });
    let other_tenant = json!({ "tenantId": "99999999-2222-3333-4444-666666666666" });
    let other_cloud = json!({ "cloud": "China" });
    let other_cluster = json!({ "ownership": { "clusterId": "other" } });
    let other_marker = json!({ "ownership": { "markerAttribute": "CustomAttribute1" } });
    #[rustfmt::skip]
    let cases = [
        (mailboxes, "sales", elsewhere.clone(), "tenantRef can't be changed: a mailbox does not move between tenants"),
        (permissions, "sales", elsewhere, "tenantRef can't be changed: a mailbox does not move between tenants"),
        (permissions, "sales", other_mailbox, "mailboxRef can't be changed: create another MailboxPermission"),
        (tenants, "immutable", other_tenant, "tenantId can't be changed: create another ExchangeTenant"),
        (tenants, "immutable", other_cloud, "cloud can't be changed: create another ExchangeTenant"),
        (tenants, "immutable", other_cluster, "ownership can't be changed, but for succeeds: existing mailboxes carry its marker"),
        (tenants, "immutable", other_marker, "ownership can't be changed, but for succeeds: existing mailboxes carry its marker"),
    ];
    for (kind, name, change, message) in cases {
        let said = kind.refusal_of_change(name, &change).await;
        assert!(said.contains(message), "{change}: {said}");
    }
    // Left out means the default, which is another tenant than the one named before.
    let left_out = json!({ "tenantRef": null });
    let said = mailboxes.refusal_of_change("sales", &left_out).await;
    assert!(said.contains("tenantRef can't be changed"), "{said}");
}

#[tokio::test]
async fn what_is_left_out_gets_its_default_and_what_is_unknown_is_named() {
    let Some(shared) = shared() else { return };
    let kinds = Kinds::of(client(&shared.control_plane).await, "defaults").await;
    let least = json!({ "displayName": "Sales", "emailAddress": "least@kinds.example", "signIn": null });
    let taken = kinds.mailboxes.create("least", &least).await.unwrap();
    assert_eq!(
        taken.data["spec"],
        json!({
            "displayName": "Sales", "emailAddress": "least@kinds.example", "tenantRef": { "name": "default" },
            "adoption": "Never", "management": "Enforce", "deletionPolicy": "Retain", "permissions": { "mode": "Additive" }
        })
    );
    let taken = kinds
        .permissions
        .create("least", &with(permission(), "/tenantRef", &Value::Null))
        .await
        .unwrap();
    assert_eq!(taken.data["spec"]["autoMapping"], true);
    assert_eq!(taken.data["spec"]["tenantRef"]["name"], "default");

    let strict = PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply("tests")
    };
    let unknown = kinds.mailboxes.manifest(
        "unknown",
        &with(mailbox(), "/quota", &json!({ "warning": "1Gi" })),
    );
    let said = said(
        kinds
            .mailboxes
            .api
            .patch("unknown", &strict, &Patch::Apply(&unknown))
            .await,
    );
    assert!(said.contains("quota"), "{said}");
}
