//! What the checks share: two definitions, a namespace each, and short ways to say things.

use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::client::Body;
use kube::core::Status;
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

/// The group of the suite's definitions.
pub const GROUP: &str = "conformance.sharedmailbox.dev";
/// Longer than anything a server does in the background takes.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// One check's namespace and client.
#[derive(Clone)]
pub struct Bench {
    pub client: Client,
    pub namespace: String,
}

/// Puts `a parcel`'s schema on the server: every construct that our own definitions use.
pub fn parcel_definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("parcels.{GROUP}")},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "plural": "parcels", "singular": "parcel", "kind": "Parcel", "listKind": "ParcelList",
                "shortNames": ["pcl"], "categories": ["post"],
            },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "required": ["spec"],
                    "properties": {"spec": parcel_spec(), "status": parcel_status()},
                }},
            }],
        },
    })
}

fn parcel_spec() -> Value {
    json!({
        "type": "object",
        "required": ["label"],
        "properties": {
            "label": {"type": "string", "minLength": 1, "maxLength": 20},
            "weight": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 100, "default": 1},
            "size": {"type": "string", "enum": ["Small", "Medium", "Large"], "default": "Small"},
            "carrier": {
                "type": "string", "maxLength": 20,
                "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "carrier is immutable"}],
            },
            "address": {"type": "string", "maxLength": 64, "pattern": "^[^@]+@[^@]+$"},
            "sent": {"type": "string", "format": "date-time"},
            "stamps": {
                "type": "array", "maxItems": 5, "x-kubernetes-list-type": "set",
                "items": {"type": "string", "maxLength": 20},
            },
            "stops": {
                "type": "array", "maxItems": 5, "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["city"],
                "items": {
                    "type": "object", "required": ["city"],
                    "properties": {
                        "city": {"type": "string", "maxLength": 20},
                        "hours": {"type": "integer", "default": 24},
                        "open": {"type": "boolean"},
                    },
                },
            },
            "notes": {
                "type": "object", "maxProperties": 3,
                "additionalProperties": {"type": "string", "maxLength": 20},
            },
            "fragile": {"type": "boolean", "nullable": true},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "limit": {"x-kubernetes-int-or-string": true},
            "options": {
                "type": "object", "default": {},
                "properties": {"insured": {"type": "boolean", "default": false}, "value": {"type": "integer"}},
            },
        },
        "x-kubernetes-validations": [
            {"rule": "self.weight <= 50 || self.size == 'Large'", "message": "heavy parcels are Large"},
            {
                "rule": "!self.options.insured || has(self.options.value)",
                "messageExpression": "'an insured ' + self.size + ' parcel needs a value'",
                "fieldPath": ".options.value",
                "reason": "FieldValueRequired",
            },
            {
                "rule": "!has(oldSelf.address) || has(self.address)",
                "message": "the address cannot be taken away",
                "reason": "FieldValueForbidden",
            },
        ],
    })
}

fn parcel_status() -> Value {
    json!({
        "type": "object",
        "properties": {
            "phase": {"type": "string", "maxLength": 20},
            "count": {"type": "integer", "minimum": 0},
            "observedGeneration": {"type": "integer", "format": "int64"},
            "conditions": {
                "type": "array", "maxItems": 8, "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": {
                    "type": "object", "required": ["type", "status"],
                    "properties": {
                        "type": {"type": "string"}, "status": {"type": "string"},
                        "message": {"type": "string"},
                        "lastTransitionTime": {"type": "string", "format": "date-time"},
                    },
                },
            },
        },
    })
}

/// A small cluster-scoped definition without status, whose schema a check may change: one a check.
pub fn depot_definition(plural: &str, capacity: &Value) -> Value {
    let kind = format!("{}{}", plural[..1].to_uppercase(), &plural[1..plural.len() - 1]);
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{GROUP}")},
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {"plural": plural, "singular": kind.to_lowercase(), "kind": kind, "listKind": format!("{kind}List")},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "properties": {"spec": {"type": "object", "properties": {
                        "capacity": capacity, "keeper": {"type": "string"},
                    }}},
                }},
            }],
        },
    })
}

/// Installs the parcels, once for all checks.
pub async fn install_definitions(client: &Client) {
    install(client, parcel_definition()).await;
}

/// Installs a definition and waits until it is served.
pub async fn install(client: &Client, definition: Value) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = definition["metadata"]["name"].as_str().unwrap().to_owned();
    let apply = PatchParams::apply("conformance").force();
    definitions
        .patch(&name, &apply, &Patch::Apply(&definition))
        .await
        .unwrap();
    let path = format!("/apis/{GROUP}/v1/{}", name.split('.').next().unwrap());
    eventually("the definition is served", || async {
        raw(client, "GET", &path, "", &Value::Null).await.code == 200
    })
    .await;
}

/// Removes one of the small definitions again, so that the suite can run twice on one server.
pub async fn uninstall(client: &Client, plural: &str) {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let name = format!("{plural}.{GROUP}");
    definitions.delete(&name, &DeleteParams::default()).await.unwrap();
    eventually("the definition is gone", || async {
        definitions.get_opt(&name).await.unwrap().is_none()
    })
    .await;
}

