//! Who is behind the rows that no manifest declares.

use std::collections::{BTreeMap, BTreeSet};

use super::failed::Failed;
use super::reads::Reads;
use crate::api::ForeignState;
use crate::exchange::{ExchangeError, ProxyAddress, RecipientQuery, RecipientRow};
use crate::ledger::Ledger;
use crate::mail::{Holder, ObjectId, Sid, SmtpAddress};
use crate::plan::{self, Desired, Identity, Observed, Read};

impl Reads<'_> {
    /// Looks up whoever holds something that neither a manifest nor the ledger explains. Only a complete answer without a
    /// row means that the account is gone; of whom a read fails, nothing is known.
    pub(super) async fn identities(
        &self,
        desired: &Desired,
        observed: &Observed,
        ledger: &Ledger,
        failed: &mut Failed,
    ) -> BTreeMap<Holder, Identity> {
        // Each with what its rows show instead of an id.
        let mut strangers: BTreeMap<Holder, BTreeSet<String>> = BTreeMap::new();
        for row in plan::foreign(desired, observed, ledger) {
            if let (Some(holder), false) = (row.holder, row.state == ForeignState::Denied) {
                strangers.entry(holder).or_default().insert(row.shown);
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
        let mut delegates = Vec::new();
        match self.behind_ids(&ids).await {
            Ok(found) => delegates = found,
            Err(error) => failed.note(Read::Recipients, &error),
        }
        let rows = self.behind_sids(&sids, failed).await;
        for (holder, identity) in rows.into_iter().chain(delegates) {
            directory.remember_identity(holder.clone(), identity.clone(), self.now);
            identities.insert(holder, identity);
        }
        identities
    }

    /// Whoever has these SIDs. Left out is who is neither there nor gone for sure.
    async fn behind_sids(
        &self,
        shown: &BTreeMap<Sid, BTreeSet<String>>,
        failed: &mut Failed,
    ) -> Vec<(Holder, Identity)> {
        let gateway = &self.tenant.gateway;
        let sids: Vec<Sid> = shown.keys().cloned().collect();
        let (users, groups) = futures::join!(
            gateway.find_users_by_sid(self.lane, &sids),
            gateway.find_groups_by_sid(self.lane, &sids),
        );
        let mut known: BTreeMap<Sid, Identity> = BTreeMap::new();
        for user in users.iter().flatten() {
            let sign_in_name = user.user_principal_name.parse().ok();
            let addresses = sign_in_name.into_iter().chain(user.address.clone());
            let sid = user.sid.clone();
            known.extend(sid.map(|sid| (sid, identity(user.object_id, addresses))));
        }
        // Exchange's own: neither somebody's grant nor a leftover.
        let of_roles = groups.iter().flatten().filter(|group| group.is_role_group());
        let of_roles: BTreeSet<Sid> = of_roles.filter_map(|group| group.sid.clone()).collect();
        for group in groups.iter().flatten().filter(|group| !group.is_role_group()) {
            let sid = group.sid.clone();
            known.extend(sid.map(|sid| (sid, identity(group.object_id, group.address.clone()))));
        }
        // What one of them found, the other need not explain.
        let is_explained = sids.iter().all(|sid| known.contains_key(sid));
        let errors = [(Read::Accounts, users.err()), (Read::AccountGroups, groups.err())];
        let is_complete = errors.iter().all(|(_, error)| error.is_none());
        for (read, error) in errors {
            if let (false, Some(error)) = (is_explained, error) {
                failed.note(read, &error);
            }
        }
        if let Err(error) = self.add_aliases(&mut known).await {
            // By an address that nobody knows they may be whom a manifest names, or whom nothing is taken from.
            failed.note(Read::Recipients, &error);
            return Vec::new();
        }
        let gone = if is_complete {
            let gone = self.gone(shown, &known, failed).await;
            gone.into_iter().filter(|sid| !of_roles.contains(sid)).collect()
        } else {
            BTreeSet::new()
        };
        let known = known
            .into_iter()
            .map(|(sid, identity)| (Holder::Sid(sid), identity));
        let gone = gone.into_iter().map(|sid| (Holder::Sid(sid), Identity::Gone));
        known.chain(gone).collect()
    }

    /// Which of these SIDs nobody has. An entry may carry a SID that its account had before, under which nobody is found,
    /// while Exchange goes on showing who it is. A name proves nobody's identity, but that there is somebody: it is no
    /// leftover.
    async fn gone(
        &self,
        shown: &BTreeMap<Sid, BTreeSet<String>>,
        known: &BTreeMap<Sid, Identity>,
        failed: &mut Failed,
    ) -> BTreeSet<Sid> {
        let nameless: Vec<_> = shown.iter().filter(|(sid, _)| !known.contains_key(sid)).collect();
        let names: Vec<SmtpAddress> = nameless
            .iter()
            .flat_map(|(_, names)| names.iter().filter_map(|name| name.parse().ok()))
            .collect();
        let there = match self.tenant.gateway.find_users_by_address(self.lane, &names).await {
            Ok(there) => there,
            Err(error) => {
                failed.note(Read::Accounts, &error);
                return BTreeSet::new();
            }
        };
        let is_there = |name: &String| match name.parse::<SmtpAddress>() {
            Ok(address) => there.iter().any(|user| {
                user.user_principal_name.eq_ignore_ascii_case(address.as_str())
                    || user.address.as_ref() == Some(&address)
            }),
            Err(_) => is_name(name),
        };
        let gone = nameless
            .into_iter()
            .filter(|(_, names)| !names.iter().any(is_there));
        gone.map(|(sid, _)| sid.clone()).collect()
    }

    /// Accounts come with their sign-in name and primary address; a pattern may name them by any other. Groups come without
    /// an object id in some tenants: their address leads to it.
    async fn add_aliases(&self, known: &mut BTreeMap<Sid, Identity>) -> Result<(), ExchangeError> {
        let query = |identity: &Identity| match identity {
            Identity::Known {
                object_id: Some(id), ..
            } => Some(RecipientQuery::ObjectId(*id)),
            Identity::Known {
                object_id: None,
                addresses,
            } => addresses.first().cloned().map(RecipientQuery::Address),
            Identity::Gone => None,
        };
        let queries: Vec<RecipientQuery> = known.values().filter_map(query).collect();
        let rows = self.tenant.gateway.find_recipients(self.lane, &queries).await?;
        let rows: Vec<&RecipientRow> = rows.iter().filter(|row| !row.soft_deleted).collect();
        for identity in known.values_mut() {
            let Identity::Known { object_id, addresses } = identity else {
                continue;
            };
            let is_theirs = |row: &&&RecipientRow| match object_id {
                Some(id) => row.object_id == Some(*id),
                None => addresses.iter().any(|address| row.has_address(address)),
            };
            if let Some(row) = rows.iter().find(is_theirs) {
                *object_id = row.object_id.or(*object_id);
                addresses.extend(names_of(row));
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
                let who = known
                    .get(id)
                    .map_or(Identity::Gone, |row| identity(Some(*id), names_of(row)));
                (Holder::ObjectId(*id), who)
            })
            .collect())
    }
}

/// By which manifests and patterns may name a recipient.
fn names_of(row: &RecipientRow) -> impl Iterator<Item = SmtpAddress> {
    let upn = row.user_principal_name.as_ref().and_then(|upn| upn.parse().ok());
    let aliases = row.addresses.iter().filter_map(ProxyAddress::smtp);
    row.primary.iter().cloned().chain(upn).chain(aliases)
}

/// Whether a row shows somebody under a name of their own. Of accounts that are gone it shows the SID, or a name of the
/// data centre (`EURPR05A001\\$…`).
fn is_name(shown: &str) -> bool {
    !shown.starts_with("S-1-") && !shown.contains(['\\', '@']) && !shown.trim().is_empty()
}

fn identity(object_id: Option<ObjectId>, addresses: impl IntoIterator<Item = SmtpAddress>) -> Identity {
    Identity::Known {
        object_id,
        addresses: addresses.into_iter().collect(),
    }
}
