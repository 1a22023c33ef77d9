//! The connection to one Microsoft 365 tenant and its guard rails. The platform team's.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ADDRESS_PATTERN, ADDRESS_PATTERN_OR_DOMAIN, GUID_PATTERN, Management};
use crate::mail::Right;

/// A Microsoft 365 tenant: how to reach it, and who may ask for what.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "sharedmailbox.dev",
    version = "v1alpha1",
    kind = "ExchangeTenant",
    doc = "A Microsoft 365 tenant: how to reach it, and who may ask for what.",
    plural = "exchangetenants",
    singular = "exchangetenant",
    shortname = "xtenant",
    category = "mail",
    cel,
    status = "ExchangeTenantStatus",
    derive = "PartialEq",
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.tenantId"),
    printcolumn(name = "Management", type_ = "string", json_path = ".spec.management"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.summary"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ExchangeTenantSpec {
    /// The Entra tenant's id. Can't be changed.
    #[schemars(length(max = 36), regex(pattern = GUID_PATTERN))]
    #[x_kube(validation = ("self == oldSelf", "tenantId can't be changed: make another ExchangeTenant"))]
    pub tenant_id: String,

    /// The Microsoft cloud in which the tenant lives. Can't be changed.
    #[serde(default)]
    #[x_kube(validation = ("self == oldSelf", "cloud can't be changed: make another ExchangeTenant"))]
    pub cloud: CloudName,

    /// The most that is done to any mailbox of this tenant, whatever the mailbox says.
    #[serde(default)]
    pub management: Management,

    pub credentials: Credentials,

    /// Through which API sign-in is blocked. It is verified in Graph whenever the app may read users.
    #[serde(default)]
    pub sign_in_control: SignInControl,

    /// How mailboxes are marked as ours. Can't be changed.
    #[serde(default)]
    #[x_kube(validation = ("self == oldSelf", "ownership can't be changed: existing mailboxes carry its marker"))]
    pub ownership: Ownership,

    #[serde(default)]
    pub drift: Drift,

    #[serde(default)]
    pub limits: Limits,

    /// Who may ask for what. A request is allowed when one rule alone admits all of it; no rule, no access.
    #[schemars(length(max = 64))]
    pub access: Vec<AccessRule>,

    /// Whose grants are never removed, be it by a manifest, by Exclusive or by a lost declaration: backup and
    /// archive services, for example. Only `departed` outranks it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 320), regex(pattern = ADDRESS_PATTERN)))]
    pub protected_trustees: Vec<String>,

    /// People who lose every grant on every managed mailbox at once, whatever any manifest says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 320), regex(pattern = ADDRESS_PATTERN)))]
    pub departed: Vec<String>,

    /// How much may be taken away at once without somebody's approval.
    #[serde(default)]
    pub safety: Safety,

    /// Other addresses of the Microsoft services; only hosts that the operator was started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<EndpointOverrides>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CloudName {
    #[default]
    Worldwide,
    #[serde(rename = "GCCHigh")]
    GccHigh,
    #[serde(rename = "DoD")]
    Dod,
    China,
    Germany,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// Application (client) id of the app registration.
    #[schemars(length(max = 36), regex(pattern = GUID_PATTERN))]
    pub client_id: String,
    /// A Secret in the operator's namespace that holds a client secret.
    pub client_secret_ref: SecretKeyRef,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyRef {
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    #[serde(default = "default_secret_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

fn default_secret_key() -> String {
    "clientSecret".to_owned()
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SignInControl {
    /// Set-Mailbox -AccountDisabled.
    #[default]
    Exchange,
    /// PATCH accountEnabled of the user in Microsoft Graph.
    Graph,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Ownership {
    /// The name of this cluster in the marker. Two clusters that share a tenant need two names.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")
    )]
    pub cluster_id: String,
    /// The custom attribute that holds the marker.
    pub marker_attribute: MarkerAttribute,
}

impl Default for Ownership {
    fn default() -> Self {
        Self {
            cluster_id: "default".to_owned(),
            marker_attribute: MarkerAttribute::default(),
        }
    }
}

macro_rules! marker_attributes {
    ($($variant:ident = $number:literal),* $(,)?) => {
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub enum MarkerAttribute {
            $($variant,)*
            #[default]
            CustomAttribute15,
        }

        impl MarkerAttribute {
            /// 1 to 15.
            pub fn number(self) -> u8 {
                match self {
                    $(Self::$variant => $number,)*
                    Self::CustomAttribute15 => 15,
                }
            }
        }
    };
}

marker_attributes! {
    CustomAttribute1 = 1, CustomAttribute2 = 2, CustomAttribute3 = 3, CustomAttribute4 = 4,
    CustomAttribute5 = 5, CustomAttribute6 = 6, CustomAttribute7 = 7, CustomAttribute8 = 8,
    CustomAttribute9 = 9, CustomAttribute10 = 10, CustomAttribute11 = 11, CustomAttribute12 = 12,
    CustomAttribute13 = 13, CustomAttribute14 = 14,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Drift {
    /// How often each mailbox is looked at; hours, minutes and seconds as in 1h30m; at least 10s.
    #[schemars(
        length(max = 16),
        regex(pattern = "^([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$")
    )]
    pub interval: String,
}

impl Default for Drift {
    fn default() -> Self {
        Self {
            interval: "10m".to_owned(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// HTTP requests to Exchange in flight at once. Exchange allows a small, unpublished number a tenant.
    #[schemars(range(min = 1, max = 10))]
    pub max_concurrent_requests: i32,
    /// Cmdlets that change something, a minute.
    #[schemars(range(min = 1, max = 6000))]
    pub writes_per_minute: i32,
    /// After how long people may use what Exchange was told to grant; shown as `expectedBy` and never waited for.
    #[schemars(
        length(max = 16),
        regex(pattern = "^([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$")
    )]
    pub propagation: String,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_concurrent_requests: 4,
            writes_per_minute: 120,
            propagation: "60m".to_owned(),
        }
    }
}

