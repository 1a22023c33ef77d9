//! The whole tenant behind one lock, and the rules that hold across cmdlets.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::clock::Clock;
use crate::cmdlets::CmdletError;
use crate::directory::{Directory, Group, Handle, Mailbox, MailboxType, Object, Seen, View, Visibility};
use crate::faults::{FaultEngine, Origin};
use crate::journal::{Actor, Journal, JournalKind, Outcome};
use crate::paging::Pages;
use crate::random::Random;
use crate::seed::{GroupKind, Seed, SeedGroup, SeedMailbox, SeedUser};
use crate::token::Tokens;

/// Deleted mailboxes can be restored for 30 days (Microsoft's page on Remove-Mailbox).
const RECOVERABLE: Duration = Duration::from_hours(30 * 24);

/// What does not change about the tenant.
#[derive(Debug)]
pub struct Tenant {
    pub id: Uuid,
    pub client_id: Uuid,
    /// Ids under which requests still arrive after the id was changed.
    pub former_ids: Vec<Uuid>,
    pub initial_domain: String,
    /// Without the initial one; the first is the default.
    pub domains: Vec<String>,
    pub keeps_given_names: bool,
}

impl Tenant {
    pub fn is_named(&self, name: &str) -> bool {
        match name.parse::<Uuid>() {
            Ok(id) => id == self.id || self.former_ids.contains(&id),
            Err(_) => self.accepts(name),
        }
    }

    pub fn accepts(&self, domain: &str) -> bool {
        domain.eq_ignore_ascii_case(&self.initial_domain)
            || self.domains.iter().any(|own| own.eq_ignore_ascii_case(domain))
    }

    pub fn default_domain(&self) -> &str {
        self.domains.first().unwrap_or(&self.initial_domain)
    }
}

/// What the app registration has been granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each grant stands for itself")]
pub struct AppGrants {
    /// The app role `Exchange.ManageAsApp`. Without it the admin API answers 401.
    pub exchange_app_role: bool,
    /// A directory role such as Exchange Administrator. Without it the admin API answers 403.
    pub directory_role: bool,
    /// `User.Read.All` on Graph.
    pub graph_user_read: bool,
    /// `User.EnableDisableAccount.All` on Graph.
    pub graph_user_write: bool,
}

#[derive(Debug)]
pub struct World {
    pub tenant: Tenant,
    pub clock: Clock,
    pub directory: Directory,
    pub random: Random,
    pub faults: FaultEngine,
    pub journal: Journal,
    pub tokens: Tokens,
    pub pages: Pages,
    pub grants: AppGrants,
    requests: u64,
    next_rid: u64,
    /// Deleted mailboxes in the order in which they expire.
    deleted: VecDeque<(Duration, Handle)>,
}

impl World {
    pub fn new(seed: Seed) -> Self {
        let start = seed
            .start
            .or_else(|| "2026-01-05T08:00:00Z".parse().ok())
            .unwrap_or_default();
        let mut world = Self {
            tokens: Tokens::new(seed.client_secret, seed.token_lifetime_seconds),
            tenant: Tenant {
                id: seed.tenant_id,
                client_id: seed.client_id,
                former_ids: Vec::new(),
                initial_domain: seed.initial_domain,
                domains: seed.accepted_domains,
                keeps_given_names: seed.keeps_given_names,
            },
            clock: Clock::starting_at(start),
            directory: Directory::default(),
            random: Random::seeded(seed.random_seed),
            faults: FaultEngine::default(),
            journal: Journal::default(),
            pages: Pages::default(),
            grants: AppGrants {
                exchange_app_role: true,
                directory_role: true,
                graph_user_read: true,
                graph_user_write: true,
            },
            requests: 0,
            next_rid: 1_000,
            deleted: VecDeque::new(),
        };
        for user in &seed.users {
            world.add_user(user, Visibility::default());
        }
        for group in &seed.groups {
            world.add_group(group, Visibility::default());
        }
        world
    }

    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn next_request(&mut self) -> u64 {
        self.requests += 1;
        self.requests
    }

    /// A view through the replica that happens to answer.
    pub fn exchange_view(&mut self) -> View {
        View::Exchange {
            replica: self.faults.replica(),
            now: self.elapsed(),
        }
    }

    pub fn graph_view(&self) -> View {
        View::Graph { now: self.elapsed() }
    }

