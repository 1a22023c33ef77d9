//! Who the members of permissions are, and who is in the groups among them.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::failed::unread;
use super::reads::Reads;
use crate::controller::reconcile::validate::{Admitted, Directory};
use crate::controller::state::directory::{Expansion, Resolution, Resolved};
use crate::exchange::{ExchangeError, Membership, RecipientIdentity, RecipientQuery, RecipientRow, UserRow};
use crate::ledger::Ledger;
use crate::mail::{ObjectId, SmtpAddress};
use crate::rules::MemberKind;

impl Reads<'_> {
    /// What the directory says about the members. Look-ups are sent together and remembered for a while.
    pub async fn directory(&self, admitted: &Admitted, ledger: &Ledger) -> Directory {
        let members = self.members(admitted.members_to_look_up()).await;
        let expanded = admitted.groups_to_expand().into_iter().filter_map(|address| {
            match members.get(&(MemberKind::Group, address.clone())) {
                Some(Resolution::Found(group)) => Some((address, group.object_id)),
                Some(
                    Resolution::NotFound
                    | Resolution::NoMailbox
                    | Resolution::PlainGroup
                    | Resolution::Unusable(_)
                    | Resolution::Unread(_),
                )
                | None => None,
            }
        });
        let read = expanded.map(|(address, group)| async move { (address, self.expansion(&group).await) });
        let groups = join_all(read).await.into_iter().collect();
        let names = self.names(&groups, ledger).await;
        Directory {
            members,
            groups,
            names,
        }
    }

    /// How everybody is called who is in one of these groups, or holds something because they were. That only explains: who
    /// can't be found keeps their id.
    async fn names(
        &self,
        groups: &BTreeMap<SmtpAddress, Expansion>,
        ledger: &Ledger,
    ) -> BTreeMap<ObjectId, String> {
        let mut people: BTreeSet<ObjectId> = BTreeSet::new();
        for expansion in groups.values() {
            match expansion {
                Expansion::People {
                    people: found,
                    may_be_more: _,
                } => people.extend(found.keys()),
                Expansion::TooLarge(_) | Expansion::Unread(_) | Expansion::Hidden => {}
            }
        }
        let grants = ledger.grants.iter();
        let by_group = grants.filter(|grant| grant.written_as().any(|name| groups.contains_key(name)));
        people.extend(by_group.map(|grant| grant.object_id));
        let directory = &self.tenant.directory;
        let is_unasked = |person: &&ObjectId| directory.name(person, self.now).is_none();
        let unasked: BTreeSet<ObjectId> = people.iter().filter(is_unasked).copied().collect();
        if !unasked.is_empty()
            && let Err(error) = self.recipients(&unasked).await
        {
            tracing::debug!(%error, "people who came with groups are called by their ids");
        }
        let name = |person: ObjectId| Some((person, directory.name(&person, self.now)?));
        people.into_iter().filter_map(name).collect()
    }

    async fn members(
        &self,
        members: BTreeSet<(MemberKind, SmtpAddress)>,
    ) -> BTreeMap<(MemberKind, SmtpAddress), Resolution> {
        let directory = &self.tenant.directory;
        let mut known = BTreeMap::new();
        let mut unknown = Vec::new();
        for member in members {
            match directory.answer(&member, self.now) {
                Some(answer) => {
                    known.insert(member, answer);
                }
                None => unknown.push(member),
            }
        }
        let together = self.found_together(&unknown).await;
        let look_up = unknown.into_iter().map(|member| async {
            let found = match together.get(&member.1) {
                Some(row) => Ok(resolution(&member.1.to_string(), row)),
                None => self.member(member.0, &member.1).await,
            };
            match found {
                Ok(found) => {
                    directory.remember(member.clone(), found.clone(), self.now);
                    (member, found)
                }
                // Not remembered: the next reconcile asks again.
                Err(error) => (member, Resolution::Unread(unread(&error))),
            }
        });
        known.extend(join_all(look_up).await);
        known
    }

    /// Whom a read for all of them shows for sure: one recipient has the address, and it is nobody else's sign-in name.
    /// Whoever is missing is looked up alone, which alone can say that there is nobody, or more than one.
    async fn found_together(
        &self,
        members: &[(MemberKind, SmtpAddress)],
    ) -> BTreeMap<SmtpAddress, RecipientRow> {
        let addresses: BTreeSet<SmtpAddress> = members.iter().map(|(_, address)| address.clone()).collect();
        let queries: Vec<RecipientQuery> = addresses.iter().cloned().map(RecipientQuery::Address).collect();
        let addresses: Vec<SmtpAddress> = addresses.into_iter().collect();
        let gateway = &self.tenant.gateway;
        let read = futures::try_join!(
            gateway.find_recipients_together(self.lane, &queries),
            gateway.find_users_by_upn_together(self.lane, &addresses),
        );
        let Ok((recipients, users)) = read else {
            return BTreeMap::new();
        };
        let found = addresses.into_iter().filter_map(|address| {
            let row = the_one(&address, &recipients, &users)?.clone();
            Some((address, row))
        });
        found.collect()
    }

    pub async fn member(&self, kind: MemberKind, address: &SmtpAddress) -> Result<Resolution, ExchangeError> {
        let gateway = &self.tenant.gateway;
        let identity = RecipientIdentity::Address(address.clone());
        match gateway.recipient(self.lane, &identity).await {
            Ok(row) => return Ok(resolution(&address.to_string(), &row)),
            Err(error) if error.class.is_absence() => {}
            // Several recipients match, for example: nothing that a retry changes.
            Err(error) if error.class.is_permanent() => {
                return Ok(Resolution::Unusable(error.to_string()));
            }
            Err(error) => return Err(error),
        }
        // Get-Recipient knows neither people without a mailbox nor groups without mail. That only explains.
        let (is_there, what) = match kind {
            MemberKind::User => {
                let users = gateway
                    .find_users_by_upn(self.lane, std::slice::from_ref(address))
                    .await;
                let is_there = |users: Vec<UserRow>| users.iter().any(|user| user.signs_in_as(address));
                (users.map(is_there), Resolution::NoMailbox)
            }
            MemberKind::Group => {
                let groups = gateway.groups_with_address(self.lane, address).await;
                (groups.map(|groups| !groups.is_empty()), Resolution::PlainGroup)
            }
        };
        Ok(match is_there {
            Ok(true) => what,
            Ok(false) | Err(_) => Resolution::NotFound,
        })
    }

    /// Everybody in a group, and what each of them is.
    async fn expansion(&self, group: &ObjectId) -> Expansion {
        if let Some(known) = self.tenant.directory.expansion(group, self.now) {
            return known;
        }
        let read = async {
            let members = self.tenant.gateway.group_members(self.lane, group).await?;
            let Membership::People { people, may_be_more } = members else {
                return Ok(Expansion::Hidden);
            };
            Ok::<_, ExchangeError>(if people.len() > Expansion::MOST_PEOPLE {
                Expansion::TooLarge(people.len())
            } else {
                Expansion::People {
                    people: self.people(people).await?,
                    may_be_more,
                }
            })
        };
        match read.await {
            Ok(expansion) => {
                self.tenant
                    .directory
                    .remember_expansion(*group, expansion.clone(), self.now);
                expansion
            }
            Err(error) => Expansion::Unread(unread(&error)),
        }
    }

    /// These people as Exchange shows them. How they are called is remembered, for messages.
    async fn recipients(&self, people: &BTreeSet<ObjectId>) -> Result<Vec<RecipientRow>, ExchangeError> {
        let queries: Vec<RecipientQuery> = people.iter().copied().map(RecipientQuery::ObjectId).collect();
        let rows = self.tenant.gateway.find_recipients(self.lane, &queries).await?;
        self.remember_names(people, &rows).await;
        Ok(rows)
    }

    async fn people(&self, ids: BTreeSet<ObjectId>) -> Result<BTreeMap<ObjectId, Resolution>, ExchangeError> {
        let rows = self.recipients(&ids).await?;
        let mut people: BTreeMap<ObjectId, Resolution> =
            ids.into_iter().map(|id| (id, Resolution::NoMailbox)).collect();
        for row in rows.iter().filter(|row| !row.soft_deleted) {
            if let Some(person) = row.object_id.and_then(|id| people.get_mut(&id)) {
                *person = resolution(&row.display_name, row);
            }
        }
        Ok(people)
    }

    /// By their address, or as the directory shows them. Whoever is no recipient may have an account all the same: they are
    /// asked for once, and called by their id when they have none.
    async fn remember_names(&self, people: &BTreeSet<ObjectId>, rows: &[RecipientRow]) {
        let directory = &self.tenant.directory;
        let mut names: BTreeMap<ObjectId, String> = BTreeMap::new();
        for row in rows {
            let shown = Some(&row.display_name).filter(|name| !name.is_empty());
            let name = row.primary.as_ref().map(ToString::to_string).or(shown.cloned());
            names.extend(row.object_id.zip(name));
        }
        let is_unknown = |id: &&ObjectId| !names.contains_key(id) && directory.name(id, self.now).is_none();
        let nameless: Vec<ObjectId> = people.iter().filter(is_unknown).copied().collect();
        if !nameless.is_empty()
            && let Ok(users) = self.tenant.gateway.find_users_by_id(self.lane, &nameless).await
        {
            names.extend(nameless.iter().map(|id| (*id, id.to_string())));
            let known = users.into_iter();
            names.extend(known.filter_map(|user| Some((user.object_id?, user.user_principal_name))));
        }
        for (id, name) in names {
            directory.remember_name(id, name, self.now);
        }
    }
}

/// The only recipient at an address, when nobody else signs in under it.
fn the_one<'r>(
    address: &SmtpAddress,
    recipients: &'r [RecipientRow],
    users: &[UserRow],
) -> Option<&'r RecipientRow> {
    let mut at_it = recipients
        .iter()
        .filter(|row| !row.soft_deleted && row.has_address(address));
    let (Some(row), None) = (at_it.next(), at_it.next()) else {
        return None;
    };
    let mut signing_in = users.iter().filter(|user| user.signs_in_as(address));
    signing_in
        .all(|user| user.object_id.is_some() && user.object_id == row.object_id)
        .then_some(row)
}

fn resolution(name: &str, row: &RecipientRow) -> Resolution {
    match row.object_id {
        Some(object_id) if !row.soft_deleted => Resolution::Found(Resolved {
            object_id,
            name: row.name.clone(),
            primary: row.primary.clone(),
            kind: row.kind.clone(),
            licensed: row.licensed,
        }),
        _ => Resolution::Unusable(format!(
            "{name} belongs to {} that can't hold rights",
            row.kind.in_words()
        )),
    }
}
