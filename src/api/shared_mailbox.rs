//! A shared mailbox as a team declares it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mailbox_settings::{
    Archive, AutomaticReplies, Delivery, Forwarding, LitigationHold, PlainSettings,
};
use super::{ADDRESS_PATTERN, ADDRESS_PATTERN_OR_DOMAIN, NamedRef, Revoked};
use crate::mail::Right;

/// A Microsoft 365 shared mailbox, kept as declared.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "sharedmailbox.dev",
    version = "v1alpha1",
    kind = "SharedMailbox",
    doc = "A Microsoft 365 shared mailbox, kept as declared.",
    plural = "sharedmailboxes",
    singular = "sharedmailbox",
    shortname = "smbx",
    category = "mail",
    namespaced,
    status = "SharedMailboxStatus",
    derive = "PartialEq",
    printcolumn(name = "Address", type_ = "string", json_path = ".status.primaryAddress"),
    printcolumn(name = "Sign-In", type_ = "string", json_path = ".status.signIn"),
    printcolumn(name = "Members", type_ = "string", json_path = ".status.memberSummary"),
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
    ),
    printcolumn(
        name = "Mailbox",
        type_ = "string",
        json_path = ".status.mailboxGuid",
        priority = 1
    )
)]
#[cfg_attr(test, kube(cel))]
#[serde(rename_all = "camelCase")]
pub struct SharedMailboxSpec {
    /// The ExchangeTenant to which the mailbox belongs. Can't be changed.
    #[serde(default)]
    #[x_kube(validation = ("self == oldSelf", "tenantRef can't be changed: a mailbox does not move between tenants"))]
    pub tenant_ref: NamedRef,

    /// The name that people see in the address list, for example Sales.
    #[schemars(length(min = 1, max = 256), example = &"Sales")]
    pub display_name: String,

    /// The primary SMTP address, for example sales@contoso.com. An access rule of the ExchangeTenant must admit it.
    #[schemars(length(max = 320), regex(pattern = ADDRESS_PATTERN))]
    pub email_address: String,

    /// The mail nickname, for example sales. Left out: the part of the address before the @, numbered when it is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = r"^[A-Za-z0-9!#%+/=?^_~-]+(\.[A-Za-z0-9!#%+/=?^_~-]+)*$"),
        example = &"sales"
    )]
    pub alias: Option<String>,

    /// Further addresses, for example info@contoso.com. None by default. Addresses that were never declared here stay
    /// as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 300), inner(length(max = 320), regex(pattern = ADDRESS_PATTERN)))]
    pub aliases: Vec<String>,

    /// Whether somebody may sign in to the account behind the mailbox: Blocked or Allowed. Left out: Blocked; but an
    /// account that was open when its mailbox was adopted stays open, and Ready says DecisionNeeded, until this is
    /// written. Allowed needs an access rule with the power AllowSignIn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignIn>,

    #[serde(flatten)]
    pub plain: PlainSettings,

    /// Which mail is taken and sent. Left out: not managed.
    #[serde(default, skip_serializing_if = "Delivery::is_empty")]
    pub delivery: Delivery,

    /// Where mail goes instead, or besides. Left out: not managed; what was declared before is withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("example" = {"mode": "Internal", "to": "first.member@contoso.com", "keepCopy": true}))]
    pub forwarding: Option<Forwarding>,

    /// What the mailbox answers by itself. Left out: not managed; what was declared before is switched off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automatic_replies: Option<AutomaticReplies>,

    /// A second mailbox for what is old. Left out: not managed.
    #[serde(default, skip_serializing_if = "Archive::is_empty")]
    pub archive: Archive,

    /// The retention policy by its name, which Exchange must know; "" takes it away. Needs the power Retention. Left out:
    /// not managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), example = &"Five Years")]
    pub retention_policy: Option<String>,

    /// Whether everything is kept, also what people delete. Left out: not managed, and a hold that was declared before
    /// stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub litigation_hold: Option<LitigationHold>,

    /// What happens to grants that no MailboxPermission declares.
    #[serde(default)]
    pub permissions: PermissionsPolicy,

    /// Whether a mailbox that is there already is taken over: Never (default), or SharedMailbox, which takes over the
    /// shared mailbox whose primary address is `emailAddress`. It keeps everything that no manifest declares. Needs an
    /// access rule with the power Adopt that admits every address of the mailbox. Where there is none, one is created.
    #[serde(default)]
    pub adoption: Adoption,

    /// What the operator may do: Enforce (default) keeps the mailbox as declared, Observe only reports what Enforce
    /// would do, Paused does nothing. What protects is done all the same: people who have left and rights that have ended
    /// are revoked, removals that were announced are finished, and sign-in is kept blocked.
    #[serde(default)]
    pub management: Management,

    /// What happens to the mailbox when this resource is deleted. Retain (default) keeps it with all its permissions, and
    /// the delete ends at once. RevokePermissions keeps the mailbox and takes away what MailboxPermissions granted; the
    /// resource stays until that is done. While it waits, Retain lets it go at once.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SignIn {
    Blocked,
    Allowed,
}

