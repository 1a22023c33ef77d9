//! The connection to one Microsoft 365 tenant and its guard rails. The platform team's.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exchange_tenant_status::ExchangeTenantStatus;
use super::mailbox_settings::MailboxDefaults;
use super::{ADDRESS_PATTERN, ADDRESS_PATTERN_OR_DOMAIN, DURATION_PATTERN, GUID_PATTERN, Management};
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
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct ExchangeTenantSpec {
    /// The Entra tenant's id, a GUID such as 11111111-2222-3333-4444-555555555555. Can't be changed.
    #[schemars(length(max = 36), regex(pattern = GUID_PATTERN))]
    #[x_kube(validation = ("self == oldSelf", "tenantId can't be changed: create another ExchangeTenant"))]
    pub tenant_id: String,

    /// The Microsoft cloud in which the tenant lives: Worldwide (default), GCCHigh, DoD, China or Germany. Can't be
    /// changed.
    #[serde(default)]
    #[x_kube(validation = ("self == oldSelf", "cloud can't be changed: create another ExchangeTenant"))]
    pub cloud: CloudName,

    /// The most that is done to any mailbox of this tenant, whatever the mailbox's own `management` says. Enforce
    /// (default) keeps mailboxes as declared, Observe only reports what Enforce would do, Paused neither reads nor
    /// writes.
    #[serde(default)]
    pub management: Management,

    /// How the operator signs in to the tenant.
    pub credentials: Credentials,

    /// Through which API sign-in is blocked: Graph (default; the app needs User.EnableDisableAccount.All) or Exchange. The
    /// other one is tried once when it does not help. Only what Graph shows is proof (User.Read.All): without it
    /// SignInBlocked is Unknown, and the operator sets Exchange's own switch as the best that can be done.
    #[serde(default)]
    pub sign_in_control: SignInControl,

    /// How mailboxes are marked as managed by this cluster. Only `succeeds` can be changed.
    #[serde(default)]
    #[x_kube(validation = ("self.clusterId == oldSelf.clusterId && self.markerAttribute == oldSelf.markerAttribute",
        "ownership can't be changed, but for succeeds: existing mailboxes carry its marker"))]
    pub ownership: Ownership,

    /// Settings for mailboxes that are created from now on: what their SharedMailbox does not declare is set once, when the
    /// mailbox is new, and left alone afterwards. No power is needed. For example
    /// `{sentItems: {copySentAs: true, copySentOnBehalf: true}}`.
    #[serde(default, skip_serializing_if = "MailboxDefaults::is_empty")]
    pub defaults: MailboxDefaults,

    /// How often mailboxes are compared with their manifests.
    #[serde(default)]
    #[x_kube(validation = ("duration(self.interval) >= duration('10s')", "interval must be at least 10s, as in 10m or 1h30m"))]
    pub drift: Drift,

    /// How much the operator asks of Exchange.
    #[serde(default)]
    #[x_kube(validation = ("duration(self.propagation) >= duration('0s')", "propagation is written as in 60m or 1h30m"))]
    pub limits: Limits,

    /// Who may ask for what. A request is allowed when one rule alone admits all of it. Without a rule nobody may ask
    /// for anything.
    #[schemars(length(max = 64))]
    pub access: Vec<AccessRule>,

    /// Whose grants are never removed, be it by a manifest, by Exclusive or by a lost declaration: addresses of backup
    /// and archive services, for example backup-service@contoso.com. Only `departed` outranks it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(max = 320), regex(pattern = ADDRESS_PATTERN)))]
    pub protected_trustees: Vec<String>,

    /// People who lose every grant on every managed mailbox at once, whatever any manifest says: addresses or sign-in
    /// names such as former.member@contoso.com.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), inner(length(max = 320), regex(pattern = ADDRESS_PATTERN)))]
    pub departed: Vec<String>,

    /// How many grants may be removed at once without somebody's approval.
    #[serde(default)]
    #[x_kube(validation = ("duration(self.period) >= duration('10s')", "period must be at least 10s, as in 30m or 1h"))]
    pub safety: Safety,

    /// Other addresses of the Microsoft services. Only hosts that the operator's flag --allow-endpoint-overrides names.
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

