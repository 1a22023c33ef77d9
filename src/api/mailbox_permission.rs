//! Who may do what with a shared mailbox.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ADDRESS_PATTERN, NamedRef};
use crate::mail::Right;

/// Rights of members on one shared mailbox of the same namespace.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "sharedmailbox.dev",
    version = "v1alpha1",
    kind = "MailboxPermission",
    doc = "Rights of members on one shared mailbox of the same namespace.",
    plural = "mailboxpermissions",
    singular = "mailboxpermission",
    shortname = "mbxperm",
    category = "mail",
    namespaced,
    status = "MailboxPermissionStatus",
    derive = "PartialEq",
    printcolumn(name = "Mailbox", type_ = "string", json_path = ".spec.mailboxRef.name"),
    printcolumn(name = "Rights", type_ = "string", json_path = ".status.rights"),
    printcolumn(name = "Members", type_ = "string", json_path = ".status.memberSummary"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status"
    ),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.summary"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expiresAt"),
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
pub struct MailboxPermissionSpec {
    /// The mailbox's ExchangeTenant. Can't be changed.
    #[serde(default)]
    #[x_kube(validation = ("self == oldSelf", "tenantRef can't be changed: a mailbox does not move between tenants"))]
    pub tenant_ref: NamedRef,

    /// The SharedMailbox of the same namespace. Can't be changed.
    #[x_kube(validation = ("self == oldSelf", "mailboxRef can't be changed: create another MailboxPermission"))]
    pub mailbox_ref: MailboxRef,

    /// Who gets the rights: people (`user`) and groups (`group`). The same person twice counts once.
    #[schemars(length(max = 500))]
    pub members: Vec<Member>,

    /// What each of them may do: FullAccess (open the mailbox), SendAs (send as the mailbox), SendOnBehalf (send on
    /// behalf of the mailbox).
    #[schemars(length(min = 1, max = 3))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub rights: Vec<Right>,

    /// Whether Outlook opens the mailbox by itself for members with FullAccess; true by default. Doesn't apply to members
    /// of a group.
    #[serde(default = "default_true")]
    pub auto_mapping: bool,

    /// When these rights end, for example 2026-12-31T17:00:00Z. Left out: never. Several MailboxPermissions may grant the same right: the latest end counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub expires_at: Option<Time>,

    /// Why the rights are granted, for whoever reads the status, the events or the audit log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub reason: Option<String>,
}

fn default_true() -> bool {
    true
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MailboxRef {
    /// The name of the SharedMailbox.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// A person or a group: exactly one of the two.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = ("has(self.user) != has(self.group)", "a member is either a user or a group"))]
#[x_kube(validation = ("!has(self.expand) || !self.expand || has(self.group)", "only a group can be expanded"))]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// Any address or the sign-in name of a person, for example first.member@contoso.com.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320), regex(pattern = ADDRESS_PATTERN))]
    pub user: Option<String>,
    /// The address of a group that an access rule names; a mail-enabled security group unless `expand` is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320), regex(pattern = ADDRESS_PATTERN))]
    pub group: Option<String>,
    /// Grants to each person in the group, nested groups too, instead of to the group itself, and follows who
    /// joins and who leaves. At most 200 people. False by default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub expand: bool,
}

/// What the members hold.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MailboxPermissionStatus {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready and Granted; advisories, Reconciling and Stalled only while they are True.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 64))]
    pub conditions: Vec<Condition>,
    /// The reason of Ready, for the column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The rights in one string, for the column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rights: Option<String>,
    /// Members with all rights granted and members declared, as in 2/3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_summary: Option<String>,
    /// What each member holds, at most 600 entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 600))]
    pub members: Vec<MemberStatus>,
    /// `spec.reason`, for `kubectl describe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who lost a right in the last 24 hours that was granted here, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub revoked: Vec<Revoked>,
    /// The value of the annotation sharedmailbox.dev/reconcile-requested-at (or reconcile.fluxcd.io/requestedAt) that
    /// was last acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
}

/// A right that was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revoked {
    /// The member as it was written, or their object id where that is not known any longer.
    pub address: String,
    /// The member's object id in the directory.
    pub object_id: String,
    /// The right that was revoked.
    pub right: Right,
    /// When it was revoked.
    pub revoked_at: Time,
    /// On the SharedMailbox: the MailboxPermissions that had declared it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub by: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberStatus {
    /// The member as written; of somebody who came with a group, the primary address.
    pub address: String,
    /// The group, as written, with which somebody came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The member's object id in the directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_id: Option<String>,
    /// The state of each right.
    #[schemars(length(max = 3))]
    pub rights: Vec<RightStatus>,
    /// Why a right is refused or pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RightStatus {
    /// FullAccess, SendAs or SendOnBehalf.
    pub right: Right,
    /// Granted; Pending while it is being granted; Refused, with the reason in `message`; Skipped for somebody in an
    /// expanded group who can't hold the right, which does not lower Ready.
    pub state: RightState,
    /// Since when the right has been granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// By when it should work: Exchange takes a grant at once, Outlook and the sending of mail may honour it only later.
    /// A rule of thumb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_by: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RightState {
    Granted,
    Pending,
    Refused,
    /// Somebody in an expanded group who can't hold the right; does not lower Ready.
    Skipped,
}
