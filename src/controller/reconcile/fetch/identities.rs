//! Who is behind the rows that no manifest declares.

use std::collections::{BTreeMap, BTreeSet};

use super::reads::Reads;
use crate::api::ForeignState;
use crate::exchange::{ExchangeError, ProxyAddress, RecipientQuery, RecipientRow, UserRow};
use crate::ledger::Ledger;
use crate::mail::{Holder, ObjectId, Sid, SmtpAddress};
use crate::plan::{self, Desired, Identity, Observed};

impl Reads<'_> {
    /// Looks up whoever holds something that neither a manifest nor the ledger explains. A complete answer without a
    /// row means that the account is gone; anything less is an error.
    pub(super) async fn identities(
        &self,
        desired: &Desired,
        observed: &Observed,
        ledger: &Ledger,
    ) -> Result<BTreeMap<Holder, Identity>, ExchangeError> {
        // Each with the sign-in names that its rows show.
        let mut strangers: BTreeMap<Holder, BTreeSet<SmtpAddress>> = BTreeMap::new();
        for row in plan::foreign(desired, observed, ledger) {
            if let (Some(holder), false) = (row.holder, row.state == ForeignState::Denied) {
                strangers
                    .entry(holder)
                    .or_default()
                    .extend(row.shown.parse().ok());
            }
        }
        let directory = &self.tenant.directory;
        let mut identities = BTreeMap::new();
        let (mut sids, mut ids) = (BTreeMap::new(), Vec::new());
        for (stranger, names) in strangers {
            if let Some(known) = directory.identity(&stranger, self.now) {
                identities.insert(stranger, known);
                continue;
            }
            match stranger {
                Holder::Sid(sid) => {
                    sids.insert(sid, names);
                }
                Holder::ObjectId(id) => ids.push(id),
            }
        }
        let (rows, delegates) = futures::try_join!(self.behind_sids(&sids), self.behind_ids(&ids))?;
        for (holder, identity) in rows.into_iter().chain(delegates) {
            directory.remember_identity(holder.clone(), identity.clone(), self.now);
            identities.insert(holder, identity);
        }
        Ok(identities)
    }

    /// Whoever has these SIDs. Left out is who is neither there nor gone for sure.
    async fn behind_sids(
        &self,
        shown: &BTreeMap<Sid, BTreeSet<SmtpAddress>>,
    ) -> Result<Vec<(Holder, Identity)>, ExchangeError> {
        let gateway = &self.tenant.gateway;
        let sids: Vec<Sid> = shown.keys().cloned().collect();
        let (users, groups) = futures::try_join!(
            gateway.find_users_by_sid(self.lane, &sids),
            gateway.find_groups_by_sid(self.lane, &sids),
        )?;
        let mut known: BTreeMap<Sid, Identity> = BTreeMap::new();
        for user in users {
            let addresses = user
                .user_principal_name
                .parse()
                .ok()
                .into_iter()
                .chain(user.address);
            known.extend(user.sid.map(|sid| (sid, identity(user.object_id, addresses))));
        }
        for group in groups {
            known.extend(
                group
                    .sid
                    .map(|sid| (sid, identity(group.object_id, group.address))),
            );
        }
        self.add_aliases(&mut known).await?;
        // An entry may carry a SID that its account had before, under which nobody is found, while Exchange goes on
        // showing who it is. A name proves nobody's identity, but that there is somebody: it is no leftover.
        let nameless = shown.iter().filter(|(sid, _)| !known.contains_key(sid));
        let names: Vec<SmtpAddress> = nameless.flat_map(|(_, names)| names.iter().cloned()).collect();
        let there = gateway.find_users_by_address(self.lane, &names).await?;
        let is_there = |name: &SmtpAddress| {
            let answers = |user: &UserRow| {
                user.user_principal_name.eq_ignore_ascii_case(name.as_str())
                    || user.address.as_ref() == Some(name)
            };
            there.iter().any(answers)
        };
        let judge = |(sid, names): (&Sid, &BTreeSet<SmtpAddress>)| {
            let found = known.get(sid).cloned();
            let gone = || (!names.iter().any(is_there)).then_some(Identity::Gone);
            Some((Holder::Sid(sid.clone()), found.or_else(gone)?))
        };
        Ok(shown.iter().filter_map(judge).collect())
    }

    /// Accounts come with their sign-in name and primary address; a pattern may name them by any other.
    async fn add_aliases(&self, known: &mut BTreeMap<Sid, Identity>) -> Result<(), ExchangeError> {
        let id_of = |identity: &Identity| match identity {
            Identity::Known { object_id, .. } => *object_id,
            Identity::Gone => None,
        };
        let ids: Vec<ObjectId> = known.values().filter_map(id_of).collect();
        let recipients: BTreeMap<Holder, Identity> = self.behind_ids(&ids).await?.into_iter().collect();
        for identity in known.values_mut() {
            if let Identity::Known {
                object_id: Some(id),
                addresses,
            } = identity
                && let Some(Identity::Known { addresses: all, .. }) = recipients.get(&Holder::ObjectId(*id))
            {
                addresses.extend(all.iter().cloned());
            }
        }
        Ok(())
    }

    async fn behind_ids(&self, ids: &[ObjectId]) -> Result<Vec<(Holder, Identity)>, ExchangeError> {
        let queries: Vec<RecipientQuery> = ids.iter().copied().map(RecipientQuery::ObjectId).collect();
        let rows = self.tenant.gateway.find_recipients(self.lane, &queries).await?;
        let known: BTreeMap<ObjectId, &RecipientRow> = rows
            .iter()
            .filter(|row| !row.soft_deleted)
            .filter_map(|row| Some((row.object_id?, row)))
            .collect();
        Ok(ids
            .iter()
            .map(|id| {
                let who = known.get(id).map_or(Identity::Gone, |row| {
                    let upn = row.user_principal_name.as_ref().and_then(|upn| upn.parse().ok());
                    let aliases = row.addresses.iter().filter_map(ProxyAddress::smtp);
                    identity(Some(*id), row.primary.iter().cloned().chain(upn).chain(aliases))
                });
                (Holder::ObjectId(*id), who)
            })
            .collect())
    }
}

fn identity(object_id: Option<ObjectId>, addresses: impl IntoIterator<Item = SmtpAddress>) -> Identity {
    Identity::Known {
        object_id,
        addresses: addresses.into_iter().collect(),
    }
}