/// Which mailboxes are taken over that were there before their resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Adoption {
    /// None.
    #[default]
    Never,
    /// A shared mailbox without a marker whose primary address is the declared one.
    SharedMailbox,
}

/// Ordered from the least to the most that the operator may do, so that a ceiling is a minimum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Management {
    Paused,
    Observe,
    #[default]
    Enforce,
}

/// What becomes of a mailbox whose SharedMailbox is deleted.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, strum::IntoStaticStr,
)]
pub enum DeletionPolicy {
    /// It stays as it is.
    #[default]
    Retain,
    /// It stays, and what MailboxPermissions granted on it is revoked.
    RevokePermissions,
}

impl DeletionPolicy {
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether something is to be done before the resource may go.
    pub fn holds_the_resource(self) -> bool {
        match self {
            Self::Retain => false,
            Self::RevokePermissions => true,
        }
    }
}

/// What happens to grants that no MailboxPermission declares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PermissionsPolicy {
    /// Additive (default) leaves them alone and lists them; Exclusive removes them and needs an access rule with the
    /// power Exclusive.
    pub mode: PermissionsMode,
    /// Whose grants stay under Exclusive, each as an address or as *@domain for all addresses of a domain. None by
    /// default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 320), regex(pattern = ADDRESS_PATTERN_OR_DOMAIN)))]
    pub ignore: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PermissionsMode {
    #[default]
    Additive,
    Exclusive,
}

/// What the operator found and did.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SharedMailboxStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Provisioned, SignInBlocked, SettingsSynced and PermissionsSynced; advisories, Reconciling and Stalled only
    /// while they are True.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 64))]
    pub conditions: Vec<Condition>,
    /// The reason of Ready, for the column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Whether sign-in to the account is blocked: Blocked, Open or Unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<String>,
    /// The primary address that Exchange shows; the one that was asked for while there is no mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_address: Option<String>,
    /// How many members hold a right that a MailboxPermission grants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_summary: Option<String>,
    /// The mailbox's ExchangeGuid, by which it is found whatever its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox_guid: Option<String>,
    /// Directory object id of the account behind the mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_id: Option<String>,
    /// The tenant in which the mailbox was created. Pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_guid: Option<String>,
    /// RecipientTypeDetails as Exchange shows it: SharedMailbox.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How many grants on the mailbox no MailboxPermission declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_grants: Option<i32>,
    /// How many of them are left over from deleted accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orphaned_grants: Option<i32>,
    /// Those grants, sorted, at most 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub foreign: Vec<ForeignGrant>,
    /// Under Exclusive: ways into the mailbox that are not covered by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub other_ways_in: Vec<String>,
    /// Removals and grants that wait for approval, because there are too many at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldChanges>,
    /// Who lost a right in the last 24 hours, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub revoked: Vec<Revoked>,
    /// What Enforce would do, while management is Observe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub pending_plan: Vec<String>,
    /// The value of the annotation sharedmailbox.dev/reconcile-requested-at (or reconcile.fluxcd.io/requestedAt) that
    /// was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The value of the annotation sharedmailbox.dev/remove-orphaned-grants that was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_orphan_removal: Option<String>,
}

/// A grant that no MailboxPermission declares.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ForeignGrant {
    /// As Exchange shows it: text for people, which changes with a rename.
    pub who: String,
    /// The store it is in: FullAccess stands for everything that Get-MailboxPermission shows.
    pub right: Right,
    /// What it allows or denies, where that is more or less than the right itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub rights: Vec<String>,
    /// What becomes of it. Foreign: left alone under Additive, removed under Exclusive. Orphaned: its account is deleted;
    /// removed under Exclusive and on request. Denied: it denies, and is never touched. Ignored and Protected: kept by
    /// `permissions.ignore` or the ExchangeTenant's `protectedTrustees`. Unknown: it can't be tied to anybody for
    /// certain, and is never touched. Stuck: Exchange shows the entry and says that it does not exist.
    pub state: ForeignState,
}

/// What becomes of a grant that no MailboxPermission declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum ForeignState {
    /// Left alone under Additive, removed under Exclusive.
    Foreign,
    /// Its account is deleted. Removed under Exclusive and on request.
    Orphaned,
    /// It denies; never touched.
    Denied,
    /// `spec.permissions.ignore` names its holder.
    Ignored,
    /// The ExchangeTenant's `protectedTrustees` name its holder.
    Protected,
    /// It can't be tied to anybody for certain; never touched.
    Unknown,
    /// Exchange says that the entry does not exist, and still shows it.
    Stuck,
}

/// Changes that wait for the annotation sharedmailbox.dev/approve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeldChanges {
    /// The value of the annotation that approves exactly these changes.
    pub id: String,
    /// How many changes wait.
    pub count: i32,
    /// The changes, at most 50.
    #[schemars(length(max = 50))]
    pub changes: Vec<String>,
    /// The limit that they would exceed.
    pub why: String,
}
