//! The operator's memory of one mailbox: an object of its own that no team can write.
//!
//! It is to the SharedMailbox what a PersistentVolume is to its claim: cluster-scoped, named for life, and there when
//! the resource is gone. It is written, and acknowledged by the API server, before the write to Exchange that it
//! announces. It is memory and no proof: what may be changed is decided by the marker on the mailbox itself.
//!
//! Longer than others: it is one object, and its fields are documented where they stand.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::mail::{
    Holder, MailboxGuid, Nickname, ObjectId, OneTimeName, Right, Sid, SmtpAddress, TenantGuid,
};

/// On a MailboxLedger, with the mailbox's GUID: lets the ledger be deleted although it remembers something.
pub const FORGET: &str = "sharedmailbox.dev/forget";

/// On a MailboxLedger whose SharedMailbox is gone, with the mailbox's GUID: hands the mailbox back.
pub const DISOWN: &str = "sharedmailbox.dev/disown";

/// The format written today, as a number. A ledger of another format is left alone and stalls its mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Format1;

impl TryFrom<i64> for Format1 {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, Self::Error> {
        if number == 1 {
            Ok(Self)
        } else {
            Err(format!("format {number} is not 1"))
        }
    }
}

impl From<Format1> for i64 {
    fn from(Format1: Format1) -> Self {
        1
    }
}

