//! Who the members of permissions are, and who is in the groups among them.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::failed::unread;
use super::reads::Reads;
use crate::controller::reconcile::validate::{Admitted, Directory};
use crate::controller::state::directory::{Expansion, Resolution, Resolved};
use crate::exchange::{
    ErrorClass, ExchangeError, Membership, RecipientIdentity, RecipientQuery, RecipientRow,
};
use crate::mail::{ObjectId, SmtpAddress};
use crate::rules::MemberKind;

impl Reads<'_> {
    /// What the directory says about the members. Look-ups are sent together and remembered for a while.
    pub async fn directory(&self, admitted: &Admitted) -> Directory {
        let members = self.members(admitted.members_to_look_up()).await;
        let expanded = admitted.groups_to_expand().into_iter().filter_map(|address| {
            match members.get(&(MemberKind::Group, address.clone())) {
                Some(Resolution::Found(group)) => Some((address, group.object_id)),
                _ => None,
            }
        });
        let read = expanded.map(|(address, group)| async move { (address, self.expansion(&group).await) });
        let groups = join_all(read).await.into_iter().collect();
        Directory { members, groups }
    }

    async fn members(
        &self,
        members: BTreeSet<(MemberKind, SmtpAddress)>,
    ) -> BTreeMap<(MemberKind, SmtpAddress), Resolution> {
        let look_up = |member: (MemberKind, SmtpAddress)| async move {
            if let Some(known) = self.tenant.directory.answer(&member, self.now) {
                return (member, known);
            }
            let found = match self.member(member.0, &member.1).await {
                Ok(found) => found,
                // Not remembered: the next reconcile asks again.
                Err(error) => return (member, Resolution::Unread(unread(&error))),
            };
            self.tenant
                .directory
                .remember(member.clone(), found.clone(), self.now);
            (member, found)
        };
        join_all(members.into_iter().map(look_up))
            .await
            .into_iter()
            .collect()
    }

    pub async fn member(&self, kind: MemberKind, address: &SmtpAddress) -> Result<Resolution, ExchangeError> {
        let gateway = &self.tenant.gateway;
        let identity = RecipientIdentity::Address(address.clone());
        match gateway.recipient(self.lane, &identity).await {
            Ok(row) => return Ok(resolution(&address.to_string(), &row)),
            Err(error) if error.class == ErrorClass::NotFound => {}
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
                (users.map(|users| !users.is_empty()), Resolution::NoMailbox)
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
            let Membership::People(people) = members else {
                return Ok(Expansion::Hidden);
            };
            Ok::<_, ExchangeError>(if people.len() > Expansion::MOST_PEOPLE {
                Expansion::TooLarge(people.len())
            } else {
                Expansion::People(self.people(people).await?)
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

    async fn people(&self, ids: BTreeSet<ObjectId>) -> Result<BTreeMap<ObjectId, Resolution>, ExchangeError> {
        let queries: Vec<RecipientQuery> = ids.iter().copied().map(RecipientQuery::ObjectId).collect();
        let rows = self.tenant.gateway.find_recipients(self.lane, &queries).await?;
        let mut people: BTreeMap<ObjectId, Resolution> =
            ids.into_iter().map(|id| (id, Resolution::NoMailbox)).collect();
        for row in rows.iter().filter(|row| !row.soft_deleted) {
            if let Some(person) = row.object_id.and_then(|id| people.get_mut(&id)) {
                *person = resolution(&row.display_name, row);
            }
        }
        Ok(people)
    }
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
