//! Who is behind the rows that no manifest declares.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::failed::Failed;
use super::reads::Reads;
use crate::api::ForeignState;
use crate::exchange::{ExchangeError, ProxyAddress, RecipientQuery, RecipientRow, UserRow};
use crate::ledger::Ledger;
use crate::mail::{Holder, MailboxGuid, ObjectId, Right, Sid, SmtpAddress};
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
        let mut strangers: BTreeMap<Holder, Shown> = BTreeMap::new();
        for row in plan::foreign(desired, observed, ledger) {
            if let (Some(holder), false) = (row.holder, row.state == ForeignState::Denied) {
                let shown = strangers.entry(holder).or_default();
                shown.names.insert(row.shown);
                shown.stores.insert(row.store);
            }
        }
        let directory = &self.tenant.directory;
        let mut identities = BTreeMap::new();
        let (mut sids, mut ids) = (BTreeMap::new(), Vec::new());
        for (stranger, shown) in strangers {
            if let Some(known) = directory.identity(&stranger, self.now) {
                identities.insert(stranger, known);
                continue;
            }
            match stranger {
                Holder::Sid(sid) => {
                    sids.insert(sid, shown);
                }
                Holder::ObjectId(id) => ids.push(id),
            }
        }
        let mut delegates = Vec::new();
        match self.behind_ids(&ids).await {
            Ok(found) => delegates = found,
            Err(error) => failed.note(Read::Recipients, &error),
        }
        let rows = self.behind_sids(observed.guid, &sids, failed).await;
        for (holder, identity) in rows.into_iter().chain(delegates) {
            directory.remember_identity(holder.clone(), identity.clone(), self.now);
            identities.insert(holder, identity);
        }
        identities
    }

    /// Whoever has these SIDs. Left out is who is neither there nor gone for sure.
    async fn behind_sids(
        &self,
        guid: MailboxGuid,
        shown: &BTreeMap<Sid, Shown>,
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
            let sid = user.sid.clone();
            known.extend(sid.map(|sid| (sid, identity(user.object_id, names_of_user(user)))));
        }
        for group in groups.iter().flatten() {
            let who = if group.is_role_group() {
                Identity::RoleGroup
            } else {
                identity(group.object_id, group.address.clone())
            };
            known.extend(group.sid.clone().map(|sid| (sid, who)));
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
        let mut unfound = BTreeMap::new();
        if is_complete {
            let nameless = shown.iter().filter(|(sid, _)| !known.contains_key(*sid));
            unfound = self
                .behind_names(guid, &nameless.collect::<Vec<_>>(), failed)
                .await;
        }
        let tied = unfound
            .iter()
            .filter(|(_, who)| matches!(who, Identity::Known { .. }));
        known.extend(tied.map(|(sid, who)| (sid.clone(), who.clone())));
        if let Err(error) = self.add_aliases(&mut known).await {
            // By an address that nobody knows they may be whom a manifest names, or whom nothing is taken from.
            failed.note(Read::Recipients, &error);
            return Vec::new();
        }
        unfound.extend(known);
        let holders = unfound
            .into_iter()
            .map(|(sid, identity)| (Holder::Sid(sid), identity));
        holders.collect()
    }

    /// Who is behind these SIDs, under which nobody is found. An entry may carry a SID that its account had before, or that
    /// of an account in another forest, while Exchange goes on showing who it is. A name proves nobody's identity, only that
    /// there is somebody and the entry is no leftover. It is theirs for sure when Exchange answers it to the question what
    /// they hold.
    async fn behind_names(
        &self,
        guid: MailboxGuid,
        nameless: &[(&Sid, &Shown)],
        failed: &mut Failed,
    ) -> BTreeMap<Sid, Identity> {
        let names: BTreeSet<SmtpAddress> = nameless
            .iter()
            .flat_map(|(_, shown)| shown.names.iter().filter_map(|name| name.parse().ok()))
            .collect();
        let names: Vec<SmtpAddress> = names.into_iter().collect();
        let there = match self.tenant.gateway.find_users_by_address(self.lane, &names).await {
            Ok(there) => there,
            Err(error) => {
                failed.note(Read::Accounts, &error);
                return BTreeMap::new();
            }
        };
        let missing = names
            .iter()
            .filter(|name| !there.iter().any(|user| is_called(user, name)));
        let queries: Vec<RecipientQuery> = missing.cloned().map(RecipientQuery::Address).collect();
        let recipients = match self.tenant.gateway.find_recipients(self.lane, &queries).await {
            Ok(recipients) => recipients,
            Err(error) => {
                failed.note(Read::Recipients, &error);
                return BTreeMap::new();
            }
        };
        let answers = nameless.iter().map(|(sid, shown)| async {
            let identity = match shown.somebody(&there, &recipients) {
                Somebody::Nobody => Identity::Gone,
                Somebody::Unclear => Identity::Untied,
                Somebody::One(id, user) => match self.holds(guid, id, sid, shown).await {
                    Ok(true) => identity(Some(id), names_of_user(user)),
                    Ok(false) => Identity::Untied,
                    Err(_) => return None,
                },
            };
            Some(((*sid).clone(), identity))
        });
        join_all(answers).await.into_iter().flatten().collect()
    }

    /// Whether Exchange shows an entry with this SID when it is asked what this person holds on the mailbox.
    async fn holds(
        &self,
        guid: MailboxGuid,
        id: ObjectId,
        sid: &Sid,
        shown: &Shown,
    ) -> Result<bool, ExchangeError> {
        let gateway = &self.tenant.gateway;
        let found: Vec<Option<Sid>> = if shown.stores.contains(&Right::FullAccess) {
            let rows = gateway.full_access(self.lane, guid, Some(&id)).await?.into_iter();
            rows.map(|row| row.sid).collect()
        } else {
            let rows = gateway.send_as(self.lane, guid, Some(&id)).await?.into_iter();
            rows.map(|row| row.sid).collect()
        };
        Ok(found.iter().flatten().any(|found| found == sid))
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
            Identity::Gone | Identity::Untied | Identity::RoleGroup => None,
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

/// What rows show of one holder instead of an object id.
#[derive(Default)]
struct Shown {
    names: BTreeSet<String>,
    /// In which of the lists.
    stores: BTreeSet<Right>,
}

/// Whom the names of a row find.
enum Somebody<'a> {
    Nobody,
    /// There is somebody, and perhaps more than one.
    Unclear,
    One(ObjectId, &'a UserRow),
}

impl Shown {
    /// `recipients`: whoever has one of the names that no account has.
    fn somebody<'a>(&self, there: &'a [UserRow], recipients: &[RecipientRow]) -> Somebody<'a> {
        let addresses: Vec<SmtpAddress> = self.names.iter().filter_map(|name| name.parse().ok()).collect();
        let is_named = |user: &&UserRow| addresses.iter().any(|address| is_called(user, address));
        let is_nobody = |name: &String| is_leftover(name) || is_deleted(name, recipients);
        let mut users = there.iter().filter(is_named);
        match (users.next(), users.next()) {
            (None, _) if self.names.iter().all(is_nobody) => Somebody::Nobody,
            (Some(user), None) => user
                .object_id
                .map_or(Somebody::Unclear, |id| Somebody::One(id, user)),
            (None, _) | (Some(_), Some(_)) => Somebody::Unclear,
        }
    }
}

