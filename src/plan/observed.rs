//! What is.

use std::collections::{BTreeMap, BTreeSet};

use super::account::Account;
use super::reads::{Read, UnreadReads};
use super::standing::{ShownSettings, Unread};
use crate::mail::{Holder, MailboxGuid, Nickname, ObjectId, OneTimeName, Right, Sid, SmtpAddress};
use crate::setting::{Source, Value, Values};

/// What Exchange and the directory show of one mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub guid: MailboxGuid,
    /// None while Exchange has not shown it.
    pub object_id: Option<ObjectId>,
    /// Decides whether a mailbox without a marker is the one that was just created.
    pub display_name: String,
    pub primary: SmtpAddress,
    /// All SMTP addresses, the primary one included.
    pub addresses: BTreeSet<SmtpAddress>,
    /// The text in the marker attribute.
    pub attribute: String,
    /// `AccountDisabled` as Exchange shows it: no proof of anything.
    pub account_disabled: bool,
    /// Whether the account can be signed in to, as Entra shows it.
    pub account: Account,
    pub full_access: Holders,
    pub send_as: Holders,
    pub on_behalf: OnBehalf,
    /// Who is behind a row that no manifest declares, as far as it was looked up.
    pub identities: BTreeMap<Holder, Identity>,
    /// Not in the address list: members can't add the mailbox to Outlook.
    pub hidden: bool,
    /// Where mail is forwarded to, as Exchange shows it.
    pub forwarding: Option<String>,
    /// Whether a licence is assigned to the account; None where the row does not show it.
    pub sku_assigned: Option<bool>,
    pub settings: ShownSettings,
    /// Wanted reads that failed, but for those of settings and sign-in.
    pub unread: UnreadReads,
    /// Members about whom a question was not answered, and why.
    pub unanswered: BTreeMap<ObjectId, Unread>,
}

/// Who holds Full Access or Send As. Permission rows carry a SID and no object id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    /// All rows that are neither SELF nor inherited.
    pub entries: Vec<Entry>,
    /// Answers to reads for one person.
    pub asked: BTreeMap<ObjectId, Asked>,
}

/// What a read for one person showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Nothing,
    /// Entries that carry this SID.
    One(Sid),
    /// Entries with several SIDs: those of the person's present and former accounts. They hold the right, and no SID stands
    /// for all of it.
    Several(BTreeSet<Sid>),
}

impl Asked {
    pub fn sid(&self) -> Option<&Sid> {
        match self {
            Self::One(sid) => Some(sid),
            Self::Nothing | Self::Several(_) => None,
        }
    }

    pub(super) fn sids(&self) -> Vec<&Sid> {
        match self {
            Self::Nothing => Vec::new(),
            Self::One(sid) => vec![sid],
            Self::Several(sids) => sids.iter().collect(),
        }
    }
}

/// One row of a permission list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// None: the row can't be tied to anybody.
    pub sid: Option<Sid>,
    /// As Exchange shows the holder: text that changes with a rename, for people only.
    pub shown: String,
    pub rights: BTreeSet<String>,
    pub denies: bool,
}

/// Who is behind a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    Known {
        object_id: Option<ObjectId>,
        /// The sign-in name and the addresses.
        addresses: BTreeSet<SmtpAddress>,
    },
    /// No account and no group has this id any more.
    Gone,
    /// Exchange shows somebody, and nothing says for sure who it is.
    Untied,
    /// A group of Exchange's own, by which it gives roles: neither somebody's grant nor a leftover.
    RoleGroup,
}

/// Who may send on behalf. Exchange shows ids or names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnBehalf {
    pub ids: BTreeSet<ObjectId>,
    /// Entries that could not be tied to an object: unknown, not foreign.
    pub untied: usize,
}

/// Whether somebody holds a right, as far as the reads show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// With the SID, where the store has one.
    Present(Option<Sid>),
    Absent,
    Unknown,
    /// The read failed that would show it.
    Unread,
}

