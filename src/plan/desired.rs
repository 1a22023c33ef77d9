//! What is to be.

use std::collections::{BTreeMap, BTreeSet};

use std::time::Duration;

use jiff::Timestamp;

use super::account::SignInAttempts;
use super::families::Need;
use super::observed::Identity;
use super::standing::Earlier;
use crate::api::{SignIn, SignInControl};
use crate::ledger::RecordedGrant;
use crate::mail::{AddressPattern, Holder, MarkerOwner, ObjectId, Right, Sid, SmtpAddress};
use crate::setting::Values;

/// What a plan may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Everything is as declared.
    Keep,
    /// The manifest is refused: access is taken away, and nothing else happens.
    OnlyRemove,
    /// The team paused or only observes the mailbox, or deletes it: only what outranks that is done.
    Protect,
    /// The resource is gone and the mailbox stays: only what outlives a resource is done.
    Released,
    /// As [`Self::Released`], but the resource is held up by somebody, or another one stands in its place: what it says of
    /// sign-in still counts.
    HeldUp,
    /// The resource is being deleted, and what its permissions granted is taken away with it. What protects goes on.
    Revoking,
    /// The resource is gone, and the mailbox is handed back: what outlives it is done, and then the marker is taken away.
    HandedBack,
}

impl Purpose {
    /// Whether what the manifest says is followed, be it that it is only reported what that would be.
    pub fn follows_manifest(self) -> bool {
        match self {
            Self::Keep | Self::Protect => true,
            Self::OnlyRemove | Self::Released | Self::HeldUp | Self::Revoking | Self::HandedBack => false,
        }
    }

    /// Whether a mailbox is created, and what is declared is granted.
    pub fn grants(self) -> bool {
        match self {
            Self::Keep => true,
            Self::OnlyRemove
            | Self::Protect
            | Self::Released
            | Self::HeldUp
            | Self::Revoking
            | Self::HandedBack => false,
        }
    }

    /// Whether the mailbox has no resource that serves it.
    pub fn is_without_resource(self) -> bool {
        match self {
            Self::Released | Self::HeldUp | Self::Revoking | Self::HandedBack => true,
            Self::Keep | Self::OnlyRemove | Self::Protect => false,
        }
    }

    /// Whether a removal that was announced stays so although the plan lacks it: nobody declares anything again where there
    /// is no resource, or nothing follows from it.
    pub(super) fn keeps_announced(self) -> bool {
        match self {
            Self::Released | Self::HeldUp | Self::Revoking | Self::HandedBack | Self::Protect => true,
            Self::Keep | Self::OnlyRemove => false,
        }
    }

    /// Whether nothing new is weighed, so that what waits goes on waiting.
    pub(super) fn keeps_held(self) -> bool {
        match self {
            Self::HeldUp | Self::Protect => true,
            Self::Keep | Self::OnlyRemove | Self::Released | Self::Revoking | Self::HandedBack => false,
        }
    }

    /// Whether everything goes that was granted, whoever declares it.
    pub(super) fn revokes_everything(self) -> bool {
        match self {
            Self::Revoking => true,
            Self::Keep
            | Self::OnlyRemove
            | Self::Protect
            | Self::Released
            | Self::HeldUp
            | Self::HandedBack => false,
        }
    }

    /// Whether sign-in is kept blocked although no resource serves the mailbox: one is there all the same.
    pub(super) fn keeps_blocked(self) -> bool {
        match self {
            Self::HeldUp | Self::Revoking => true,
            Self::Keep | Self::OnlyRemove | Self::Protect | Self::Released | Self::HandedBack => false,
        }
    }
}

/// What one mailbox and all its permissions ask for, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    pub purpose: Purpose,
    pub owner: MarkerOwner,
    /// 1 to 15: the custom attribute that holds the marker.
    pub marker_attribute: u8,
    pub address: SmtpAddress,
    pub aliases: BTreeSet<SmtpAddress>,
    pub sign_in: SignIn,
    /// Nobody has said of an adopted mailbox how sign-in is to be: what is open stays so, and what is closed is kept so.
    pub leaves_sign_in: bool,
    pub sign_in_control: SignInControl,
    /// What came of earlier writes of sign-in.
    pub sign_in_attempts: SignInAttempts,
    pub grants: BTreeMap<(ObjectId, Right), WantedGrant>,
    /// Who is declared to hold what and can't be granted to now, be it that they are unknown or refused: what they were
    /// granted before stays, because it is not undeclared.
    pub kept: BTreeSet<(SmtpAddress, Right)>,
    /// The same of people who are known by their ids: they came with a group.
    pub kept_people: BTreeSet<(ObjectId, Right)>,
    /// Nobody knows what one of the permissions declares, so nothing counts as undeclared.
    pub has_unread_permissions: bool,
    /// What happens to grants that no manifest declares.
    pub policy: GrantPolicy,
    /// What is granted now is remembered to have been granted at this time.
    pub now: Timestamp,
    /// The mailbox was taken up again a moment ago.
    pub take_up: Option<TakeUp>,
    /// MailboxPermissions, by name, whose end has come.
    pub expired: BTreeSet<String>,
    /// Who is in each group that is expanded.
    pub groups: BTreeMap<SmtpAddress, BTreeSet<ObjectId>>,
    /// Groups among them in which there may be more people than the directory shows: whoever is missing waits for approval.
    pub perhaps_more: BTreeSet<SmtpAddress>,
    /// How people in groups are called, for messages.
    pub names: BTreeMap<ObjectId, String>,
    /// Rows that Exchange shows and says do not exist when they are to be removed.
    pub stuck: BTreeSet<(Holder, Right)>,
    /// What each declared family of settings wishes, by its name.
    pub settings: BTreeMap<&'static str, Values>,
    /// Families among them that no manifest declares: the tenant's defaults, for a mailbox that is new.
    pub defaults: BTreeSet<&'static str>,
    /// Declared families that are neither written nor withdrawn now, and why where somebody has to act.
    pub unwritten: BTreeMap<&'static str, Option<String>>,
    /// What families are to have that open something, were declared before, and are declared no more.
    pub withdrawn: BTreeMap<&'static str, Values>,
    /// Recipients that settings wish, by the name under which Exchange may show them, in lower case.
    pub recipients: BTreeMap<String, ObjectId>,
    /// What a setting may need and no access rule gives, with the sentence that denies each.
    pub denied: BTreeMap<Need, String>,
    /// What became of earlier writes of families, by name.
    pub earlier: BTreeMap<&'static str, Earlier>,
}

