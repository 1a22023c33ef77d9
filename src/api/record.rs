//! The operator's memory of one mailbox, kept in `status.record`.
//!
//! It is written, and acknowledged by the API server, before the write to Exchange that it announces. It is
//! memory and no proof: what may be changed is decided by the marker on the mailbox itself.

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::mailbox_ledger::{Format1, Intent};
use crate::mail::{Holder, ObjectId, Right, Sid, SmtpAddress};

/// What must be remembered between two reconciles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub format: Format1,
    /// A New-Mailbox that was announced and whose mailbox is not marked yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// Addresses that were added because a manifest declared them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<SmtpAddress>,
    /// Grants that were created, or are about to be created, because a manifest declares them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<RecordedGrant>,
    /// What was removed while a replica may not have known of it yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Removed>,
    /// Removals that were admitted and are perhaps not done yet: they are not counted a second time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub admitted: Vec<AdmittedRemoval>,
    /// What waits for approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldRecord>,
}

/// A removal that a read showed done. Perhaps the replica that was read knew nothing of the grant yet, and Exchange
/// forgot what it had acknowledged: it is rechecked until no replica can be so old.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Until when; used for waiting only, never as proof.
    pub until: Timestamp,
    #[serde(flatten)]
    pub what: Withdrawn,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Withdrawn {
    Grant(RecordedGrant),
    Address(SmtpAddress),
}

/// One removal of a grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AdmittedRemoval {
    pub holder: Holder,
    pub right: Right,
}

/// Changes that wait for approval, and since when: the same changes held again need another approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRecord {
    pub since: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removals: Vec<AdmittedRemoval>,
    /// Grants to people who joined a group all at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<AdmittedRemoval>,
}

/// One right of one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedGrant {
    pub object_id: ObjectId,
    pub right: Right,
    /// Learned from a read after the grant; permission rows carry no object id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<Sid>,
    /// Full Access only. None: unknown, because the grant was there before us and automapping can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_mapping: Option<bool>,
    /// True while automapping is being changed, which takes a revoke and a grant: until both are done the
    /// pair is repeated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remapping: bool,
    /// The member as the manifest wrote it, so that one who can't be resolved any more keeps the grant. For somebody
    /// who came with a group, the group.
    pub member: SmtpAddress,
    /// Further ways in which manifests name the same person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<SmtpAddress>,
    /// The MailboxPermissions that declare it, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// When it was announced, or created anew; None when it was there before us. For people and for waiting, never as proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

impl RecordedGrant {
    /// Every way in which manifests named the member.
    pub fn written_as(&self) -> impl Iterator<Item = &SmtpAddress> {
        std::iter::once(&self.member).chain(&self.also)
    }
}

impl Record {
    /// The SID of a member, as learned with any of the rights.
    pub fn sid_of(&self, member: &ObjectId) -> Option<&Sid> {
        self.grants
            .iter()
            .filter(|grant| grant.object_id == *member)
            .find_map(|grant| grant.sid.as_ref())
    }
}

/// The record as it lies in the API server: any object, so that one that can't be read stalls its own mailbox
/// and no other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RawRecord(Value);

#[derive(Debug, thiserror::Error)]
#[error(
    "status.record can't be read ({0}): restore it from a backup, or remove it so that the mailbox is taken up \
     by its marker and its grants by their declaration"
)]
pub struct UnreadableRecord(String);

impl RawRecord {
    pub fn read(&self) -> Result<Record, UnreadableRecord> {
        serde_json::from_value(self.0.clone()).map_err(|error| UnreadableRecord(error.to_string()))
    }
}

impl From<&Record> for RawRecord {
    fn from(record: &Record) -> Self {
        // A struct of strings and numbers always serialises.
        Self(serde_json::to_value(record).unwrap_or_default())
    }
}

impl JsonSchema for RawRecord {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Record".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of the first format must be readable for ever: never edit this text.
    const FIRST_FORMAT: &str = r#"{
        "format": 1,
        "intent": {
            "oneTimeName": "smo-0123456789abcdef0123456789abcdef", "alias": "sales",
            "address": "sales@contoso.com", "at": "2026-11-22T09:00:00Z"
        },
        "addresses": ["info@contoso.com"],
        "grants": [
            { "objectId": "00000000-0000-4000-8000-000000000001", "right": "FullAccess",
              "sid": "S-1-5-21-1-2-3-1104", "autoMapping": true, "member": "first.member@contoso.com" },
            { "objectId": "00000000-0000-4000-8000-000000000001", "right": "SendOnBehalf",
              "member": "first.member@contoso.com" }
        ]
    }"#;

    /// What was added to the first format since, and must be readable for ever, too: never edit this text.
    const WITH_REMOVED: &str = r#"{
        "format": 1,
        "removed": [
            { "until": "2026-11-25T09:35:00Z", "grant": {
              "objectId": "00000000-0000-4000-8000-000000000001", "right": "SendAs",
              "member": "first.member@contoso.com", "by": ["team"], "at": "2026-11-25T09:00:00Z" } },
            { "until": "2026-11-25T09:35:00Z", "address": "info@contoso.com" }
        ]
    }"#;

    #[test]
    fn a_record_of_the_first_format_reads_and_writes_back_the_same() {
        let raw: RawRecord = serde_json::from_str(FIRST_FORMAT).unwrap();
        let record = raw.read().unwrap();
        assert_eq!(record.grants.len(), 2);
        assert_eq!(record.grants[0].auto_mapping, Some(true));
        assert_eq!(RawRecord::from(&record), raw);
        let raw: RawRecord = serde_json::from_str(WITH_REMOVED).unwrap();
        let record = raw.read().unwrap();
        assert_eq!(record.removed.len(), 2);
        assert_eq!(RawRecord::from(&record), raw);
    }

    #[test]
    fn a_record_that_cannot_be_read_says_what_to_do() {
        for broken in [r#"{"format": 2}"#, "{}", r#"{"format":1,"addresses":["x"]}"#] {
            let raw: RawRecord = serde_json::from_str(broken).unwrap();
            assert!(
                raw.read()
                    .unwrap_err()
                    .to_string()
                    .contains("restore it from a backup"),
                "{broken}"
            );
        }
    }
}
