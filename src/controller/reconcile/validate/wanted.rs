//! Which grants are wanted, given what the directory says about members.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;

use super::admitted::{Admitted, AdmittedPermission, Refusal};
use super::bench::{Bench, Directory};
use super::members::{MemberVerdict, PersonVerdict};
use super::recipients::WantedSettings;
use crate::api::reason::RefusalReason;
use crate::ledger::{Ledger, RecordedGrant};
use crate::mail::{ObjectId, Right, SmtpAddress};
use crate::plan::{People, Read, UnreadReads, WantedGrant};
use crate::rules::MailboxRules;

/// People with rights on one mailbox, over all its permissions: the entries that Exchange takes, which one ledger holds with
/// room to spare.
pub const MOST_PEOPLE: usize = 500;

/// Which grants are wanted, and who stays as they are.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub grants: BTreeMap<(ObjectId, Right), WantedGrant>,
    pub settings: WantedSettings,
    /// Who is declared to hold what and can't be granted to now, as written.
    pub kept: BTreeSet<(SmtpAddress, Right)>,
    /// The same of people in groups.
    pub kept_people: BTreeSet<(ObjectId, Right)>,
    /// Nobody knows who is in a group whose people are declared: any row may be theirs.
    pub hides_people: bool,
    /// MailboxPermissions, by name, whose end has come.
    pub expired: BTreeSet<String>,
    /// Everybody in `grants`, and who holds something as declared.
    people: BTreeSet<ObjectId>,
    /// Who gets rights with each group that is expanded.
    pub groups: BTreeMap<SmtpAddress, BTreeSet<ObjectId>>,
    /// Groups in which there may be more people than the directory shows.
    pub perhaps_more: BTreeSet<SmtpAddress>,
    /// How people in groups are called, for messages.
    pub names: BTreeMap<ObjectId, String>,
    /// One entry for each member of each permission of [`Admitted`], in the same order.
    pub verdicts: Vec<Vec<MemberVerdict>>,
}

/// Judges the members as the directory knows them; `mailbox` is the account behind the mailbox, once it is known.
pub fn resolve(
    admitted: &Admitted,
    mailbox: Option<ObjectId>,
    rules: &MailboxRules<'_>,
    departed: &People,
    directory: &Directory,
    ledger: &Ledger,
) -> Wanted {
    let bench = Bench {
        mailbox,
        rules,
        departed,
        directory,
    };
    let judged: Vec<Vec<MemberVerdict>> = admitted
        .permissions
        .iter()
        .map(|permission| {
            let members = permission.members.iter().filter(|_| !permission.expired);
            members.map(|member| bench.judge(member, permission)).collect()
        })
        .collect();
    let mut wanted = Wanted {
        settings: bench.settings(admitted),
        names: directory.names.clone(),
        perhaps_more: directory.perhaps_more(),
        people: declared_holders(admitted, &judged, ledger),
        ..Wanted::default()
    };
    for (permission, judged) in admitted.permissions.iter().zip(judged) {
        let name = permission.object.name_any();
        if permission.expired {
            wanted.expired.insert(name);
            wanted.verdicts.push(Vec::new());
            continue;
        }
        let mut verdicts = Vec::with_capacity(permission.members.len());
        for (member, verdict) in permission.members.iter().zip(judged) {
            let verdict = wanted.with_room(verdict);
            let is_refused = matches!(verdict, MemberVerdict::Refused(_));
            wanted.hides_people |= is_refused && member.expand;
            if let Some(address) = &member.address {
                wanted.take(&verdict, address, permission, &name);
            }
            verdicts.push(verdict);
        }
        wanted.verdicts.push(verdicts);
    }
    wanted
}

/// Who holds something and is declared to, now: nobody new takes their place, and nobody who has left a group takes one.
fn declared_holders(
    admitted: &Admitted,
    judged: &[Vec<MemberVerdict>],
    ledger: &Ledger,
) -> BTreeSet<ObjectId> {
    let mut named = BTreeSet::new();
    let mut kept = BTreeSet::new();
    let members = admitted.permissions.iter().zip(judged);
    for (member, verdict) in members.flat_map(|(one, judged)| one.members.iter().zip(judged)) {
        match verdict {
            MemberVerdict::One { object_id, note: _ } => {
                named.insert(*object_id);
            }
            MemberVerdict::Everybody(people) => named.extend(admitted_in(people)),
            // Who can't be granted to now keeps what they hold.
            MemberVerdict::Refused(_) => kept.extend(&member.address),
        }
    }
    let is_declared = |grant: &&RecordedGrant| {
        named.contains(&grant.object_id) || grant.written_as().any(|name| kept.contains(name))
    };
    let holders = ledger.grants.iter().filter(is_declared);
    holders.map(|grant| grant.object_id).collect()
}

