//! Which grants are wanted, given what the directory says about members.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;

use super::admitted::{Admitted, AdmittedPermission, Refusal};
use super::members::{self, Directory, GROUP_UNREADABLE, MemberVerdict};
use super::recipients::WantedSettings;
use crate::ledger::{Ledger, RecordedGrant};
use crate::mail::{ObjectId, Right, SmtpAddress};
use crate::plan::{People, Read, UnreadReads, WantedGrant};
use crate::rules::MailboxRules;

/// People with rights on one mailbox, over all its permissions: the entries that Exchange takes, which one ledger holds with
/// room to spare.
pub const MOST_PEOPLE: usize = 500;
const TOO_MANY_MEMBERS: &str = "TooManyMembers";

/// Which grants are wanted, and who stays as they are.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub grants: BTreeMap<(ObjectId, Right), WantedGrant>,
    pub settings: WantedSettings,
    /// Who is declared to hold what and can't be granted to now, as written.
    pub kept: BTreeSet<(SmtpAddress, Right)>,
    /// MailboxPermissions, by name, whose end has come.
    pub expired: BTreeSet<String>,
    /// Everybody in `grants`, and who holds something as declared.
    people: BTreeSet<ObjectId>,
    /// Who gets rights with each group that is expanded.
    pub groups: BTreeMap<SmtpAddress, BTreeSet<ObjectId>>,
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
    let bench = members::Bench {
        mailbox,
        rules,
        departed,
        directory,
    };
    let mut wanted = Wanted {
        settings: bench.settings(admitted),
        people: declared_holders(admitted, ledger),
        ..Wanted::default()
    };
    for permission in &admitted.permissions {
        let name = permission.object.name_any();
        if permission.expired {
            wanted.expired.insert(name);
            wanted.verdicts.push(Vec::new());
            continue;
        }
        let mut verdicts = Vec::with_capacity(permission.members.len());
        for member in &permission.members {
            let verdict = wanted.with_room(bench.judge(member, permission));
            if let Some(address) = &member.address {
                wanted.take(&verdict, address, permission, &name);
            }
            verdicts.push(verdict);
        }
        wanted.verdicts.push(verdicts);
    }
    wanted
}

/// Who holds something and is declared to: nobody new takes their place.
fn declared_holders(admitted: &Admitted, ledger: &Ledger) -> BTreeSet<ObjectId> {
    let members = admitted.permissions.iter().flat_map(|one| &one.members);
    let declared: BTreeSet<&SmtpAddress> = members.filter_map(|member| member.address.as_ref()).collect();
    let is_declared = |grant: &&RecordedGrant| grant.written_as().any(|name| declared.contains(name));
    let holders = ledger.grants.iter().filter(is_declared);
    holders.map(|grant| grant.object_id).collect()
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
            let read = if refusal.reason == GROUP_UNREADABLE {
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

    /// The verdict, unless the mailbox would have too many people by it: then nobody is granted anything by this member,
    /// and who holds a right keeps it.
    fn with_room(&mut self, verdict: MemberVerdict) -> MemberVerdict {
        let more: BTreeSet<ObjectId> = match &verdict {
            MemberVerdict::One { object_id, note: _ } => BTreeSet::from([*object_id]),
            MemberVerdict::Everybody(people) => people
                .iter()
                .filter(|person| person.skipped.is_none())
                .map(|person| person.object_id)
                .collect(),
            MemberVerdict::Refused(_) => return verdict,
        };
        let new = more.difference(&self.people).count();
        if self.people.len().saturating_add(new) > MOST_PEOPLE {
            return MemberVerdict::Refused(Refusal::new(
                TOO_MANY_MEMBERS,
                format!(
                    "all MailboxPermissions of the mailbox together name more than {MOST_PEOPLE} people; grant to a \
                     mail-enabled security group instead"
                ),
            ));
        }
        self.people.extend(more);
        verdict
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
                let admitted = || people.iter().filter(|person| person.skipped.is_none());
                for person in admitted() {
                    self.want(person.object_id, written, permission, name);
                }
                let ids = admitted().map(|person| person.object_id);
                self.groups.entry(written.clone()).or_default().extend(ids);
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