impl Bench {
    pub async fn new(client: Client, namespace: String) -> Self {
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let wanted = json!({"metadata": {"name": namespace}});
        let wanted = serde_json::from_value(wanted).unwrap();
        namespaces.create(&PostParams::default(), &wanted).await.unwrap();
        Self { client, namespace }
    }

    pub fn parcels(&self) -> Api<DynamicObject> {
        self.parcels_in(&self.namespace)
    }

    pub fn parcels_in(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &parcel_type())
    }

    /// The path of this namespace's parcels, or of one of them.
    pub fn path(&self, name: &str) -> String {
        let slash = if name.is_empty() { "" } else { "/" };
        format!(
            "/apis/{GROUP}/v1/namespaces/{}/parcels{slash}{name}",
            self.namespace
        )
    }

    /// Creates a parcel from a whole body or fails the check.
    pub async fn create(&self, body: Value) -> DynamicObject {
        self.parcels()
            .create(&PostParams::default(), &parcel(body))
            .await
            .unwrap()
    }

    /// Creates a parcel with the least spec.
    pub async fn small_parcel(&self, name: &str) -> DynamicObject {
        self.create(json!({"metadata": {"name": name}, "spec": {"label": "a"}}))
            .await
    }

    /// What the server says to a parcel that it must not take.
    pub async fn refusal(&self, body: Value) -> Status {
        refused(self.parcels().create(&PostParams::default(), &parcel(body)).await)
    }

    /// Server-side apply of a parcel.
    pub async fn apply(
        &self,
        manager: &str,
        force: bool,
        name: &str,
        mut body: Value,
    ) -> kube::Result<DynamicObject> {
        type_parcel(&mut body);
        body["metadata"]["name"] = json!(name);
        let mut how = PatchParams::apply(manager);
        how.force = force;
        self.parcels().patch(name, &how, &Patch::Apply(&body)).await
    }

    /// Server-side apply of a parcel's status.
    pub async fn apply_status(
        &self,
        manager: &str,
        name: &str,
        mut body: Value,
    ) -> kube::Result<DynamicObject> {
        type_parcel(&mut body);
        body["metadata"]["name"] = json!(name);
        let how = PatchParams::apply(manager).force();
        self.parcels()
            .patch_status(name, &how, &Patch::Apply(&body))
            .await
    }

    /// A request past kube's types.
    pub async fn raw(&self, method: &str, path: &str, content_type: &str, body: &Value) -> RawAnswer {
        raw(&self.client, method, path, content_type, body).await
    }
}

fn parcel_type() -> ApiResource {
    ApiResource {
        group: GROUP.to_owned(),
        version: "v1".to_owned(),
        api_version: format!("{GROUP}/v1"),
        kind: "Parcel".to_owned(),
        plural: "parcels".to_owned(),
    }
}

fn type_parcel(body: &mut Value) {
    body["apiVersion"] = json!(format!("{GROUP}/v1"));
    body["kind"] = json!("Parcel");
}

/// A parcel from its JSON without types.
pub fn parcel(mut body: Value) -> DynamicObject {
    type_parcel(&mut body);
    serde_json::from_value(body).unwrap()
}

/// The refusal in a result that must be one.
pub fn refused<T: std::fmt::Debug>(result: kube::Result<T>) -> Status {
    match result {
        Err(kube::Error::Api(status)) => *status,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// A field that a refusal blames.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    pub field: String,
    pub message: String,
}

impl Cause {
    pub fn new(field: &str, message: &str) -> Self {
        Self {
            field: field.to_owned(),
            message: message.to_owned(),
        }
    }
}

/// The fields that a refusal blames, with what it says about each, sorted.
pub fn causes(status: &Status) -> Vec<Cause> {
    let causes = status
        .details
        .as_ref()
        .map(|details| details.causes.clone())
        .unwrap_or_default();
    let mut causes: Vec<_> = causes
        .into_iter()
        .map(|cause| Cause::new(&cause.field, &cause.message))
        .collect();
    causes.sort();
    causes
}

/// `resourceVersion` of an object.
pub fn version(object: &DynamicObject) -> String {
    object.resource_version().unwrap()
}

/// An answer past kube's types; a body that is no JSON is a text.
pub struct RawAnswer {
    pub code: u16,
    pub body: Value,
}

pub async fn raw(client: &Client, method: &str, path: &str, content_type: &str, body: &Value) -> RawAnswer {
    let bytes = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("accept", "application/json");
    if !content_type.is_empty() {
        request = request.header("content-type", content_type);
    }
    let response = client
        .send(request.body(Body::from(bytes)).unwrap())
        .await
        .unwrap();
    let code = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    RawAnswer {
        code,
        body: serde_json::from_str(&text).unwrap_or(Value::String(text)),
    }
}

/// Waits for something that a server does in its own time.
pub async fn eventually<F, Fut>(what: &str, mut holds: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "in vain waited until {what}");
        sleep(Duration::from_millis(50)).await;
    }
}
