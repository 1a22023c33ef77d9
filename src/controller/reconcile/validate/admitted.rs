//! What manifests ask for, as far as it is allowed, and what that is judged by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::claims::Rival;
use crate::api::reason::RefusalReason;
use crate::api::{Adoption, MailboxPermission, SignIn};
use crate::controller::reconcile::outcome::Stall;
use crate::mail::{AddressPattern, Domain, Nickname, Right, SmtpAddress};
use crate::plan::{Need, Unread};
use crate::rules::{MailboxRules, MemberKind};
use crate::setting::Values;

/// A mailbox and its permissions, as written and allowed.
#[derive(Clone, Debug)]
pub struct Admitted {
    pub address: SmtpAddress,
    pub aliases: BTreeSet<SmtpAddress>,
    pub alias: Option<Nickname>,
    /// What access rules judge: these addresses, and the one that a declared nickname has in the initial domain.
    pub judged: BTreeSet<SmtpAddress>,
    /// What each declared family of settings wishes, by its name.
    pub settings: BTreeMap<&'static str, Values>,
    /// Families of settings that name somebody whom nobody may look up, and why.
    pub refused_settings: BTreeMap<&'static str, String>,
    /// What a setting may need and no rule gives, with the sentence that denies each.
    pub denied: BTreeMap<Need, String>,
    pub sign_in: SignIn,
    /// The manifest says how sign-in is to be, and a rule admits that.
    pub decides_sign_in: bool,
    /// Which mailboxes are taken over that are there already.
    pub adoption: Adoption,
    /// No rule admits that for the declared addresses: why. What the mailbox has is judged once it is known.
    pub adoption_denied: Option<String>,
    /// Addresses of the mailboxes that count for the namespace before this one.
    pub earlier: Vec<Arc<BTreeSet<SmtpAddress>>>,
    pub permissions: Vec<AdmittedPermission>,
    pub exclusive: bool,
    /// Whose grants stay under Exclusive.
    pub ignore: Vec<AddressPattern>,
}

impl Admitted {
    /// For a mailbox whose resource is gone: nothing is declared but what a new mailbox needs.
    pub fn without_resource(
        address: SmtpAddress,
        settings: BTreeMap<&'static str, Values>,
        sign_in: SignIn,
    ) -> Self {
        Self {
            judged: BTreeSet::from([address.clone()]),
            address,
            aliases: BTreeSet::new(),
            alias: None,
            settings,
            refused_settings: BTreeMap::new(),
            denied: BTreeMap::new(),
            sign_in,
            decides_sign_in: false,
            adoption: Adoption::Never,
            adoption_denied: None,
            earlier: Vec::new(),
            permissions: Vec::new(),
            exclusive: false,
            ignore: Vec::new(),
        }
    }

    /// The primary address and the others.
    pub fn addresses(&self) -> BTreeSet<SmtpAddress> {
        self.aliases.iter().chain([&self.address]).cloned().collect()
    }
}

/// One MailboxPermission with a verdict on each of its members.
#[derive(Clone, Debug)]
pub struct AdmittedPermission {
    pub object: Arc<MailboxPermission>,
    pub rights: Vec<Right>,
    pub auto_mapping: bool,
    /// Its end has come: it grants nothing any more.
    pub expired: bool,
    /// When that is.
    pub ends: Option<Timestamp>,
    pub members: Vec<AdmittedMember>,
}

#[derive(Clone, Debug)]
pub struct AdmittedMember {
    /// As written.
    pub text: String,
    /// None when the text is no address.
    pub address: Option<SmtpAddress>,
    pub kind: MemberKind,
    /// Whether everybody in the group gets the rights, instead of the group.
    pub expand: bool,
    /// Why nobody may look this member up, let alone grant anything.
    pub refusal: Option<Refusal>,
}

/// Why a member gets nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub reason: RefusalReason,
    pub message: String,
    /// A look-up failed, and nobody knows who the member is.
    pub unread: Option<Unread>,
}

impl Refusal {
    pub fn new(reason: RefusalReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            unread: None,
        }
    }

    /// A look-up of `what` failed.
    pub fn unread(reason: RefusalReason, what: &str, unread: &Unread) -> Self {
        Self {
            unread: Some(unread.clone()),
            ..Self::new(reason, format!("{what} can't be read: {}", unread.why))
        }
    }
}

/// What `admit` needs to know of the world.
pub struct Surroundings<'a> {
    /// As they stand to the addresses that the mailbox is to have.
    pub rules: &'a MailboxRules<'a>,
    /// Other mailboxes of the namespace that were there before this one, by their addresses.
    pub earlier: Vec<Arc<BTreeSet<SmtpAddress>>>,
    /// Another resource that already claims one of the addresses.
    pub rival: Option<Rival>,
    /// A mailbox whose resource is gone has one of the addresses: a sentence for people.
    pub retained: Option<String>,
    pub accepted_domains: &'a BTreeSet<Domain>,
    /// The namespace has no room for the manifest: a sentence for people.
    pub over_limit: Option<String>,
    /// The primary address of the mailbox, where it was read before.
    pub known: Option<SmtpAddress>,
    /// People who have left, as written.
    pub departed: &'a BTreeSet<SmtpAddress>,
    pub now: Timestamp,
}

/// A mailbox whose manifest is refused.
#[derive(Clone, Debug)]
pub struct Refused {
    pub stall: Stall,
    /// What its permissions ask for all the same, each member judged by the rules; None where no address can be read, by
    /// which rules judge.
    pub declared: Option<Box<Admitted>>,
}