impl Holders {
    /// True when a row allows `sid` the right.
    fn allow(&self, sid: &Sid, right: Right) -> bool {
        let allows = |row: &Entry| !row.denies && row.rights.contains(right.as_str());
        self.entries
            .iter()
            .any(|row| row.sid.as_ref() == Some(sid) && allows(row))
    }

    fn presence(&self, id: &ObjectId, right: Right, known_sid: Option<&Sid>) -> Presence {
        match (self.asked.get(id), known_sid) {
            (Some(Asked::One(sid)), _) => Presence::Present(Some(sid.clone())),
            (Some(Asked::Several(_)), _) => Presence::Present(None),
            (_, Some(sid)) if self.allow(sid, right) => Presence::Present(Some(sid.clone())),
            (Some(Asked::Nothing), _) | (None, Some(_)) => Presence::Absent,
            (None, None) => Presence::Unknown,
        }
    }
}

impl Holders {
    fn assume_present(&mut self, id: ObjectId, right: Right, sid: Option<&Sid>) {
        let Some(sid) = sid else { return };
        if !self.allow(sid, right) {
            self.entries.push(Entry {
                sid: Some(sid.clone()),
                shown: id.to_string(),
                rights: BTreeSet::from([right.as_str().to_owned()]),
                denies: false,
            });
        }
        self.asked.remove(&id);
    }
}

impl Observed {
    /// Whether `id` holds `right`. `known_sid` comes from the ledger.
    pub fn presence(&self, id: &ObjectId, right: Right, known_sid: Option<&Sid>) -> Presence {
        match right {
            Right::FullAccess | Right::SendAs => self.in_rows(id, right, known_sid),
            Right::SendOnBehalf if self.on_behalf.ids.contains(id) => Presence::Present(None),
            Right::SendOnBehalf if self.on_behalf.untied > 0 => Presence::Unknown,
            Right::SendOnBehalf => Presence::Absent,
        }
    }

    fn in_rows(&self, id: &ObjectId, right: Right, known_sid: Option<&Sid>) -> Presence {
        let holders = match right {
            Right::FullAccess => &self.full_access,
            Right::SendAs | Right::SendOnBehalf => &self.send_as,
        };
        let was_asked = holders.asked.contains_key(id);
        match holders.presence(id, right, known_sid) {
            Presence::Absent if self.is_unread(right) && !was_asked => Presence::Unread,
            Presence::Unknown if self.is_unread(right) || self.unanswered.contains_key(id) => {
                Presence::Unread
            }
            found @ (Presence::Present(_) | Presence::Absent | Presence::Unknown | Presence::Unread) => found,
        }
    }

    /// Why nobody knows whether declared rights are there: the first reason of each read.
    pub fn why_rights_are_unread(&self) -> Vec<&Unread> {
        let lists = [Read::FullAccess, Read::SendAs].into_iter();
        let lists = lists.filter_map(|read| self.unread.get(&read));
        lists.chain(self.unanswered.values().take(1)).collect()
    }

    /// Whether the rows of this right could not be read.
    pub fn is_unread(&self, right: Right) -> bool {
        match right {
            Right::FullAccess => self.unread.contains_key(&Read::FullAccess),
            Right::SendAs => self.unread.contains_key(&Read::SendAs),
            // Get-Mailbox shows it.
            Right::SendOnBehalf => false,
        }
    }

    /// Whether a row allows `right` and nobody knows whose it is. `knows`: SIDs that are somebody's for sure.
    pub fn has_untied(&self, right: Right, knows: impl Fn(&Sid) -> bool) -> bool {
        let holders = match right {
            Right::FullAccess => &self.full_access,
            Right::SendAs => &self.send_as,
            Right::SendOnBehalf => return false,
        };
        let is_tied = |sid: &Sid| {
            let asked = holders.asked.values().flat_map(Asked::sids);
            let identity = self.identities.get(&Holder::Sid(sid.clone()));
            knows(sid)
                || asked.into_iter().any(|known| known == sid)
                || matches!(identity, Some(Identity::Known { .. } | Identity::RoleGroup))
        };
        let rows = holders.entries.iter();
        let mut rows = rows.filter(|row| !row.denies && row.rights.contains(right.as_str()));
        rows.any(|row| !row.sid.as_ref().is_some_and(is_tied))
    }

