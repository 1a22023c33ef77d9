//! The whole tenant behind one lock, and the rules that hold across cmdlets.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::clock::Clock;
use crate::directory::{Directory, Handle, Object, ObjectView, SignInStore, View, Visibility};
use crate::error::CmdletError;
use crate::faults::{FaultEngine, Origin};
use crate::grants::{AppGrants, ParameterRules};
use crate::journal::{Actor, Journal, JournalKind, Outcome};
use crate::paging::Pages;
use crate::quirks::Quirks;
use crate::random::Random;
use crate::seed::Seed;
use crate::token::Tokens;
use crate::wire::{Delivery, Http, Reply};

/// Deleted mailboxes and accounts can be restored for 30 days (Microsoft's page on Remove-Mailbox).
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
    pub send_as_rows_lack_inheritance: bool,
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

#[derive(Debug)]
pub struct World {
    pub tenant: Tenant,
    pub clock: Clock,
    /// Answers say when they were given: the seed said when it is.
    pub dates_answers: bool,
    pub directory: Directory,
    pub random: Random,
    pub faults: FaultEngine,
    pub journal: Journal,
    pub tokens: Tokens,
    pub pages: Pages,
    pub grants: AppGrants,
    pub parameter_rules: ParameterRules,
    pub quirks: Quirks,
    /// Requests to the admin API that have not been answered yet.
    pub in_flight: u32,
    requests: u64,
    pub(crate) next_rid: u64,
    /// What was deleted, in the order in which it expires.
    deleted: VecDeque<(Duration, Handle)>,
}

impl World {
    /// A tenant with nobody in it; whom the seed lists comes later.
    pub fn empty(seed: Seed) -> Self {
        let Seed {
            tenant_id,
            client_id,
            client_secret,
            initial_domain,
            accepted_domains,
            users: _,
            contacts: _,
            groups: _,
            start,
            random_seed,
            token_lifetime_seconds,
            keeps_given_names,
            send_as_rows_lack_inheritance,
            quirks,
        } = seed;
        let dates_answers = start.is_some();
        let start = start
            .or_else(|| "2026-01-05T08:00:00Z".parse().ok())
            .unwrap_or_default();
        Self {
            tokens: Tokens::new(client_secret, token_lifetime_seconds),
            tenant: Tenant {
                id: tenant_id,
                client_id,
                former_ids: Vec::new(),
                initial_domain,
                domains: accepted_domains,
                keeps_given_names,
                send_as_rows_lack_inheritance,
            },
            clock: Clock::starting_at(start),
            dates_answers,
            directory: Directory::default(),
            random: Random::seeded(random_seed),
            faults: FaultEngine::default(),
            journal: Journal::default(),
            pages: Pages::default(),
            grants: AppGrants::all(),
            parameter_rules: ParameterRules::default(),
            quirks,
            in_flight: 0,
            requests: 0,
            next_rid: 1_000,
            deleted: VecDeque::new(),
        }
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

    /// Answers a request that is neither a cmdlet nor one of Graph's, and writes it into the journal.
    pub fn answer_other(&mut self, http: &Http, reply: Reply) -> Delivery {
        let outcome = Outcome {
            status: reply.status,
            ..Outcome::default()
        };
        let kind = JournalKind::Other {
            method: http.method.to_string(),
            path: http.path.clone(),
        };
        self.record(Actor::App, Some(http.number), kind, outcome);
        Delivery::Whole(reply)
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

    /// A write to one store of sign-in, and to the other where this tenant carries it over. Answers whether anything is
    /// different now.
    pub fn set_account_enabled(
        &mut self,
        handle: Handle,
        written: SignInStore,
        enabled: bool,
        origin: Origin,
    ) -> bool {
        let carried_over = match written {
            SignInStore::Entra => (SignInStore::Exchange, self.quirks.sign_in.entra_shows_in_exchange),
            SignInStore::Exchange => (SignInStore::Entra, self.quirks.sign_in.exchange_shows_in_entra),
        };
        let mut changed = self.write_sign_in(handle, written, enabled, origin);
        if let (other, true) = carried_over {
            changed |= self.write_sign_in(handle, other, enabled, origin);
        }
        changed
    }

    /// Writes to one store alone.
    pub fn write_sign_in(
        &mut self,
        handle: Handle,
        store: SignInStore,
        enabled: bool,
        origin: Origin,
    ) -> bool {
        let Some(newest) = self.directory.seen(handle, View::Newest) else {
            return false;
        };
        let before = match store {
            SignInStore::Entra => newest.account_enabled,
            SignInStore::Exchange => !newest.disabled_in_exchange,
        };
        if before == enabled {
            return false;
        }
        let now = self.elapsed();
        let visibility = self.faults.visibility(origin, false, now);
        self.directory
            .set_account_enabled(handle, store, enabled, visibility, now);
        true
    }

    /// Deletes an object so that it can be restored; its addresses stay taken.
    pub fn soft_delete(&mut self, handle: Handle, origin: Origin) -> bool {
        let now = self.now();
        let changed = self.update(handle, origin, |object| object.soft_deleted = Some(now));
        if changed {
            self.deleted.push_back((self.elapsed() + RECOVERABLE, handle));
        }
        changed
    }

    /// Takes a deletion back.
    pub fn restore(&mut self, handle: Handle, origin: Origin) -> bool {
        self.update(handle, origin, |object| object.soft_deleted = None)
    }

    pub fn purge(&mut self, handle: Handle, origin: Origin) {
        let now = self.elapsed();
        let visibility = self.faults.visibility(origin, false, now);
        self.directory.purge(handle, visibility, now);
    }

    /// Purges what was deleted and whose time is over.
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
    pub fn holder_of<'a>(
        &self,
        addresses: &'a [String],
        except: Option<Handle>,
    ) -> Option<(&'a str, ObjectView)> {
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

    /// Every object as it is now, with what no cmdlet shows.
    pub fn dump(&self) -> Value {
        let objects: Vec<Value> = self
            .directory
            .all(View::Newest)
            .map(|seen| {
                let mut object = serde_json::to_value(&*seen.object).unwrap_or_default();
                if let Value::Object(fields) = &mut object {
                    fields.insert("accountEnabled".to_owned(), seen.account_enabled.into());
                    fields.insert("accountDisabled".to_owned(), seen.disabled_in_exchange.into());
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
            "quirks": self.quirks,
            "faults": self.faults.current(),
            "faultCounts": self.faults.counts(),
            "objects": objects,
        })
    }
}