impl Desired {
    /// Whether the manifest asks for the address, be it as the primary one.
    pub(super) fn declares_address(&self, address: &SmtpAddress) -> bool {
        *address == self.address || self.aliases.contains(address)
    }

    /// Whether permissions may still come back after a take-up: until then nobody knows who is a stranger.
    pub(super) fn waits_for_permissions(&self) -> bool {
        self.take_up
            .as_ref()
            .is_some_and(|take_up| self.now < take_up.until)
    }

    /// Whether the ledger was restored or edited so lately that nothing is taken away because of what it lists.
    pub(super) fn doubts_the_ledger(&self) -> bool {
        let take_up = self.take_up.as_ref();
        take_up.is_some_and(|take_up| take_up.restored && self.now < take_up.until)
    }

    /// What a family of settings is to have, be it declared or withdrawn.
    pub fn wish(&self, family: &str) -> Option<&Values> {
        self.settings.get(family).or_else(|| self.withdrawn.get(family))
    }

    /// Every family of settings of which something has to be known.
    pub fn families(&self) -> impl Iterator<Item = &&'static str> {
        self.settings.keys().chain(self.withdrawn.keys())
    }

    /// Whether a manifest asks for what was granted.
    pub(super) fn declares_grant(&self, grant: &RecordedGrant) -> bool {
        self.grants.contains_key(&(grant.object_id, grant.right))
    }
}

/// For an hour after a take-up a right may be declared nowhere only because its permission is not back yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeUp {
    /// When the hour is over.
    pub until: Timestamp,
    /// The ledger itself was restored or edited: what it says of permissions and ends proves nothing.
    pub restored: bool,
    /// The MailboxPermissions that exist, by name.
    pub permissions: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedGrant {
    /// Meaningful for Full Access only.
    pub auto_mapping: bool,
    /// The member as written.
    pub member: SmtpAddress,
    /// Further ways in which manifests name the same person.
    pub also: BTreeSet<SmtpAddress>,
    /// The MailboxPermissions that declare it, by name.
    pub by: BTreeSet<String>,
    /// When the last of them ends; None: one of them never does.
    pub until: Option<Timestamp>,
}

/// What a mailbox and its tenant say about grants that no manifest declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantPolicy {
    /// What nobody declares is removed.
    pub exclusive: bool,
    /// Grants of accounts that are gone are removed, once.
    pub remove_orphans: bool,
    /// Whose grants stay under Exclusive.
    pub ignore: Vec<AddressPattern>,
    pub protected: People,
    /// Who loses everything.
    pub departed: People,
    /// How long a removal counts with others.
    pub period: Duration,
}

/// People that the ExchangeTenant names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// As written.
    pub addresses: BTreeSet<SmtpAddress>,
    /// As the directory knows them.
    pub ids: BTreeSet<ObjectId>,
    /// As permission rows know them.
    pub sids: BTreeSet<Sid>,
    /// Somebody named could not be looked up: nobody knows that a stranger is not them.
    pub incomplete: bool,
}

impl People {
    pub fn include_id(&self, id: &ObjectId) -> bool {
        self.ids.contains(id)
    }

    /// By object id, or by any name by which manifests declared the grant.
    pub fn include_holder_of(&self, grant: &RecordedGrant) -> bool {
        let mut written = grant.written_as();
        self.include_id(&grant.object_id) || written.any(|name| self.addresses.contains(name))
    }

    pub(super) fn include(&self, holder: &Holder, identity: Option<&Identity>) -> bool {
        let by_id = match holder {
            Holder::ObjectId(id) => self.ids.contains(id),
            Holder::Sid(sid) => self.sids.contains(sid),
        };
        by_id
            || match identity {
                Some(Identity::Known { object_id, addresses }) => {
                    object_id.as_ref().is_some_and(|id| self.ids.contains(id))
                        || !addresses.is_disjoint(&self.addresses)
                }
                Some(Identity::Gone | Identity::Untied | Identity::RoleGroup) | None => false,
            }
    }
}