    pub fn record(&mut self, actor: Actor, request: Option<u64>, kind: JournalKind, outcome: Outcome) {
        let at = self.now();
        self.journal.write(at, actor, request, kind, outcome);
    }

    /// Changes the newest version of an object. Answers whether it is different now.
    pub fn update(&mut self, handle: Handle, origin: Origin, change: impl FnOnce(&mut Object)) -> bool {
        let Some(newest) = self.directory.seen(handle, View::Newest) else {
            return false;
        };
        let mut object = (*newest.object).clone();
        change(&mut object);
        if object == *newest.object {
            return false;
        }
        object.changed = self.now();
        let now = self.elapsed();
        let visibility = self.faults.visibility(origin, false, now);
        self.directory.replace(handle, object, visibility, now);
        true
    }

    /// Answers whether the account's state is different now.
    pub fn set_account_enabled(&mut self, handle: Handle, enabled: bool, origin: Origin) -> bool {
        let Some(newest) = self.directory.seen(handle, View::Newest) else {
            return false;
        };
        if newest.account_enabled == enabled {
            return false;
        }
        let now = self.elapsed();
        let visibility = self.faults.visibility(origin, false, now);
        self.directory
            .set_account_enabled(handle, enabled, visibility, now);
        true
    }

    /// Deletes a mailbox with its account so that it can be restored; its addresses stay taken.
    pub fn soft_delete(&mut self, handle: Handle, origin: Origin) -> bool {
        let now = self.now();
        let changed = self.update(handle, origin, |object| object.soft_deleted = Some(now));
        if changed {
            self.deleted.push_back((self.elapsed() + RECOVERABLE, handle));
        }
        changed
    }

    pub fn purge(&mut self, handle: Handle, origin: Origin) {
        let now = self.elapsed();
        let visibility = self.faults.visibility(origin, false, now);
        self.directory.purge(handle, visibility, now);
    }

    /// Purges deleted mailboxes whose time is over.
    pub fn expire(&mut self) {
        let now = self.elapsed();
        while let Some((_, handle)) = self.deleted.pop_front_if(|(due, _)| *due <= now) {
            let still_deleted = self
                .directory
                .seen(handle, View::Newest)
                .and_then(|seen| seen.soft_deleted)
                .is_some_and(|at| self.clock.now().duration_since(at).unsigned_abs() >= RECOVERABLE);
            if still_deleted {
                self.directory.purge(handle, Visibility::default(), now);
            }
        }
    }