fn is_called(user: &UserRow, address: &SmtpAddress) -> bool {
    user.user_principal_name.eq_ignore_ascii_case(address.as_str()) || user.address.as_ref() == Some(address)
}

/// Whether the name is the address of recipients that are all deleted, and can be restored.
fn is_deleted(name: &str, recipients: &[RecipientRow]) -> bool {
    let Ok(address) = name.parse::<SmtpAddress>() else {
        return false;
    };
    let mut with_it = recipients
        .iter()
        .filter(|row| row.has_address(&address))
        .peekable();
    with_it.peek().is_some() && with_it.all(|row| row.soft_deleted)
}

fn names_of_user(user: &UserRow) -> impl Iterator<Item = SmtpAddress> {
    let sign_in_name = user.user_principal_name.parse().ok();
    sign_in_name.into_iter().chain(user.address.clone())
}

/// By which manifests and patterns may name a recipient.
fn names_of(row: &RecipientRow) -> impl Iterator<Item = SmtpAddress> {
    let upn = row.user_principal_name.as_ref().and_then(|upn| upn.parse().ok());
    let aliases = row.addresses.iter().filter_map(ProxyAddress::smtp);
    row.primary.iter().cloned().chain(upn).chain(aliases)
}

/// Whether a row shows what it shows of accounts that are gone: the SID, or a name of the data centre (`EURPR05A001\\$…`).
/// Anything else may be somebody: an account in another forest (`FOREST\\name`), or a sign-in name that a replica does not
/// find yet.
fn is_leftover(shown: &str) -> bool {
    let of_data_centre = shown
        .split_once('\\')
        .is_some_and(|(_, name)| name.starts_with('$'));
    shown.starts_with("S-1-") || of_data_centre
}

fn identity(object_id: Option<ObjectId>, addresses: impl IntoIterator<Item = SmtpAddress>) -> Identity {
    Identity::Known {
        object_id,
        addresses: addresses.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_sid_or_a_name_of_the_data_centre_means_that_nobody_is_left() {
        for (shown, is_gone) in [
            ("S-1-5-21-1-2-3-4", true),
            (r"EURPR05A001\$AB1000-000000000001", true),
            (r"FOREST\first.member", false),
            ("first.member@contoso.com", false),
            ("First Member", false),
            ("", false),
        ] {
            let names = BTreeSet::from([shown.to_owned()]);
            let row = Shown {
                names,
                stores: BTreeSet::new(),
            };
            let found = row.somebody(&[], &[]);
            assert_eq!(matches!(found, Somebody::Nobody), is_gone, "{shown:?}");
        }
    }
}
