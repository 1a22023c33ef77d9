//! Everything that is known before Exchange is asked: the tenant, the mode, what is remembered, the manifests as written.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::outcome::{Outcome, PausedBy, Stall};
use super::prepared::Prepared;
use super::task::{Reconcile, Restraint, Standing};
use super::validate::{self, Admitted, Refused, Rival, Rivals, Surroundings, Validated};
use crate::api::condition::whole_seconds;
use crate::api::{Management, SharedMailbox};
use crate::controller::state::key::{MAILBOX, MailboxKey, Work};
use crate::controller::state::read_mailbox::{Claims, claims_of};
use crate::controller::state::share::MAILBOXES;
use crate::controller::state::tenants::{Tenant, TenantState};
use crate::lane::Lane;
use crate::mail::SmtpAddress;
use crate::plan::Purpose;

/// So long does a mailbox whose resource is gone count as one of its namespace's.
const RELEASED_COUNTS: SignedDuration = SignedDuration::from_hours(90 * 24);

impl Reconcile<'_> {
    pub(super) fn prepare(&mut self) -> Result<Prepared, Outcome> {
        match self.standing {
            Standing::Serves => {}
            Standing::BeingDeleted(_) => return self.prepare_deletion(),
            Standing::Gone => return self.prepare_without_resource(),
        }
        if let Some(why @ (Restraint::Deleting | Restraint::Unsettled(_))) = &self.restraint {
            let why = why.clone();
            return self.prepare_to_protect(why);
        }
        if self.object.spec.management == Management::Paused {
            return self.prepare_to_protect(Restraint::Paused);
        }
        let (prepared, refusal) = self.prepare_to_keep()?;
        let is_observed = self.object.spec.management == Management::Observe;
        let purpose = match &refusal {
            _ if is_observed && self.is_ours_to_protect(&prepared) => Purpose::Protect,
            None => Purpose::Keep,
            Some(_) => Purpose::OnlyRemove,
        };
        match refusal {
            // What an earlier resource left is no business of one that the rules refuse.
            Some(stall) if !self.has_mailbox(&prepared) => return Err(Outcome::Stalled(stall)),
            Some(stall) => self.restraint = Some(Restraint::Refused(stall)),
            None if purpose == Purpose::Protect => self.restraint = Some(Restraint::Observed),
            None => {}
        }
        self.take_up(&prepared.tenant);
        Ok(Prepared {
            purpose,
            writes: prepared.writes || purpose == Purpose::Protect,
            take_up: self.taken_up(),
            ..prepared
        })
    }

    /// Nothing is written but what protects, and what is reported stays true. `Err`: there is nothing to protect.
    fn prepare_to_protect(&mut self, why: Restraint) -> Result<Prepared, Outcome> {
        let prepared = match self.prepare_to_keep() {
            Ok((prepared, _)) => prepared,
            Err(_) if !self.has_own_ledger() => return Err(why.outcome()),
            Err(outcome) => return Err(outcome),
        };
        if !self.has_mailbox(&prepared) {
            return Err(why.outcome());
        }
        self.restraint = Some(why);
        self.take_up(&prepared.tenant);
        Ok(Prepared {
            purpose: Purpose::Protect,
            writes: self.is_ours_to_protect(&prepared),
            take_up: self.taken_up(),
            ..prepared
        })
    }

    /// Only a mailbox that was created, or announced, has something that could be taken away, or an account to block. One that
    /// is being taken over is not ours yet.
    fn has_mailbox(&self, prepared: &Prepared) -> bool {
        let Prepared { ledger, .. } = prepared;
        let is_begun = self.known_mailbox(ledger).is_some() || ledger.intent.is_some();
        self.has_own_ledger() && is_begun && ledger.adopting.is_none()
    }

    /// Whether what protects is done whatever the team writes: only the owner of the tenant stops it.
    fn is_ours_to_protect(&self, prepared: &Prepared) -> bool {
        self.has_mailbox(prepared) && prepared.tenant.management == Management::Enforce
    }

    /// `Err`: the mailbox was read for its facts alone.
    pub(super) fn may_plan(&self, validated: &Validated) -> Result<(), Outcome> {
        match &self.restraint {
            Some(why) if why.only_protects() && !validated.writes() => Err(why.outcome()),
            Some(_) | None => Ok(()),
        }
    }

    /// With why the manifest is refused, if it is.
    fn prepare_to_keep(&self) -> Result<(Prepared, Option<Stall>), Outcome> {
        let spec = &self.object.spec;
        let tenant = self.tenant()?;
        let management = spec.management.min(tenant.management);
        if tenant.management == Management::Paused {
            return Err(Outcome::Paused(PausedBy::Tenant));
        }
        self.check_ledger(&tenant)?;
        let ledger = self.remembered_ledger().unwrap_or_default();
        let (admitted, refusal) = match self.admit(&tenant) {
            Ok(admitted) => (admitted, None),
            Err(Refused {
                stall,
                declared: Some(declared),
            }) => (*declared, Some(stall)),
            Err(Refused {
                stall,
                declared: None,
            }) => return Err(Outcome::Stalled(stall)),
        };
        let owner = self.owner(&tenant);
        let state = &self.context.state;
        let prepared = Prepared {
            tenant,
            purpose: Purpose::Keep,
            writes: management == Management::Enforce,
            ledger,
            owner,
            admitted,
            remembered: self.remembered(),
            take_up: None,
            remove_orphans: self.wants_orphans_removed(),
            has_unread_permissions: {
                let index = state.index();
                index.has_unreadable_permissions(&self.key.namespace)
                    || index.room().has_permissions_beyond(self.key)
            },
            now: whole_seconds(self.context.clock.now()),
        };
        Ok((prepared, refusal))
    }

    /// A ledger that can't be read, or speaks of another tenant or cluster, stalls its mailbox.
    fn check_ledger(&self, tenant: &Tenant) -> Result<(), Outcome> {
        if let Some(unusable) = &self.ledger.unusable {
            return Err(Outcome::Stalled(unusable.stall(&tenant.cluster)));
        }
        let pinned = self.ledger.spec().map(|spec| spec.tenant.guid);
        match pinned.filter(|pinned| *pinned != tenant.guid) {
            None => Ok(()),
            Some(pinned) => Err(Outcome::Stalled(Stall::TenantChanged(format!(
                "the mailbox is in tenant {pinned} and the ExchangeTenant {:?} now leads to {}: nothing is read as absence \
                 and nothing is written; point it back",
                self.object.spec.tenant_ref.name, tenant.guid
            )))),
        }
    }

    fn tenant(&self) -> Result<Arc<Tenant>, Outcome> {
        let name = &self.object.spec.tenant_ref.name;
        match self.context.state.tenants.get(name) {
            // Whoever has left, or what no rule admits any more, is granted nothing by what was checked before.
            Some(TenantState::Ready(tenant)) if self.has_changed(&tenant) => Err(Outcome::TenantPending),
            Some(TenantState::Ready(tenant)) => Ok(tenant),
            // What was reported for this very spec stays: an outage of the tenant is the tenant's to report.
            Some(TenantState::NotReady { .. }) if self.is_reported() => Err(Outcome::TenantPending),
            Some(TenantState::NotReady { why, .. }) => Err(Outcome::Stalled(Stall::TenantNotReady(format!(
                "the ExchangeTenant {name:?} is not ready: {why}"
            )))),
            None if self.context.state.index().has_tenant(name) => Err(Outcome::TenantPending),
            None => Err(Outcome::Stalled(Stall::TenantNotFound(format!(
                "spec.tenantRef.name: there is no ExchangeTenant {name:?}; the platform team has to create it"
            )))),
        }
    }

    fn admit(&self, tenant: &Tenant) -> Result<Admitted, Refused> {
        let addresses = claims_of(&self.object);
        let judged = validate::judged_addresses(&addresses, &self.object, &tenant.initial_domain);
        let rules = tenant.rules.of(&self.key.namespace, &judged);
        // Whatever nobody may have, or has no room, costs no more: others are not even searched for.
        let over_limit = self.over_limit();
        let is_reached = rules.reach() && over_limit.is_none();
        let around = Surroundings {
            rules: &rules,
            earlier: if is_reached {
                self.earlier_than(&self.object)
            } else {
                Vec::new()
            },
            rival: if is_reached {
                self.rival(tenant, &addresses)
            } else {
                None
            },
            retained: if is_reached {
                self.retained(&addresses)
            } else {
                None
            },
            accepted_domains: &tenant.accepted_domains,
            over_limit,
            known: self
                .ledger
                .spec()
                .and_then(|spec| spec.mailbox.as_ref()?.address.clone()),
            departed: &tenant.departed.addresses,
            now: self.context.clock.now(),
        };
        validate::admit(&self.object, &self.permissions, &around)
    }

    /// That the namespace has no room for the manifest, as a sentence.
    fn over_limit(&self) -> Option<String> {
        let MailboxKey { namespace, name } = self.key;
        let is_beyond = self
            .context
            .state
            .index()
            .room()
            .is_beyond(MAILBOX, namespace, name);
        is_beyond.then(|| {
            format!(
                "the namespace has more than {} SharedMailboxes, or they take more room than {} addresses, and this is one \
                 of the youngest: nothing that it declares is written. Shorten or delete others, or use another namespace",
                MAILBOXES.objects, MAILBOXES.parts
            )
        })
    }

    /// Another resource that comes before this one for one of the addresses. Rules are evaluated while nobody waits for the
    /// index.
    fn rival(&self, tenant: &Tenant, addresses: &BTreeSet<SmtpAddress>) -> Option<Rival> {
        let mut rivals = Rivals::new(&tenant.rules);
        addresses.iter().find_map(|address| {
            let (mut after, mut judged) = (None, 0);
            while judged < validate::JUDGED {
                let preferred = {
                    let index = self.context.state.index();
                    validate::preferred(&index, &self.object, self.key, address, after)
                };
                judged += preferred.resources.len().max(1);
                let earlier = |other: &SharedMailbox| self.earlier_than(other);
                let rival = rivals.first(&preferred.resources, &self.object, address, earlier);
                if rival.is_some() {
                    return rival;
                }
                after = Some(preferred.after?);
            }
            None
        })
    }

    /// Addresses of the mailboxes that count for the namespace before this one, be their resources gone. None: it has its
    /// mailbox. What others have counts, and not what their manifests ask for: nobody gets room by asking for what no rule
    /// admits.
    fn earlier_than(&self, mailbox: &SharedMailbox) -> Vec<Arc<Claims>> {
        let Some(key) = MailboxKey::of(mailbox) else {
            return Vec::new();
        };
        let tenant = &mailbox.spec.tenant_ref.name;
        let guid = match self.context.state.tenants.get(tenant) {
            Some(TenantState::Ready(tenant)) => Some(tenant.guid),
            Some(TenantState::NotReady { .. }) | None => None,
        };
        let index = self.context.state.index();
        let ledgers = index.ledgers();
        if ledgers.has_mailbox(&key) {
            return Vec::new();
        }
        let since = self.context.clock.now().saturating_sub(RELEASED_COUNTS);
        let since = since.unwrap_or(Timestamp::MIN);
        let released = ledgers.released_in((tenant, guid), &key.namespace, since);
        let created = mailbox.metadata.creation_timestamp.as_ref();
        let own = (created.map(|time| time.0), key.clone());
        let others = index.in_namespace(&key.namespace);
        let others = others.filter(|(other, _)| **other != key);
        let counted = others.filter_map(|(other, seen)| {
            if ledgers.has_mailbox(other) {
                Some(Arc::new(ledgers.addresses_of(other)))
            } else {
                // One for which there is no room gets none.
                let waits = !seen.is_out && seen.rank(other) < own;
                waits.then(|| Arc::clone(&seen.claims))
            }
        });
        counted.chain(released.into_iter().map(Arc::new)).collect()
    }

    /// Who holds one of the addresses although their resource is gone, as a sentence. Perhaps their mailbox is gone, too:
    /// it is rechecked. What the own mailbox has it keeps, whatever an old ledger says that was restored.
    fn retained(&self, addresses: &BTreeSet<SmtpAddress>) -> Option<String> {
        let tenant = &self.object.spec.tenant_ref.name;
        let (address, key) = addresses.iter().find_map(|address| {
            let index = self.context.state.index();
            if index.ledgers().holds(self.key, address) {
                return None;
            }
            let is_of = |other: &str| other == tenant || !index.has_tenant(other);
            let holder = index.ledgers().released_holder(is_of, address, self.key)?;
            Some((address, holder.key.clone()))
        })?;
        let whose = if key.namespace == self.key.namespace {
            format!(
                "the SharedMailbox {:?} of this namespace, which is gone",
                key.name
            )
        } else {
            "a SharedMailbox of another namespace, which is gone".to_owned()
        };
        self.context
            .state
            .remember(&key, |memory| memory.address_is_wanted = true);
        self.context.enqueue(vec![(Work::Mailbox(key), Lane::Sweep)]);
        Some(format!(
            "{address} belongs to the mailbox of {whose}, and which was kept: apply that one again, take another \
             address, or have the platform team delete the mailbox in Exchange"
        ))
    }
}
