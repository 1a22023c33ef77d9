//! What the operator remembers of one mailbox, as values to plan with: read from a `MailboxLedger`, and written back to it.

mod decode;
mod encode;
mod heal;
mod history;
#[cfg(test)]
mod history_tests;
mod life;
mod merge;
#[cfg(test)]
mod size_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{DefaultsState, Intent};
use crate::mail::{Holder, ObjectId, Right, Sid, SmtpAddress};

pub use decode::{Unreadable, read};
pub use encode::{BY, is_same_but_for_time, outgrows, write};
pub use heal::{heal, heal_rights, is_ahead};
pub use history::{Access, Why, held_on, is_grant, is_removal, last_changes, note, note_restored};
pub use life::{FOREIGN_MARKER, TAKING_UP, is_intact, is_our_version, is_sealed, lifecycle, seal};
pub use merge::{merge, wins};

/// Longer than any lag of a replica.
pub const SHOWN_BY_THEN: Duration = Duration::from_mins(35);

/// What a plan must know of earlier reconciles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// A New-Mailbox that was announced and whose mailbox is not marked yet.
    pub intent: Option<Intent>,
    /// Since when a mailbox that was there before its resource is being taken over: until a read shows the marker. For
    /// waiting, never as proof.
    pub adopting: Option<Timestamp>,
    /// The account of an adopted mailbox may be open, and no manifest has said whether it is to stay so.
    pub sign_in_undecided: bool,
    /// Addresses that were added because a manifest declared them.
    pub addresses: Vec<SmtpAddress>,
    /// What became of the tenant's defaults, when the mailbox was created with some.
    pub defaults: Option<DefaultsState>,
    /// Families of settings that were opened because a manifest declares them, by name.
    pub opened: BTreeSet<String>,
    /// Grants that were created, or are about to be created, because a manifest declares them.
    pub grants: Vec<RecordedGrant>,
    /// What was removed while a replica may not have known of it yet.
    pub removed: Vec<Removed>,
    /// Removals that were weighed and are perhaps not done yet: they are not weighed a second time.
    pub weighed: Vec<WeighedRemoval>,
    /// What waits for approval.
    pub held: Option<HeldRemovals>,
    /// A block closes an open account, or has closed it, and its sessions are still to be revoked.
    pub sign_out_owed: bool,
}

impl Ledger {
    /// Whether the removal of this right was announced.
    pub fn announces(&self, what: &RightOf) -> bool {
        self.weighed.iter().any(|one| one.what == *what)
    }

    /// Whether a right was removed so lately that a replica may hide that it is there.
    pub fn may_hide_a_right(&self, now: Timestamp) -> bool {
        self.removed.iter().any(|removed| match &removed.what {
            Withdrawn::Grant(_) => removed.until > now,
            Withdrawn::Address(_) | Withdrawn::Setting(_) => false,
        })
    }
}

/// One right of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedGrant {
    pub object_id: ObjectId,
    pub right: Right,
    /// No read has shown it yet.
    pub pending: bool,
    /// Learned from a read after the grant; permission rows carry no object id.
    pub sid: Option<Sid>,
    /// Full Access only. None: unknown, because the grant was there before us and automapping can't be read.
    pub auto_mapping: Option<bool>,
    /// True while automapping is being changed, which takes a revoke and a grant: until both are done the
    /// pair is repeated.
    pub remapping: bool,
    /// The member as the manifest wrote it, so that one who can't be resolved any more keeps the grant. For somebody
    /// who came with a group, the group.
    pub member: SmtpAddress,
    /// Further ways in which manifests name the same person.
    pub also: Vec<SmtpAddress>,
    /// The MailboxPermissions that declare it, by name.
    pub by: Vec<String>,
    /// When it was announced, or created anew; None when it was there before us. For people and for waiting, never as proof.
    pub at: Option<Timestamp>,
    /// When it ends, be its resource deleted by then.
    pub until: Option<Timestamp>,
}

/// A removal that a read showed done. Perhaps the replica that was read knew nothing of the grant yet, and Exchange
/// forgot what it had acknowledged: it is rechecked until no replica can be so old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Until when it is rechecked; used for waiting only, never as proof.
    pub until: Timestamp,
    pub what: Withdrawn,
    /// When it was weighed: it counts for a while longer.
    pub weighed_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    Grant(RecordedGrant),
    Address(SmtpAddress),
    /// A family of settings that was opened, by name.
    Setting(String),
}

/// One right of one holder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RightOf {
    pub holder: Holder,
    pub right: Right,
}

/// A removal that was weighed with others before it was done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WeighedRemoval {
    pub what: RightOf,
    pub at: Timestamp,
    /// Because the resource is being deleted: whoever lets that go at once takes the announcement back.
    pub with_resource: bool,
}

/// Changes that wait for approval, and since when: the same changes held again need another approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldRemovals {
    pub since: Timestamp,
    pub removals: BTreeSet<RightOf>,
    /// Grants to people who joined a group all at once.
    pub grants: BTreeSet<RightOf>,
}

impl RecordedGrant {
    /// Every way in which manifests named the member.
    pub fn written_as(&self) -> impl Iterator<Item = &SmtpAddress> {
        std::iter::once(&self.member).chain(&self.also)
    }

    pub fn key(&self) -> (ObjectId, Right) {
        (self.object_id, self.right)
    }

    /// As removals name it.
    pub fn right_of(&self) -> RightOf {
        RightOf {
            holder: Holder::ObjectId(self.object_id),
            right: self.right,
        }
    }
}

impl Ledger {
    /// The SID in the entry of this right; where none is known, the one that was learned with another right. They differ
    /// when the member has got another SID in between.
    pub fn sid_for(&self, member: &ObjectId, right: Right) -> Option<&Sid> {
        let own = self.grant(member, right).and_then(|grant| grant.sid.as_ref());
        own.or_else(|| self.sid_of(member))
    }

    pub fn grant(&self, member: &ObjectId, right: Right) -> Option<&RecordedGrant> {
        let same = |grant: &&RecordedGrant| grant.object_id == *member && grant.right == right;
        self.grants.iter().find(same)
    }

    /// The SID of a member, as learned with any of the rights.
    pub fn sid_of(&self, member: &ObjectId) -> Option<&Sid> {
        self.grants
            .iter()
            .filter(|grant| grant.object_id == *member)
            .find_map(|grant| grant.sid.as_ref())
    }
}