fn admitted_in(people: &[PersonVerdict]) -> impl Iterator<Item = ObjectId> {
    let admitted = people.iter().filter(|person| person.skipped.is_none());
    admitted.map(|person| person.object_id)
}

fn too_many() -> Refusal {
    Refusal::new(
        RefusalReason::TooManyMembers,
        format!(
            "all MailboxPermissions of the mailbox together name more than {MOST_PEOPLE} people; grant to a mail-enabled \
             security group instead"
        ),
    )
}

impl Wanted {
    /// Look-ups of members that failed.
    pub fn unread(&self) -> UnreadReads {
        let mut unread = UnreadReads::new();
        let settings = self.settings.unread.clone();
        unread.extend(settings.map(|why| (Read::Members, why)));
        for verdict in self.verdicts.iter().flatten() {
            let MemberVerdict::Refused(refusal) = verdict else {
                continue;
            };
            let read = if refusal.reason.is_of_a_group() {
                Read::Groups
            } else {
                Read::Members
            };
            if let Some(why) = &refusal.unread {
                unread.entry(read).or_insert_with(|| why.clone());
            }
        }
        unread
    }

    /// The verdict, unless the mailbox would have too many people by it: then who is new gets nothing, and who holds a right
    /// keeps it.
    fn with_room(&mut self, verdict: MemberVerdict) -> MemberVerdict {
        match verdict {
            MemberVerdict::One { object_id, note: _ } if !self.has_room_for(object_id) => {
                MemberVerdict::Refused(too_many())
            }
            MemberVerdict::Everybody(mut people) => {
                for person in people.iter_mut().filter(|person| person.skipped.is_none()) {
                    if !self.has_room_for(person.object_id) {
                        person.skipped = Some(too_many());
                    }
                }
                MemberVerdict::Everybody(people)
            }
            MemberVerdict::One { .. } | MemberVerdict::Refused(_) => verdict,
        }
    }

    /// Whether they are among the people of the mailbox, or are now.
    fn has_room_for(&mut self, person: ObjectId) -> bool {
        let has_room = self.people.len() < MOST_PEOPLE || self.people.contains(&person);
        if has_room {
            self.people.insert(person);
        }
        has_room
    }

    fn take(
        &mut self,
        verdict: &MemberVerdict,
        written: &SmtpAddress,
        permission: &AdmittedPermission,
        name: &str,
    ) {
        match verdict {
            MemberVerdict::One { object_id, note: _ } => self.want(*object_id, written, permission, name),
            MemberVerdict::Everybody(people) => {
                for person in admitted_in(people) {
                    self.want(person, written, permission, name);
                }
                let group = self.groups.entry(written.clone()).or_default();
                group.extend(admitted_in(people));
                let kept = people.iter().filter(|person| person.keeps_what_it_has());
                let rights = &permission.rights;
                let kept = kept.flat_map(|person| rights.iter().map(|right| (person.object_id, *right)));
                self.kept_people.extend(kept);
            }
            MemberVerdict::Refused(_) => {
                let kept = permission.rights.iter().map(|right| (written.clone(), *right));
                self.kept.extend(kept);
            }
        }
    }

    /// Several permissions may name one person: the union counts, and `autoMapping: false` wins.
    fn want(
        &mut self,
        object_id: ObjectId,
        member: &SmtpAddress,
        permission: &AdmittedPermission,
        name: &str,
    ) {
        for right in &permission.rights {
            let grant = self
                .grants
                .entry((object_id, *right))
                .or_insert_with(|| WantedGrant {
                    auto_mapping: true,
                    member: member.clone(),
                    also: BTreeSet::new(),
                    by: BTreeSet::new(),
                    until: permission.ends,
                });
            // The latest end counts, and none at all is the latest.
            grant.until = match (grant.until, permission.ends) {
                (Some(one), Some(other)) => Some(one.max(other)),
                (None, _) | (_, None) => None,
            };
            grant.auto_mapping &= permission.auto_mapping;
            grant.by.insert(name.to_owned());
            if grant.member != *member {
                grant.also.insert(member.clone());
            }
        }
    }
}