/// At least one way to prove which app it is. What is there is tried in this order: workload identity, certificate, client
/// secret; so the next one can be set up while the old one works.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.workloadIdentity) || has(self.certificateSecretRef) || has(self.clientSecretRef)",
    "credentials needs at least one of workloadIdentity, certificateSecretRef and clientSecretRef"))]
pub struct Credentials {
    /// Application (client) id of the app registration, a GUID.
    #[schemars(length(max = 36), regex(pattern = GUID_PATTERN))]
    pub client_id: String,
    /// Entra trusts the operator's service account, by a federated credential of the app; no secret is needed. The operator's
    /// chart needs workloadIdentity.enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<WorkloadIdentity>,
    /// A Secret in the operator's namespace that holds a certificate with its private key (RSA, PEM). The app registration
    /// knows its public half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_secret_ref: Option<CertificateRef>,
    /// A Secret in the operator's namespace that holds a client secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<SecretKeyRef>,
}

/// Nothing has to be said beside that it is to be used: `workloadIdentity: {}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(extend("maxProperties" = 0))]
pub struct WorkloadIdentity {}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateRef {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in the Secret's data that holds both, the certificate and the private key. By default they lie in tls.crt and
    /// tls.key, as in a Secret of type kubernetes.io/tls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretKeyRef {
    /// The name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in the Secret's data; clientSecret by default.
    #[serde(default = "default_secret_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

fn default_secret_key() -> String {
    "clientSecret".to_owned()
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum SignInControl {
    /// PATCH accountEnabled of the user in Microsoft Graph.
    #[default]
    Graph,
    /// Set-Mailbox -AccountDisabled.
    Exchange,
}

impl SignInControl {
    pub fn other(self) -> Self {
        match self {
            Self::Graph => Self::Exchange,
            Self::Exchange => Self::Graph,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Ownership {
    /// The name of this cluster in the marker. Left out: `default`. Two clusters that share a tenant need two names,
    /// for example production-1.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")
    )]
    pub cluster_id: String,
    /// The custom attribute that holds the marker: CustomAttribute1 to CustomAttribute15 (default).
    pub marker_attribute: MarkerAttribute,
    /// Clusters whose mailboxes this one takes over, for a cluster that is rebuilt or moved; none by default. Each is
    /// written as in the marker of its mailboxes: its `clusterId`, a slash, and the first eight letters of the uid of its
    /// namespace kube-system, for example production-1/0a1b2c3d. A resource takes over the mailbox of the resource of the
    /// same namespace and name there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(max = 72), regex(pattern = "^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?/[0-9a-f]{8}$")),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub succeeds: Vec<String>,
}

impl Default for Ownership {
    fn default() -> Self {
        Self {
            cluster_id: "default".to_owned(),
            marker_attribute: MarkerAttribute::default(),
            succeeds: Vec::new(),
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
    /// How often each mailbox is compared with its manifests: hours, minutes and seconds as in 1h30m. 10m by default,
    /// at least 10s.
    #[schemars(length(max = 16), regex(pattern = DURATION_PATTERN))]
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
    /// HTTP requests to Exchange in flight at once; 4 by default. Exchange allows a small, unpublished number a tenant.
    #[schemars(range(min = 1, max = 10))]
    pub max_concurrent_requests: i32,
    /// Cmdlets that change something, a minute; 120 by default.
    #[schemars(range(min = 1, max = 6000))]
    pub writes_per_minute: i32,
    /// After how long people may use what Exchange has granted: hours, minutes and seconds as in 1h30m; 60m by default.
    /// Shown as `expectedBy` and never waited for.
    #[schemars(length(max = 16), regex(pattern = DURATION_PATTERN))]
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
/// those. One removal is one right of one member. What `departed` and `expiresAt` remove is not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Safety {
    /// So many removals within the period need no approval; 50 by default. One namespace may use at most half of what is
    /// allowed, and has a tenth of this in any case.
    #[schemars(range(min = 0, max = 100_000))]
    pub max_revocations: i32,
    /// The same as a percentage of the grants of the operator on all mailboxes in the tenant that have a SharedMailbox;
    /// 30 by default.
    #[schemars(range(min = 0, max = 100))]
    pub max_revocation_percent: i32,
    /// The time within which removals are counted together: hours, minutes and seconds as in 1h30m. 30m by default, at
    /// least 10s.
    #[schemars(length(max = 16), regex(pattern = DURATION_PATTERN))]
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
    /// The namespaces whose resources may ask.
    pub namespaces: NamespaceNames,
    /// Addresses that mailboxes may have, each as an address or as *@domain for all addresses of a domain:
    /// sales@contoso.com, *@sales.contoso.com.
    #[schemars(length(min = 1, max = 32), inner(length(max = 320), regex(pattern = ADDRESS_PATTERN_OR_DOMAIN)))]
    pub addresses: Vec<String>,
    /// People who may be members, each as an address or as *@domain. None by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 320), regex(pattern = ADDRESS_PATTERN_OR_DOMAIN)))]
    pub members: Vec<String>,
    /// Groups that may be members, each as an address or as *@domain. None by default: a group is never admitted by
    /// `members`, for its owner decides who is in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 320), regex(pattern = ADDRESS_PATTERN_OR_DOMAIN)))]
    pub groups: Vec<String>,
    /// Rights that may be granted: FullAccess, SendAs, SendOnBehalf. None by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub rights: Vec<Right>,
    /// What else may be asked for. Adopt: `adoption: SharedMailbox`. AllowSignIn: `signIn: Allowed`. Exclusive: `permissions.mode: Exclusive`.
    /// ForwardExternally: forwarding to somebody outside of the organisation. Hold: to end
    /// or shorten a litigation hold. Retention: a retention policy, and to keep deleted items for less time.
    /// LegacyProtocols: SMTP AUTH, IMAP and POP. None by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12))]
    pub powers: Vec<Power>,
    /// Numbers of custom attributes that `customAttributes` may declare, 1 to 15. None by default: dynamic groups and
    /// role scopes may depend on them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 15), inner(range(min = 1, max = 15)))]
    pub custom_attributes: Vec<i32>,
    /// Mailboxes that one namespace may have under this rule; 50 by default. A mailbox that was kept when its
    /// SharedMailbox was deleted counts for 90 days.
    #[serde(default = "default_max_mailboxes")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_mailboxes: i32,
}

fn default_max_mailboxes() -> i32 {
    50
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NamespaceNames {
    /// The namespaces by name, for example team-sales.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63)))]
    pub names: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Power {
    /// `adoption: SharedMailbox`.
    Adopt,
    /// `signIn: Allowed`.
    AllowSignIn,
    /// `permissions.mode: Exclusive`.
    Exclusive,
    /// `forwarding` to somebody outside of the organisation.
    ForwardExternally,
    /// `litigationHold`: to end or shorten it.
    Hold,
    /// `retentionPolicy`; to shorten `deletedItemRetention`; `singleItemRecovery: false`.
    Retention,
    /// `clientAccess.smtpAuth: Allowed`, `imap: true` and `pop: true`.
    LegacyProtocols,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointOverrides {
    /// Where tokens come from, for example https://login.microsoftonline.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 300),
        regex(pattern = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$")
    )]
    pub authority: Option<String>,
    /// Where Exchange's admin API is, for example https://outlook.office365.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 300),
        regex(pattern = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$")
    )]
    pub exchange: Option<String>,
    /// Where Microsoft Graph is, for example https://graph.microsoft.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 300),
        regex(pattern = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$")
    )]
    pub graph: Option<String>,
}
