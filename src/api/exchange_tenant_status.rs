//! What is reported of a tenant.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a tenant and the app's role can do. `Unknown`: no answer has shown it, and the operator works either way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantCapabilities {
    /// Cmdlets, parameters and permissions that the operator uses and the app may not, sorted, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub missing: Vec<String>,
    /// Whether Exchange lists the cmdlets of the app's role (Listed). Otherwise only refusals show what is missing.
    pub role: RoleKnowledge,
    /// Permissions on Microsoft Graph that the operator can use and the app has, sorted, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub graph_permissions: Vec<String>,
    /// Whether Graph shows who is in a group with hidden membership (Member.Read.Hidden).
    pub hidden_members: HiddenMembers,
    /// Whether Exchange runs the calls of a batch that come after one that failed.
    pub batch_after_error: BatchAfterError,
    /// By which name of the organisation the second page of a list was answered last.
    pub paging: PagingAnchor,
    /// The operator's clock beside Exchange's: InStep within a minute.
    pub clock: ClockComparison,
    /// Identity columns that rows of these cmdlets lack, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub absent_columns: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RoleKnowledge {
    Listed,
    #[default]
    Unknown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HiddenMembers {
    Readable,
    Unreadable,
    #[default]
    Unknown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BatchAfterError {
    Runs,
    Stops,
    #[default]
    Unknown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PagingAnchor {
    TenantId,
    InitialDomain,
    #[default]
    Unknown,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ClockComparison {
    InStep,
    Ahead,
    Behind,
    #[default]
    Unknown,
}

/// What the operator found of the tenant.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExchangeTenantStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Authenticated and Authorized; CapabilityMissing, CredentialExpiring, CredentialRefused, LimitedView,
    /// ProtectionSuspended, RevocationsHeld, Reconciling and Stalled only while they are True.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 64))]
    pub conditions: Vec<Condition>,
    /// The reason of Ready, for the column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The tenant that the token is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_guid: Option<String>,
    /// The credential that Entra accepted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialInUse>,
    /// The domain under which Exchange gives every mailbox an address of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_domain: Option<String>,
    /// What the tenant and the app's role can do, as far as it is known: found out by reads when the operator starts, when
    /// something is refused that worked before, and daily.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<TenantCapabilities>,
    /// Entries of `protectedTrustees` and `departed` that match no recipient in the tenant, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub unresolved: Vec<String>,
    /// Domains in which mailboxes can be created, sorted, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub accepted_domains: Vec<String>,
    /// How far the block of sign-in is proven for the mailboxes of the tenant. Written at most once a `drift.interval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in_proof: Option<SignInProof>,
    /// The value of the annotation sharedmailbox.dev/reconcile-requested-at (or reconcile.fluxcd.io/requestedAt) that
    /// was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// How the operator proves which app it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialInUse {
    /// Which of spec.credentials it is.
    pub kind: CredentialName,
    /// When it ends: a certificate says so, a client secret by the annotation sharedmailbox.dev/expires-at of its Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CredentialName {
    WorkloadIdentity,
    Certificate,
    ClientSecret,
}

/// What Entra showed of the accounts behind all mailboxes of a tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignInProof {
    /// The oldest proof over all mailboxes: since then Entra has shown of each whether it can be signed in to, those
    /// aside that `unverified` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven_at: Option<Time>,
    /// How many mailboxes it can't be verified of.
    pub unverified: i32,
}