    /// Whether a row with this SID allows `right`. Send on Behalf has no rows.
    pub fn shows(&self, sid: &Sid, right: Right) -> bool {
        match right {
            Right::FullAccess => self.full_access.allow(sid, right),
            Right::SendAs => self.send_as.allow(sid, right),
            Right::SendOnBehalf => false,
        }
    }

    /// The SID of `id` that any answer of this read carried.
    pub fn sid_of(&self, id: &ObjectId) -> Option<&Sid> {
        [&self.full_access, &self.send_as]
            .into_iter()
            .find_map(|holders| holders.asked.get(id)?.sid())
    }

    /// The SID of `id`, when a row of theirs that no manifest declares was looked up: one, or unknown.
    pub fn tied_sid(&self, id: &ObjectId) -> Option<&Sid> {
        let mut tied = self.tied_sids(id);
        let first = tied.next();
        first.filter(|_| tied.next().is_none())
    }

    /// The SIDs of all rows that were looked up and are those of `id`.
    fn tied_sids(&self, id: &ObjectId) -> impl Iterator<Item = &Sid> {
        let tied = self.identities.iter().filter_map(|(holder, identity)| {
            let tied_to = match identity {
                Identity::Known { object_id, .. } => object_id.as_ref(),
                Identity::Gone | Identity::Untied | Identity::RoleGroup => None,
            };
            match holder {
                Holder::Sid(sid) => tied_to.map(|tied_to| (tied_to, sid)),
                Holder::ObjectId(_) => None,
            }
        });
        tied.filter_map(move |(tied_to, sid)| (tied_to == id).then_some(sid))
    }

    /// Every SID under which an answer of this read shows entries of `id`: somebody has several when an account of theirs got
    /// another one in between.
    pub fn sids_of(&self, id: &ObjectId) -> BTreeSet<&Sid> {
        let lists = [&self.full_access, &self.send_as].into_iter();
        let asked = lists.filter_map(|holders| holders.asked.get(id));
        asked.flat_map(Asked::sids).chain(self.tied_sids(id)).collect()
    }

    /// Exchange itself said that `id` holds `right`, whatever a replica shows.
    pub fn assume_present(&mut self, id: ObjectId, right: Right, sid: Option<&Sid>) {
        match right {
            Right::FullAccess => self.full_access.assume_present(id, right, sid),
            Right::SendAs => self.send_as.assume_present(id, right, sid),
            Right::SendOnBehalf => {
                self.on_behalf.ids.insert(id);
            }
        }
    }

    /// A mailbox as New-Mailbox leaves it: named once, perhaps open for sign-in, without marker and grants.
    pub fn just_created(guid: MailboxGuid, object_id: ObjectId, creation: &Creation) -> Self {
        let Creation {
            one_time_name,
            alias,
            address,
        } = creation;
        let named = Values::of([
            ("DisplayName", Some(Value::text(one_time_name.as_str()))),
            ("Alias", Some(Value::name(alias.as_str()))),
        ]);
        Self {
            guid,
            object_id: Some(object_id),
            display_name: one_time_name.to_string(),
            primary: address.clone(),
            addresses: BTreeSet::from([address.clone()]),
            attribute: String::new(),
            account_disabled: false,
            account: Account::NotShown,
            full_access: Holders::default(),
            send_as: Holders::default(),
            on_behalf: OnBehalf::default(),
            identities: BTreeMap::new(),
            hidden: false,
            forwarding: None,
            sku_assigned: None,
            // Everything else is unread: it follows once it was.
            settings: ShownSettings::from([(Source::Mailbox, Ok(named))]),
            unread: UnreadReads::new(),
            unanswered: BTreeMap::new(),
        }
    }
}

/// What New-Mailbox is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    pub one_time_name: OneTimeName,
    pub alias: Nickname,
    pub address: SmtpAddress,
}