    /// The object, other than `except`, that holds one of these addresses or has one as its user
    /// principal name; deleted ones that can be restored count.
    pub fn holder_of<'a>(&self, addresses: &'a [String], except: Option<Handle>) -> Option<(&'a str, Seen)> {
        addresses.iter().find_map(|address| {
            self.directory
                .matching(address, View::Newest)
                .into_iter()
                .find(|seen| {
                    let same = |own: &String| own.eq_ignore_ascii_case(address);
                    Some(seen.handle) != except
                        && (seen.has_address(address) || seen.upn.as_ref().is_some_and(same))
                })
                .map(|seen| (address.as_str(), seen))
        })
    }

    /// Refuses an address that is malformed or in a foreign domain.
    pub fn check_address(&self, address: &str) -> Result<(), CmdletError> {
        let bad = || CmdletError::bad_address(address);
        let (local, domain) = address.rsplit_once('@').ok_or_else(bad)?;
        let fine = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        if local.is_empty()
            || local.len() > 64
            || address.len() > 320
            || !local.chars().all(fine)
            || local.starts_with('.')
            || local.ends_with('.')
            || local.contains("..")
            || !domain.contains('.')
            || !domain
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
        {
            return Err(bad());
        }
        if self.tenant.accepts(domain) {
            Ok(())
        } else {
            Err(CmdletError::not_accepted_domain(domain))
        }
    }

    pub fn new_sid(&mut self) -> String {
        self.next_rid += 1;
        format!("S-1-5-21-3787293746-1043275628-2190718315-{}", self.next_rid)
    }

    /// A fresh object without addresses, mailbox or group.
    pub fn blank_object(&mut self, id: Option<Uuid>, display_name: &str) -> Object {
        let id = id.unwrap_or_else(|| self.random.uuid());
        let now = self.now();
        Object {
            id,
            guid: self.random.uuid(),
            sid: self.new_sid(),
            name: id.to_string(),
            display_name: display_name.to_owned(),
            alias: None,
            upn: None,
            addresses: Vec::new(),
            group: None,
            mailbox: None,
            send_as: Vec::new(),
            custom_attributes: std::collections::BTreeMap::new(),
            dir_synced: false,
            licensed: false,
            created: now,
            changed: now,
            soft_deleted: None,
        }
    }

    pub fn blank_mailbox(&mut self, kind: MailboxType) -> Mailbox {
        Mailbox {
            exchange_guid: self.random.uuid(),
            kind,
            full_access: Vec::new(),
            on_behalf: Vec::new(),
            settings: std::collections::BTreeMap::new(),
        }
    }

    /// The addresses that the service gives a mailbox by itself, besides the primary one.
    pub fn service_addresses(&self, primary: &str, alias: &str, exchange_guid: Uuid) -> Vec<String> {
        let nickname = format!("{alias}@{}", self.tenant.initial_domain);
        let mut addresses = vec![format!("SMTP:{primary}")];
        if !nickname.eq_ignore_ascii_case(primary) {
            addresses.push(format!("smtp:{nickname}"));
        }
        addresses.push(format!("SPO:SPO_{exchange_guid}@SPO_{}", self.tenant.id));
        addresses
    }

    pub fn add_user(&mut self, user: &SeedUser, visibility: Visibility) -> Handle {
        let mut object = self.blank_object(user.object_id, &user.display_name);
        if let Some(name) = &user.name {
            object.name.clone_from(name);
        }
        object.upn = Some(user.upn.clone());
        object.dir_synced = user.dir_synced;
        object.licensed = user.licensed;
        object.custom_attributes.clone_from(&user.custom_attributes);
        let mailbox_type = match user.mailbox {
            SeedMailbox::None => None,
            SeedMailbox::User => Some(MailboxType::User),
            SeedMailbox::Shared => Some(MailboxType::Shared),
            SeedMailbox::Room => Some(MailboxType::Room),
            SeedMailbox::Equipment => Some(MailboxType::Equipment),
        };
        if let Some(mailbox_type) = mailbox_type {
            let local = user.upn.split('@').next().unwrap_or_default().to_owned();
            let alias = user.alias.clone().unwrap_or(local);
            let mailbox = self.blank_mailbox(mailbox_type);
            object.addresses = self.service_addresses(&user.upn, &alias, mailbox.exchange_guid);
            object
                .addresses
                .extend(user.addresses.iter().map(|address| format!("smtp:{address}")));
            object.alias = Some(alias);
            object.mailbox = Some(mailbox);
        }
        self.directory.insert(object, !user.account_disabled, visibility)
    }

    pub fn add_group(&mut self, group: &SeedGroup, visibility: Visibility) -> Handle {
        let mut object = self.blank_object(group.object_id, &group.display_name);
        let local = group.address.split('@').next().unwrap_or_default().to_owned();
        if group.kind == GroupKind::PlainSecurity {
            object.name.clone_from(&local);
        } else {
            object.addresses = vec![format!("SMTP:{}", group.address)];
            object.alias = Some(local);
        }
        let members = group.members.iter().filter_map(|upn| {
            self.directory
                .matching(upn, View::Newest)
                .first()
                .map(|member| member.id)
        });
        object.group = Some(Group {
            kind: group.kind,
            members: members.collect(),
        });
        self.directory.insert(object, true, visibility)
    }

    /// Every object as it is now, with what no cmdlet shows.
    pub fn dump(&self) -> Value {
        let objects: Vec<Value> = self
            .directory
            .all(View::Newest)
            .map(|seen| {
                let mut object = serde_json::to_value(&*seen.object).unwrap_or_default();
                if let Value::Object(fields) = &mut object {
                    fields.insert("accountEnabled".to_owned(), seen.account_enabled.into());
                }
                object
            })
            .collect();
        serde_json::json!({
            "now": self.now(),
            "tenantId": self.tenant.id,
            "initialDomain": self.tenant.initial_domain,
            "acceptedDomains": self.tenant.domains,
            "requests": self.requests,
            "grants": self.grants,
            "faults": self.faults.current(),
            "faultCounts": self.faults.counts(),
            "objects": objects,
        })
    }
}