/// What the operator remembers of one mailbox. Only the operator changes it; a backup of objects restores it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "sharedmailbox.dev",
    version = "v1alpha1",
    kind = "MailboxLedger",
    doc = "What the operator remembers of one mailbox. Only the operator changes it.",
    plural = "mailboxledgers",
    singular = "mailboxledger",
    shortname = "mbxledger",
    derive = "PartialEq",
    selectable = ".spec.resourceRef.uid",
    selectable = ".spec.resourceRef.namespace",
    selectable = ".spec.resourceRef.name",
    selectable = ".spec.mailbox.guid",
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.mailbox.address"),
    printcolumn(
        name = "Namespace",
        type_ = "string",
        json_path = ".spec.resourceRef.namespace"
    ),
    printcolumn(name = "Resource", type_ = "string", json_path = ".spec.resourceRef.name"),
    printcolumn(name = "People", type_ = "integer", json_path = ".spec.shown.people"),
    printcolumn(name = "State", type_ = "string", json_path = ".spec.shown.state"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct MailboxLedgerSpec {
    /// The format of this object: 1.
    #[schemars(with = "i64", range(min = 1))]
    pub format: Format1,
    /// Shows that the object is as the operator wrote it: neither restored from a backup nor edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
    /// The cluster, as the marker names it.
    #[schemars(length(max = 128))]
    pub cluster: String,
    /// The tenant in which the mailbox is.
    pub tenant: LedgerTenant,
    /// The SharedMailbox that has the mailbox, or had it last.
    pub resource_ref: LedgerResource,
    /// The mailbox, once Exchange has answered that it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailbox: Option<LedgerMailbox>,
    /// A New-Mailbox that was announced and whose mailbox is not marked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// Since when a mailbox that was there before its resource is being taken over: until a read shows the marker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub adopting: Option<Timestamp>,
    /// What an adopted mailbox was like before the first write to it, so that it can be put back by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Box<LedgerBefore>>,
    /// The account behind an adopted mailbox may be open, and no manifest has said yet whether it is to stay so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sign_in_undecided: bool,
    /// When a resource took the mailbox up again. For an hour no right is revoked whose MailboxPermission is not back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub taken_up_at: Option<Timestamp>,
    /// The ledger itself was restored or edited before it was taken up: for that hour nothing that it lists is revoked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restored: bool,
    /// Since when no SharedMailbox has the mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub released_at: Option<Timestamp>,
    /// Since when Exchange has no such mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub gone_at: Option<Timestamp>,
    /// Addresses that were added because a manifest declared them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), with = "Vec<String>")]
    pub addresses: Vec<SmtpAddress>,
    /// Addresses that were taken away while a replica may still show them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub removed_addresses: Vec<RemovedAddress>,
    /// Whether the ExchangeTenant's `defaults` were applied to the mailbox, when it was created with some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defaults: Option<DefaultsState>,
    /// Settings that were opened because a manifest declares them, by the path in the manifest: they are withdrawn when
    /// they are declared no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 64)))]
    pub opened: Vec<String>,
    /// Settings that were withdrawn while a replica may still show them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub removed_settings: Vec<RemovedSetting>,
    /// The MailboxPermissions that declare rights, by name. `by` counts from 0 into this list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub permissions: Vec<String>,
    /// Who holds what because a manifest declares it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3000))]
    pub people: Vec<LedgerPerson>,
    /// Removals of rights that nobody declared, as far as they still count against the limits of `safety`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub evictions: Vec<LedgerEviction>,
    /// Changes that wait for approval, but for removals of listed rights, which have the state Held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<LedgerHeld>,
    /// Sign-in of the account behind the mailbox was open and is being blocked: its sessions are still to be revoked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sign_out_owed: bool,
    /// The request to remove orphaned grants that was carried out last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub orphans_removed: Option<String>,
    /// The uid of the namespace when the mailbox was taken up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub namespace_uid: Option<String>,
    /// The uid of the definition of MailboxPermission: with another one every permission is gone and may come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub permissions_crd_uid: Option<String>,
    /// The earliest moment that the history covers. Before it the answer is "unknown, see the audit log".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub history_from: Option<Timestamp>,
    /// Who got and lost access, when and why: 64 KiB or 90 days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub history: Vec<HistoryLine>,
    /// For the columns of `kubectl get`. Of what is written here only ForeignMarker is read back.
    #[serde(default)]
    pub shown: LedgerShown,
    /// What a newer operator wrote here is kept.
    #[serde(flatten)]
    #[schemars(skip)]
    pub other: BTreeMap<String, Value>,
}

/// Intact when `uid` is the object's own and `generation` its present one. A copy, a restored object and an edited one
/// have another uid or another generation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seal {
    /// Empty in the write that creates the object, which has no uid yet.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The generation that the write with this seal produces.
    pub generation: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerTenant {
    /// The ExchangeTenant.
    #[schemars(length(max = 253))]
    pub name: String,
    /// The tenant's id, as its token says.
    #[schemars(with = "String", length(max = 36))]
    pub guid: TenantGuid,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerResource {
    /// Its namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(max = 253))]
    pub name: String,
    /// Its uid: with another one of the same name the mailbox is taken up again.
    #[schemars(length(max = 64))]
    pub uid: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerMailbox {
    /// Its ExchangeGuid.
    #[schemars(with = "String", length(max = 36))]
    pub guid: MailboxGuid,
    /// Directory object id of the account behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub object_id: Option<ObjectId>,
    /// Its primary address, as it was read last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub address: Option<SmtpAddress>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// By which the mailbox is found whatever came of the call.
    #[schemars(with = "String", length(max = 64))]
    pub one_time_name: OneTimeName,
    /// The mail nickname of the new mailbox.
    #[schemars(length(max = 64))]
    pub alias: String,
    /// Its primary address.
    #[schemars(with = "String", length(max = 320))]
    pub address: SmtpAddress,
    /// The name that the mailbox is to have, for when its resource is deleted meanwhile.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 256))]
    pub display_name: String,
    /// When it was announced; used for waiting only, never as proof.
    #[schemars(with = "String")]
    pub at: Timestamp,
}

/// A mailbox as it was found. Of what does not fit into 16 KiB only the count is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerBefore {
    /// When it was read.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Whether its account could be signed in to, as Entra showed it: Open, Blocked or Unknown.
    #[schemars(length(max = 16))]
    pub sign_in: String,
    /// Its primary address.
    #[schemars(with = "String", length(max = 320))]
    pub primary: SmtpAddress,
    /// All its addresses.
    #[schemars(length(max = 1000), with = "Vec<String>")]
    pub addresses: Vec<SmtpAddress>,
    /// What could not be read, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 512)))]
    pub unread: Vec<String>,
    /// Its settings, by the parameter of the cmdlet that sets each; an empty text for one that was not set.
    #[schemars(extend("maxProperties" = 128, "additionalProperties" = { "type": "string", "maxLength": 4096 }))]
    pub settings: BTreeMap<String, String>,
    /// Who held which right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    pub grants: Vec<LedgerGrantBefore>,
    /// How many addresses, settings and grants did not fit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: i32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde passes it")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// A right that somebody held on a mailbox as it was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerGrantBefore {
    /// Object id or SID, where the entry carried one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub holder: Option<String>,
    /// Whom Exchange showed.
    #[schemars(length(max = 256))]
    pub shown: String,
    /// What they held.
    #[schemars(length(max = 10), inner(length(max = 64)))]
    pub rights: Vec<String>,
}

impl Intent {
    /// The nickname that was announced; None when somebody edited it.
    pub fn nickname(&self) -> Option<Nickname> {
        self.alias.parse().ok()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemovedAddress {
    /// The address.
    #[schemars(with = "String", length(max = 320))]
    pub address: SmtpAddress,
    /// Until when it is checked again.
    #[schemars(with = "String")]
    pub until: Timestamp,
}

/// What became of the defaults of a mailbox that was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DefaultsState {
    /// They are to be applied: written with the intent, so that no crash loses them.
    Pending,
    /// Once, and never again.
    Applied,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RemovedSetting {
    /// The path in the manifest.
    #[schemars(length(max = 64))]
    pub family: String,
    /// Until when it is checked again.
    #[schemars(with = "String")]
    pub until: Timestamp,
}

/// Somebody who holds rights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerPerson {
    /// Directory object id.
    #[schemars(with = "String", length(max = 36))]
    pub id: ObjectId,
    /// By which permission rows name the person; learned from the entry that Exchange answered, or from a read after the
    /// grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub sid: Option<Sid>,
    /// Every way in which manifests name the person, or the group by which they came.
    #[schemars(length(max = 70), with = "Vec<String>")]
    pub written_as: Vec<SmtpAddress>,
    /// What the person holds, by right: FullAccess, SendAs, SendOnBehalf.
    pub rights: BTreeMap<Right, LedgerRight>,
}

/// One right of one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerRight {
    pub state: GrantState,
    /// When it was announced, or granted anew; left out when it was there before us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
    /// The MailboxPermissions that declare it, counted from 0 in `permissions`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub by: Vec<i32>,
    /// How this right's declarations name the person, counted from 0 in `writtenAs`.
    #[serde(default, rename = "as", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 70))]
    pub named: Vec<i32>,
    /// When it ends (`expiresAt`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub until: Option<Timestamp>,
    /// When its removal was weighed against the limits of `safety`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub weighed_at: Option<Timestamp>,
    /// It is being removed because the SharedMailbox is being deleted under a policy that says so: where that is let go at
    /// once, the right stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub with_resource: bool,
    /// Of a removed right: until when it is checked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub checked_until: Option<Timestamp>,
    /// Full Access only. Left out: unknown, because the grant was there before us and automapping can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_mapping: Option<bool>,
    /// The SID in this right's entry, where it is another one than that of the person: they got another SID in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub sid: Option<Sid>,
    /// Automapping is being changed, which takes a revoke and a grant: until both are done the pair is repeated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remapping: bool,
}

/// How a right stands.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::IntoStaticStr,
)]
pub enum GrantState {
    /// Announced; no read has shown it yet.
    Pending,
    /// A read has shown it.
    Granted,
    /// Its removal waits for approval.
    Held,
    /// Its removal was admitted and is perhaps not done yet.
    Removing,
    /// A read showed it gone. Perhaps that replica knew nothing of the grant yet: it is checked again for a while.
    Removed,
}

