//! Who is behind the rows that no manifest declares.

use std::collections::{BTreeMap, BTreeSet};

use super::Fetch;
use crate::api::{ForeignState, Record};
use crate::exchange::{ExchangeError, ProxyAddress, RecipientQuery, RecipientRow};
use crate::mail::{Holder, ObjectId, Sid, SmtpAddress};
use crate::plan::{self, Desired, Identity, Observed};

impl Fetch<'_> {
    /// Looks up whoever holds something that neither a manifest nor the record explains. A complete answer without a
    /// row means that the account is gone; anything less is an error.
    pub(super) async fn identities(
        &self,
        desired: &Desired,
        observed: &Observed,
        record: &Record,
    ) -> Result<BTreeMap<Holder, Identity>, ExchangeError> {
        let strangers: BTreeSet<Holder> = plan::foreign(desired, observed, record)
            .into_iter()
            .filter(|row| row.state != ForeignState::Denied)
            .filter_map(|row| row.holder)
            .collect();
        let directory = &self.tenant.directory;
        let mut identities = BTreeMap::new();
        let (mut sids, mut ids) = (Vec::new(), Vec::new());
        for stranger in strangers {
            if let Some(known) = directory.identity(&stranger, self.now) {
                identities.insert(stranger, known);
                continue;
            }
            match stranger {
                Holder::Sid(sid) => sids.push(sid),
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

    async fn behind_sids(&self, sids: &[Sid]) -> Result<Vec<(Holder, Identity)>, ExchangeError> {
        let gateway = &self.tenant.gateway;
        let (users, groups) = futures::try_join!(
            gateway.find_users_by_sid(self.lane, sids),
            gateway.find_groups_by_sid(self.lane, sids),
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
        Ok(sids
            .iter()
            .map(|sid| {
                let who = known.get(sid).cloned().unwrap_or(Identity::Gone);
                (Holder::Sid(sid.clone()), who)
            })
            .collect())
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
