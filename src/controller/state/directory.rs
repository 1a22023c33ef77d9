//! What the directory answered: who has which address, who is in which group, who is behind which row.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::exchange::RecipientKind;
use crate::mail::{Holder, ObjectId, SmtpAddress};
use crate::plan::{Identity, Unread};
use crate::rules::MemberKind;

/// What a look-up of one member found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    Found(Resolved),
    /// Nobody has this address.
    NotFound,
    /// A person without a mailbox.
    NoMailbox,
    /// A group that can't hold rights because it has no mail of its own.
    PlainGroup,
    /// Somebody, but nobody who can be named for sure or hold a right: why.
    Unusable(String),
    /// The look-up failed: nobody knows.
    Unread(Unread),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub object_id: ObjectId,
    /// Under which Exchange may show them.
    pub name: String,
    pub primary: Option<SmtpAddress>,
    pub kind: RecipientKind,
    /// None where Exchange does not say.
    pub licensed: Option<bool>,
}

/// Who is in a group that is expanded, through nested groups too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expansion {
    People {
        people: BTreeMap<ObjectId, Resolution>,
        /// A group in it shows nobody, and not whether it hides them.
        may_be_more: bool,
    },
    /// More than [`Self::MOST_PEOPLE`].
    TooLarge(usize),
    /// It could not be read: nobody knows.
    Unread(Unread),
    /// It, or a group in it, hides its members.
    Hidden,
}

impl Expansion {
    pub const MOST_PEOPLE: usize = 200;
}

/// Answers of the directory that hold for a while: who has which address, who is in which group, and who is behind which
/// row.
#[derive(Default)]
pub struct DirectoryCache {
    answers: Cache<(MemberKind, SmtpAddress), Resolution>,
    expansions: Cache<ObjectId, Expansion>,
    identities: Cache<Holder, Identity>,
    /// How people in groups are called: by their id when nobody knows more.
    names: Cache<ObjectId, String>,
}

/// How long a member's look-up holds. A rename keeps the object id, so an old answer does no harm; a new owner
/// of an address is noticed within this time.
const MEMBER_FRESH: Duration = Duration::from_mins(30);
/// Misses are looked up again soon: the person may just have been created.
const MISS_FRESH: Duration = Duration::from_secs(30);
/// Whose row it is takes a question for each; a replica that lags answers it wrong, and may not keep a departed person's
/// row for long.
const UNTIED_FRESH: Duration = Duration::from_mins(5);
/// How long the members of a group are taken as they were: mailboxes that share a group read it once a round.
const GROUP_FRESH: Duration = Duration::from_mins(2);
/// For messages only: an old name of somebody who has left a group says more than their id.
const NAME_FRESH: Duration = Duration::from_hours(24);
const MOST_ANSWERS: usize = 50_000;

impl DirectoryCache {
    pub fn answer(&self, member: &(MemberKind, SmtpAddress), now: Instant) -> Option<Resolution> {
        self.answers.get(member, now, |resolution| match resolution {
            Resolution::Found(_) => MEMBER_FRESH,
            Resolution::NotFound
            | Resolution::NoMailbox
            | Resolution::PlainGroup
            | Resolution::Unusable(_)
            | Resolution::Unread(_) => MISS_FRESH,
        })
    }

    pub fn remember(&self, member: (MemberKind, SmtpAddress), resolution: Resolution, now: Instant) {
        self.answers.put(member, resolution, now);
    }

    pub fn expansion(&self, group: &ObjectId, now: Instant) -> Option<Expansion> {
        self.expansions.get(group, now, |_| GROUP_FRESH)
    }

    pub fn remember_expansion(&self, group: ObjectId, expansion: Expansion, now: Instant) {
        self.expansions.put(group, expansion, now);
    }

    /// How somebody who came with a group is called. None: it was not asked.
    pub fn name(&self, person: &ObjectId, now: Instant) -> Option<String> {
        self.names.get(person, now, |_| NAME_FRESH)
    }

    pub fn remember_name(&self, person: ObjectId, name: String, now: Instant) {
        self.names.put(person, name, now);
    }

    /// The members of every group are read again at the next reconcile.
    pub fn forget_expansions(&self) {
        self.expansions.clear();
    }

    pub fn identity(&self, holder: &Holder, now: Instant) -> Option<Identity> {
        self.identities.get(holder, now, |identity| match identity {
            Identity::Known { .. } | Identity::RoleGroup => MEMBER_FRESH,
            // Somebody may be restored, and their grant is about to be removed as a leftover.
            Identity::Gone => MISS_FRESH,
            Identity::Untied => UNTIED_FRESH,
        })
    }

    pub fn remember_identity(&self, holder: Holder, identity: Identity, now: Instant) {
        self.identities.put(holder, identity, now);
    }

    /// Looks these members up again the next time: Exchange does not find them any more.
    pub fn forget(&self, members: &[ObjectId]) {
        if members.is_empty() {
            return;
        }
        self.answers.retain(|_, answer| match answer {
            Resolution::Found(found) => !members.contains(&found.object_id),
            Resolution::NotFound
            | Resolution::NoMailbox
            | Resolution::PlainGroup
            | Resolution::Unusable(_)
            | Resolution::Unread(_) => true,
        });
        self.expansions.clear();
    }
}

/// Answers with the time at which they were given.
struct Cache<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    fn get(&self, key: &K, now: Instant, fresh: impl Fn(&V) -> Duration) -> Option<V> {
        let answers = self.0.lock();
        let (asked, answer) = answers.get(key)?;
        (now.saturating_duration_since(*asked) < fresh(answer)).then(|| answer.clone())
    }

    fn put(&self, key: K, answer: V, now: Instant) {
        let mut answers = self.0.lock();
        if answers.len() >= MOST_ANSWERS {
            answers.retain(|_, (asked, _)| now.saturating_duration_since(*asked) < MEMBER_FRESH);
        }
        if answers.len() < MOST_ANSWERS {
            answers.insert(key, (now, answer));
        }
    }

    fn retain(&self, keep: impl Fn(&K, &V) -> bool) {
        let mut answers = self.0.lock();
        answers.retain(|key, (_, answer)| keep(key, answer));
    }

    fn clear(&self) {
        self.0.lock().clear();
    }
}