/// Removals of grants above the larger of the two limits within the period are held until somebody approves exactly
/// those. One removal is one right of one member. What `departed` and `expiresAt` take away is not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Safety {
    #[schemars(range(min = 0, max = 100_000))]
    pub max_revocations: i32,
    /// Of all grants that the operator has made in the tenant.
    #[schemars(range(min = 0, max = 100))]
    pub max_revocation_percent: i32,
    #[schemars(
        length(max = 16),
        regex(pattern = "^([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$")
    )]
    pub period: String,
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            max_revocations: 50,
            max_revocation_percent: 30,
            period: "30m".to_owned(),
        }
    }
}

/// One rule. Every list is a list of what is allowed; an empty one allows nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessRule {
    pub namespaces: NamespaceNames,
    /// Addresses that mailboxes may have: an address or *@domain.
    #[schemars(length(min = 1, max = 32), inner(length(max = 320), regex(pattern = ADDRESS_PATTERN_OR_DOMAIN)))]
    pub addresses: Vec<String>,
    /// People who may be members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 320), regex(pattern = ADDRESS_PATTERN_OR_DOMAIN)))]
    pub members: Vec<String>,
    /// Groups that may be members. A group is never admitted by `members`: its owner decides who is in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 320), regex(pattern = ADDRESS_PATTERN_OR_DOMAIN)))]
    pub groups: Vec<String>,
    /// Rights that may be granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub rights: Vec<Right>,
    /// What else may be asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12))]
    pub powers: Vec<Power>,
    /// Mailboxes that one namespace may have under this rule.
    #[serde(default = "default_max_mailboxes")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_mailboxes: i32,
}

fn default_max_mailboxes() -> i32 {
    50
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceNames {
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63)))]
    pub names: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Power {
    /// `signIn: Allowed`.
    AllowSignIn,
    /// `permissions.mode: Exclusive`.
    Exclusive,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointOverrides {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 300),
        regex(pattern = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$")
    )]
    pub authority: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 300),
        regex(pattern = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$")
    )]
    pub exchange: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 300),
        regex(pattern = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$")
    )]
    pub graph: Option<String>,
}

#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExchangeTenantStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The tenant that the first token was for. Pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_guid: Option<String>,
    /// The domain under which Exchange gives every mailbox an address of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_domain: Option<String>,
    /// Removals of grants within `safety.period`, which new ones are weighed with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revocations: Vec<Revocations>,
    /// Entries of `protectedTrustees` and `departed` that nobody in the tenant answers to, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unresolved: Vec<String>,
    /// Domains in which mailboxes can be made, sorted, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted_domains: Vec<String>,
    /// The value of the annotation sharedmailbox.dev/reconcile-requested-at (or reconcile.fluxcd.io/requestedAt) that
    /// was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// Removals that were let go at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Revocations {
    pub at: Time,
    pub count: i32,
}
