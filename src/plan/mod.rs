//! Desired × observed × record → ordered steps. Plain functions on values: no client, no clock, no await.

mod change;
mod grants;
mod ownership;
#[cfg(test)]
mod properties;
mod settings;
mod step;
#[cfg(test)]
mod testing;

use std::collections::{BTreeMap, BTreeSet};

pub use change::{Acknowledged, Change};
pub use ownership::{NotOurs, Standing, standing};
pub use settings::Settings;
pub use step::{Plan, Step};

use crate::api::{Record, SignIn, SignInControl};
use crate::mail::{MailboxGuid, MarkerOwner, Nickname, ObjectId, OneTimeName, Right, Sid, SmtpAddress};

/// What one mailbox and all its permissions ask for, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    pub owner: MarkerOwner,
    /// 1 to 15: the custom attribute that holds the marker.
    pub marker_attribute: u8,
    pub display_name: String,
    pub address: SmtpAddress,
    /// None: the nickname is not managed.
    pub alias: Option<Nickname>,
    pub aliases: BTreeSet<SmtpAddress>,
    pub sign_in: SignIn,
    pub sign_in_control: SignInControl,
    pub grants: BTreeMap<(ObjectId, Right), WantedGrant>,
    /// Members that are declared and can't be granted to now, be it that they are unknown or refused: what
    /// they were granted before stays, because it is not undeclared.
    pub kept_members: BTreeSet<SmtpAddress>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedGrant {
    /// Meaningful for Full Access only.
    pub auto_mapping: bool,
    /// The member as written.
    pub member: SmtpAddress,
}

/// What Exchange and the directory show of one mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub guid: MailboxGuid,
    /// None while Exchange has not told it.
    pub object_id: Option<ObjectId>,
    pub display_name: String,
    pub alias: String,
    pub primary: SmtpAddress,
    /// All SMTP addresses, the primary one included.
    pub addresses: BTreeSet<SmtpAddress>,
    /// The text in the marker attribute.
    pub attribute: String,
    /// `AccountDisabled` as Exchange shows it.
    pub account_disabled: bool,
    /// `accountEnabled` as the directory shows it; None when the app may not read users.
    pub directory_enabled: Option<bool>,
    pub full_access: Holders,
    pub send_as: Holders,
    pub on_behalf: OnBehalf,
}

/// Who holds Full Access or Send As. Permission rows carry a SID and no object id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    /// SIDs of all rows that allow the right and are neither SELF nor inherited.
    pub sids: BTreeSet<Sid>,
    /// Answers to reads for one person: the SID in the row, or None when there was no row.
    pub asked: BTreeMap<ObjectId, Option<Sid>>,
}

/// Who may send on behalf. Exchange shows ids or names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnBehalf {
    pub ids: BTreeSet<ObjectId>,
    /// Entries that could not be tied to an object: unknown, not foreign.
    pub untied: usize,
}

/// Whether somebody holds a right, as far as the reads tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// With the SID, where the store has one.
    Present(Option<Sid>),
    Absent,
    Unknown,
}

impl Holders {
    fn presence(&self, id: &ObjectId, known_sid: Option<&Sid>) -> Presence {
        match (self.asked.get(id), known_sid) {
            (Some(Some(sid)), _) => Presence::Present(Some(sid.clone())),
            (None, Some(sid)) if self.sids.contains(sid) => Presence::Present(Some(sid.clone())),
            (Some(None), _) | (None, Some(_)) => Presence::Absent,
            (None, None) => Presence::Unknown,
        }
    }
}

impl Observed {
    /// Whether `id` holds `right`. `known_sid` comes from the record.
    pub fn presence(&self, id: &ObjectId, right: Right, known_sid: Option<&Sid>) -> Presence {
        match right {
            Right::FullAccess => self.full_access.presence(id, known_sid),
            Right::SendAs => self.send_as.presence(id, known_sid),
            Right::SendOnBehalf if self.on_behalf.ids.contains(id) => Presence::Present(None),
            Right::SendOnBehalf if self.on_behalf.untied > 0 => Presence::Unknown,
            Right::SendOnBehalf => Presence::Absent,
        }
    }

    /// The SID of `id` that any answer of this read carried.
    pub fn sid_of(&self, id: &ObjectId) -> Option<&Sid> {
        [&self.full_access, &self.send_as]
            .into_iter()
            .find_map(|holders| holders.asked.get(id)?.as_ref())
    }

    /// The directory decides about sign-in; Exchange's copy may lag by hours and counts only when the app may
    /// not read users.
    pub fn sign_in_is_blocked(&self) -> bool {
        self.directory_enabled
            .map_or(self.account_disabled, |enabled| !enabled)
    }

    /// A mailbox as New-Mailbox leaves it: named once, open for sign-in, without marker and grants.
    pub fn just_created(guid: MailboxGuid, object_id: ObjectId, creation: &Creation) -> Self {
        let Creation {
            one_time_name,
            alias,
            address,
        } = creation;
        Self {
            guid,
            object_id: Some(object_id),
            display_name: one_time_name.to_string(),
            alias: alias.to_string(),
            primary: address.clone(),
            addresses: BTreeSet::from([address.clone()]),
            attribute: String::new(),
            account_disabled: false,
            directory_enabled: None,
            full_access: Holders::default(),
            send_as: Holders::default(),
            on_behalf: OnBehalf::default(),
        }
    }
}

/// What New-Mailbox is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    pub one_time_name: OneTimeName,
    pub alias: Nickname,
    pub address: SmtpAddress,
}

/// The steps that turn `observed` into `desired`, and the record before and after them.
///
/// `observed` must be a mailbox that is ours (see [`standing`]).
pub fn plan(desired: &Desired, observed: &Observed, record: &Record) -> Plan {
    let grants = grants::plan(desired, observed, record);
    let settings = settings::plan(desired, observed, record, &grants);
    let announced = Record {
        intent: record.intent.clone(),
        addresses: addresses_to_remember(desired, observed, record),
        grants: grants.announced,
        ..Record::default()
    };
    let settled = Record {
        intent: None,
        addresses: desired.aliases.iter().cloned().collect(),
        grants: grants.settled,
        ..Record::default()
    };
    let mut steps = grants.revocations;
    if !settings.is_empty() {
        steps.push(Step::Set(settings));
    }
    if settings::sign_in_must_change(desired, observed, SignInControl::Graph) {
        steps.push(Step::SetDirectorySignIn {
            allowed: desired.sign_in == SignIn::Allowed,
        });
    }
    steps.extend(grants.remappings);
    steps.extend(grants.additions);
    Plan {
        steps,
        announced,
        settled,
    }
}

/// What was declared before and what is declared now. The primary address is never ours to take away: it
/// stays as an address when another becomes primary, unless it is declared as one of the further addresses.
fn addresses_to_remember(desired: &Desired, observed: &Observed, record: &Record) -> Vec<SmtpAddress> {
    let before = record
        .addresses
        .iter()
        .filter(|address| **address != observed.primary);
    let both: BTreeSet<SmtpAddress> = before.chain(&desired.aliases).cloned().collect();
    both.into_iter().collect()
}