impl GrantState {
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The removal of a right that no manifest declared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LedgerEviction {
    /// Who held it, by object id or SID.
    #[schemars(with = "BTreeMap<String, String>")]
    pub holder: Holder,
    pub right: Right,
    /// When it was weighed.
    #[schemars(with = "String")]
    pub weighed_at: Timestamp,
}

/// Changes that wait for approval, and since when: the same changes held again need another approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerHeld {
    /// Since when they wait.
    #[schemars(with = "String")]
    pub since: Timestamp,
    /// Removals of rights that nobody declares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub evictions: Vec<LedgerRightOf>,
    /// Grants to people who joined a group all at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1500))]
    pub grants: Vec<LedgerRightOf>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct LedgerRightOf {
    /// Whose it is, by object id or SID.
    #[schemars(with = "BTreeMap<String, String>")]
    pub holder: Holder,
    pub right: Right,
}

/// Who got or lost a right. A change of several people by one cause is one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryLine {
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Directory object ids. None of a line about the mailbox itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), with = "Vec<String>")]
    pub ids: Vec<ObjectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<Right>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<GrantState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<GrantState>,
    /// Why, in a word or two.
    #[schemars(length(max = 64))]
    pub cause: String,
    /// The MailboxPermissions that asked for it, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub by: Vec<String>,
    /// By which Microsoft's support finds the last request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub request: Option<String>,
    /// How many changes of one day the line stands for; left out: one.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub n: i32,
}

fn one() -> i32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_one(number: &i32) -> bool {
    *number == 1
}

/// For the columns of `kubectl get`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerShown {
    /// Creating, Finishing, Serving, TakingUp, Released, ForeignMarker or Gone.
    #[serde(default)]
    #[schemars(length(max = 32))]
    pub state: String,
    /// How many people hold something.
    #[serde(default)]
    pub people: i32,
}
