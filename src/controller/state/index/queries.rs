//! What is asked of the index. Nothing of it changes what the index knows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::super::key::{Changes, LEDGER, MAILBOX, MailboxKey, PERMISSION, TENANT, Work};
use super::super::known_ledger::KnownLedger;
use super::{Index, KnownMailbox, Rank};
use crate::api::MailboxPermission;
use crate::lane::Lane;
use crate::mail::{Right, SmtpAddress};

impl Index {
    /// What nobody saw happen before a restart: ledgers that grant what no permission declares, of which a revocation
    /// must not wait behind the regular rechecks; and ledgers whose resource is gone.
    pub fn owed_by_ledgers(&self, now: Timestamp) -> Changes {
        let lane = |ledger: &KnownLedger| {
            let permissions = self.permissions.get(&ledger.key);
            let permissions = permissions.into_iter().flat_map(BTreeMap::values);
            // One whose end has come declares nothing.
            let permissions = permissions.filter(|permission| {
                let end = permission.spec.expires_at.as_ref();
                end.is_none_or(|end| end.0 > now)
            });
            let declared: Vec<(SmtpAddress, Right)> =
                permissions.flat_map(|permission| rights_of(permission)).collect();
            match self.mailboxes.contains_key(&ledger.key) {
                true if ledger.owes(&declared) => Some(Lane::Revocation),
                true => None,
                false => Some(Lane::Sweep),
            }
        };
        let owed = self.ledgers.all();
        owed.filter_map(|ledger| Some((Work::Mailbox(ledger.key.clone()), lane(ledger)?)))
            .collect()
    }

    /// On how many mailboxes of the tenant named `tenant` changes wait for approval.
    pub fn held_mailboxes(&self, tenant: &str) -> usize {
        let ledgers = self.ledgers.all();
        let waits = ledgers.filter(|ledger| ledger.tenant == tenant && ledger.has_held && !ledger.is_gone);
        waits
            .filter(|ledger| self.mailboxes.contains_key(&ledger.key))
            .count()
    }

    /// Who claims `address` in the tenant named `tenant`, the oldest first. None: nobody.
    pub fn claimants(&self, tenant: &str, address: &SmtpAddress) -> Option<&BTreeSet<Rank>> {
        self.claims.get(&(tenant.to_owned(), address.clone()))
    }

    pub fn seen(&self, key: &MailboxKey) -> Option<&KnownMailbox> {
        self.mailboxes.get(key)
    }

    /// The mailboxes that belong to the tenant named `tenant`, and those whose resource is gone.
    pub fn of_tenant(&self, tenant: &str) -> Vec<MailboxKey> {
        let mailboxes = self
            .mailboxes
            .iter()
            .filter(|(_, seen)| seen.object.spec.tenant_ref.name == tenant);
        let present = mailboxes.map(|(key, _)| key.clone());
        present
            .chain(self.ledgers.released(|other| other == tenant))
            .collect()
    }

    /// Mailboxes whose resource is gone, and the ExchangeTenant that it named, too: another one may lead to the same tenant.
    pub fn orphaned(&self) -> Vec<MailboxKey> {
        self.ledgers.released(|tenant| !self.has_tenant(tenant))
    }

    /// Namespace and name of those.
    fn unreadable_names(&self, kind: &'static str) -> impl Iterator<Item = (String, String)> {
        let of_kind = self
            .unreadable
            .iter()
            .filter(move |((other, _), _)| *other == kind);
        of_kind.flat_map(|((_, namespace), names)| {
            let names = names.iter().cloned();
            names.map(move |name| (namespace.clone(), name))
        })
    }

    pub fn ledger_names(&self) -> Vec<String> {
        let unreadable = self.unreadable_names(LEDGER).map(|(_, name)| name);
        self.ledgers.names().into_iter().chain(unreadable).collect()
    }

    pub fn mailbox_keys(&self) -> Vec<MailboxKey> {
        let unreadable = self.unreadable_names(MAILBOX);
        self.mailboxes
            .keys()
            .cloned()
            .chain(unreadable.map(|(namespace, name)| MailboxKey { namespace, name }))
            .collect()
    }

    pub fn permission_keys(&self) -> Vec<(String, String)> {
        self.permission_homes
            .keys()
            .cloned()
            .chain(self.unreadable_names(PERMISSION))
            .collect()
    }

    pub fn tenant_names(&self) -> Vec<String> {
        let unreadable = self.unreadable_names(TENANT).map(|(_, name)| name);
        self.tenants.keys().cloned().chain(unreadable).collect()
    }
}

/// Each right of each member, as written.
fn rights_of(permission: &MailboxPermission) -> impl Iterator<Item = (SmtpAddress, Right)> {
    let spec = &permission.spec;
    let members = spec
        .members
        .iter()
        .filter_map(|member| member.user.as_ref().or(member.group.as_ref()));
    members
        .filter_map(|address| address.parse::<SmtpAddress>().ok())
        .flat_map(|address| spec.rights.iter().map(move |right| (address.clone(), *right)))
}
