//! Properties of the planner on random mailboxes.
//!
//! Longer than others: one generator of random mailboxes serves all the properties.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::settings_tests::{shown, wishes};
use super::testing::{address, desired, entry, identity, our_mailbox, person, sid, wants};
use super::{
    Account, Asked, Cause, Change, Desired, Family, Holders, Identity, Observed, OnBehalf, Plan, Step, parts,
    plan,
};
use crate::api::{SignIn, SignInControl};
use crate::ledger::{Ledger, RecordedGrant};
use crate::mail::{Holder, ObjectId, Right, SmtpAddress};

/// What Exchange really stores: the planner sees it through `observe`.
#[derive(Clone, Debug, PartialEq)]
struct Tenant {
    mailbox: Observed,
    /// Somebody signed in while the account was open.
    is_signed_in: bool,
    full_access: BTreeMap<u8, bool>,
    send_as: BTreeSet<u8>,
    on_behalf: BTreeSet<u8>,
}

fn number(id: &ObjectId) -> u8 {
    id.to_string()[34..].parse().unwrap()
}

impl Tenant {
    /// A read of everything, with a question for each person whose SID nobody knows, as fetch does.
    fn observe(&self, desired: &Desired, ledger: &Ledger) -> Observed {
        let known: BTreeSet<ObjectId> = ledger
            .grants
            .iter()
            .filter(|g| g.sid.is_some())
            .map(|g| g.object_id)
            .collect();
        let asked = |holds: &dyn Fn(u8) -> bool| -> BTreeMap<ObjectId, Asked> {
            let declared = desired.grants.keys().map(|(id, _)| *id);
            let recorded = ledger.grants.iter().map(|g| g.object_id);
            let open = declared.chain(recorded).filter(|id| !known.contains(id));
            let answer = |id: ObjectId| {
                if holds(number(&id)) {
                    Asked::One(sid(number(&id)))
                } else {
                    Asked::Nothing
                }
            };
            open.map(|id| (id, answer(id))).collect()
        };
        Observed {
            full_access: Holders {
                entries: self
                    .full_access
                    .keys()
                    .map(|n| entry(*n, &["FullAccess"]))
                    .collect(),
                asked: asked(&|n| self.full_access.contains_key(&n)),
            },
            send_as: Holders {
                entries: self.send_as.iter().map(|n| entry(*n, &["SendAs"])).collect(),
                asked: asked(&|n| self.send_as.contains(&n)),
            },
            on_behalf: OnBehalf {
                ids: self.on_behalf.iter().map(|n| person(*n)).collect(),
                untied: 0,
            },
            identities: self.identities(),
            ..self.mailbox.clone()
        }
    }

    /// Everybody below 10 exists; the accounts of the others are gone.
    fn identities(&self) -> BTreeMap<Holder, Identity> {
        let of = |n: &u8| if *n < 10 { identity(*n) } else { Identity::Gone };
        let sids = self.full_access.keys().chain(&self.send_as);
        let of_rows = sids.map(|n| (Holder::Sid(sid(*n)), of(n)));
        let of_ids = self
            .on_behalf
            .iter()
            .map(|n| (Holder::ObjectId(person(*n)), of(n)));
        of_rows.chain(of_ids).collect()
    }

    fn holds(&self, right: Right, who: u8) -> bool {
        match right {
            Right::FullAccess => self.full_access.contains_key(&who),
            Right::SendAs => self.send_as.contains(&who),
            Right::SendOnBehalf => self.on_behalf.contains(&who),
        }
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Revoke {
                object_id,
                right: Right::FullAccess,
            } => {
                self.full_access.remove(&number(object_id));
            }
            Step::Revoke { object_id, right: _ } => {
                self.send_as.remove(&number(object_id));
            }
            Step::Grant {
                object_id,
                right: Right::FullAccess,
                auto_mapping,
            } => {
                // Like Exchange: a repeat changes nothing, automapping included.
                self.full_access.entry(number(object_id)).or_insert(*auto_mapping);
            }
            Step::Grant { object_id, .. } => {
                self.send_as.insert(number(object_id));
            }
            Step::Remap {
                object_id,
                auto_mapping,
            } => {
                self.full_access.insert(number(object_id), *auto_mapping);
            }
            Step::ClearAutoMapping => self.full_access.values_mut().for_each(|mapped| *mapped = false),
            Step::Evict(eviction) => {
                let Holder::Sid(sid) = &eviction.holder else {
                    panic!("rows are removed by SID")
                };
                let who: u8 = sid.as_str().rsplit('-').next().unwrap().parse().unwrap();
                match eviction.store {
                    Right::FullAccess => self.full_access.remove(&who).is_some(),
                    Right::SendAs => self.send_as.remove(&who),
                    Right::SendOnBehalf => panic!("Send on Behalf has no rows"),
                };
            }
            Step::SetDirectorySignIn { allowed } => {
                self.mailbox.account = if *allowed { Account::Open } else { Account::Blocked };
            }
            Step::SignOut => self.is_signed_in = false,
            Step::Set { call: _, changes } => changes.iter().for_each(|change| self.set(change)),
        }
    }

    fn set(&mut self, change: &Change) {
        let mailbox = &mut self.mailbox;
        match change.clone() {
            Change::Marker { text, .. } => mailbox.attribute = text,
            Change::SignIn { allowed, through: _ } => {
                mailbox.account_disabled = !allowed;
                if mailbox.account.is_open().is_some() {
                    mailbox.account = if allowed { Account::Open } else { Account::Blocked };
                }
            }
            Change::Primary(primary) => {
                mailbox.addresses.insert(primary.clone());
                mailbox.primary = primary;
            }
            Change::AddressAdded(address) => {
                mailbox.addresses.insert(address);
            }
            Change::AddressRemoved(gone) => {
                assert_ne!(
                    gone, mailbox.primary,
                    "Exchange refuses to remove the primary address"
                );
                mailbox.addresses.remove(&gone);
            }
            Change::Granted(id, Right::SendOnBehalf) => {
                self.on_behalf.insert(number(&id));
            }
            Change::Revoked(id, Right::SendOnBehalf) => {
                self.on_behalf.remove(&number(&id));
            }
            Change::Set { family, property, to } => {
                let source = Family::named(family).unwrap().call.shown_by();
                let shown = mailbox.settings.get_mut(&source).unwrap().as_mut().unwrap();
                shown.extend([(property.parameter, to)]);
            }
            other @ (Change::Revoked(..)
            | Change::Granted(..)
            | Change::Evicted(..)
            | Change::Remapped(..)
            | Change::AutoMappingCleared
            | Change::SignedOut) => panic!("{other} is not part of a Set-Mailbox"),
        }
    }
}

fn rights() -> impl Strategy<Value = Right> {
    prop_oneof![
        Just(Right::FullAccess),
        Just(Right::SendAs),
        Just(Right::SendOnBehalf)
    ]
}

fn people() -> impl Strategy<Value = BTreeSet<u8>> {
    proptest::collection::btree_set(1u8..8, 0..5)
}

fn some_addresses() -> impl Strategy<Value = BTreeSet<SmtpAddress>> {
    proptest::collection::btree_set(
        prop_oneof![Just("info"), Just("help"), Just("old"), Just("sales")].prop_map(address),
        0..3,
    )
}

prop_compose! {
    fn any_desired()(
        grants in proptest::collection::btree_set((1u8..8, rights(), any::<bool>()), 0..8),
        aliases in some_addresses(),
        primary in prop_oneof![Just("sales"), Just("orders")],
        settings in wishes(),
        allowed in any::<bool>(),
        graph in any::<bool>(),
    ) -> Desired {
        let mut wanted = Desired {
            aliases,
            address: address(primary),
            settings,
            sign_in: if allowed { SignIn::Allowed } else { SignIn::Blocked },
            sign_in_control: if graph { SignInControl::Graph } else { SignInControl::Exchange },
            ..desired()
        };
        for (who, right, mapping) in grants {
            wants(&mut wanted, who, right, mapping);
        }
        wanted
    }
}

prop_compose! {
    fn any_tenant()(
        full_access in proptest::collection::btree_map(1u8..12, any::<bool>(), 0..6),
        send_as in people(),
        on_behalf in people(),
        extra in some_addresses(),
        account_disabled in any::<bool>(),
        directory in proptest::option::of(any::<bool>()),
        settings in shown(),
    ) -> Tenant {
        let mut mailbox = our_mailbox();
        mailbox.settings = settings;
        mailbox.addresses.extend(extra);
        mailbox.account_disabled = account_disabled;
        let is_signed_in = directory == Some(true);
        mailbox.account = match directory {
            Some(true) => Account::Open,
            Some(false) => Account::Blocked,
            None => Account::Denied("no permission".to_owned()),
        };
        Tenant { mailbox, is_signed_in, full_access, send_as, on_behalf }
    }
}

/// A ledger of what an earlier manifest granted, true to the tenant or not.
fn any_ledger() -> impl Strategy<Value = Ledger> {
    let grant = (
        1u8..8,
        rights(),
        any::<bool>(),
        proptest::option::of(any::<bool>()),
    );
    (proptest::collection::vec(grant, 0..8), some_addresses()).prop_map(|(grants, addresses)| Ledger {
        addresses: addresses.into_iter().collect(),
        grants: grants
            .into_iter()
            .map(|(who, right, knows_sid, auto_mapping)| RecordedGrant {
                object_id: person(who),
                right,
                sid: (knows_sid && right != Right::SendOnBehalf).then(|| sid(who)),
                auto_mapping: auto_mapping.filter(|_| right == Right::FullAccess),
                remapping: false,
                member: address(&format!("person{who}")),
                also: Vec::new(),
                by: vec!["team".to_owned()],
                at: None,
                pending: false,
                until: None,
            })
            .collect::<Vec<_>>(),
        ..Ledger::default()
    })
}

fn run(tenant: &mut Tenant, desired: &Desired, ledger: &Ledger) -> Plan {
    let planned = plan(desired, &tenant.observe(desired, ledger), ledger);
    for step in &planned.steps {
        tenant.apply(step);
    }
    planned
}

proptest! {
    #[test]
    fn applying_a_plan_yields_what_is_desired_and_the_next_plan_is_empty(
        desired in any_desired(), mut tenant in any_tenant(), ledger in any_ledger()
    ) {
        let first = run(&mut tenant, &desired, &ledger);
        for (id, right) in desired.grants.keys() {
            let holds = match right {
                Right::FullAccess => tenant.full_access.contains_key(&number(id)),
                Right::SendAs => tenant.send_as.contains(&number(id)),
                Right::SendOnBehalf => tenant.on_behalf.contains(&number(id)),
            };
            prop_assert!(holds, "{right} of {id}");
        }
        let wants_block = desired.sign_in == SignIn::Blocked;
        if let Some(open) = tenant.mailbox.account.is_open() {
            prop_assert_eq!(open, !wants_block);
        } else {
            prop_assert_eq!(tenant.mailbox.account_disabled, wants_block, "the best that can be done");
        }
        prop_assert!(!wants_block || !tenant.is_signed_in, "sessions outlive the block");
        prop_assert!(desired.aliases.iter().all(|a| tenant.mailbox.addresses.contains(a)));
        prop_assert_eq!(&tenant.mailbox.primary, &desired.address);
        let second = run(&mut tenant, &desired, &first.settled);
        prop_assert_eq!(second.steps, vec![]);
    }

    #[test]
    fn a_crash_after_any_step_ends_in_the_same_state(
        desired in any_desired(), tenant in any_tenant(), ledger in any_ledger(), at in 0usize..30
    ) {
        let mut undisturbed = tenant.clone();
        run(&mut undisturbed, &desired, &ledger);
        let mut crashed = tenant;
        let planned = plan(&desired, &crashed.observe(&desired, &ledger), &ledger);
        for step in planned.steps.iter().take(at) {
            crashed.apply(step);
        }
        run(&mut crashed, &desired, &planned.announced);
        prop_assert_eq!(crashed, undisturbed);
    }

    #[test]
    fn nothing_that_is_neither_declared_nor_ours_appears_in_a_plan(
        desired in any_desired(), tenant in any_tenant(), ledger in any_ledger()
    ) {
        let planned = plan(&desired, &tenant.observe(&desired, &ledger), &ledger);
        let ours = |id: ObjectId, right: Right| {
            desired.grants.contains_key(&(id, right))
                || ledger.grants.iter().any(|g| g.object_id == id && g.right == right)
        };
        for step in &planned.steps {
            match step {
                Step::Revoke { object_id, right } | Step::Grant { object_id, right, .. } => {
                    prop_assert!(ours(*object_id, *right));
                }
                Step::Remap { object_id, .. } => prop_assert!(ours(*object_id, Right::FullAccess)),
                Step::ClearAutoMapping => {
                    let strangers = tenant.full_access.keys().any(|n| !ours(person(*n), Right::FullAccess));
                    prop_assert!(!strangers, "it would clear a stranger's automapping");
                }
                Step::Evict(_) => prop_assert!(false, "Additive evicts nobody"),
                Step::Set { call: _, changes } => {
                    for change in changes {
                        match change {
                            Change::Granted(id, right) | Change::Revoked(id, right) => {
                                prop_assert!(ours(*id, *right) && *right == Right::SendOnBehalf);
                            }
                            Change::AddressRemoved(address) => prop_assert!(ledger.addresses.contains(address)),
                            Change::AddressAdded(address) => prop_assert!(desired.aliases.contains(address)),
                            Change::Set { family, .. } => prop_assert!(desired.settings.contains_key(family)),
                            Change::Marker { .. } | Change::SignIn { .. } | Change::Primary(_) => {}
                            Change::Evicted(..)
                            | Change::Remapped(..)
                            | Change::AutoMappingCleared
                            | Change::SignedOut => {
                                prop_assert!(false, "{} is not part of a Set-Mailbox", change);
                            }
                        }
                    }
                }
                Step::SetDirectorySignIn { .. } | Step::SignOut => {}
            }
        }
    }

    #[test]
    fn exclusive_leaves_exactly_what_is_declared_and_what_is_ignored_or_protected(
        mut desired in any_desired(), mut tenant in any_tenant(), ledger in any_ledger(),
        ignored in people(), protected in people()
    ) {
        desired.policy.exclusive = true;
        desired.policy.ignore = ignored.iter().map(|n| format!("person{n}@contoso.com").parse().unwrap()).collect();
        desired.policy.protected.ids = protected.iter().map(|n| person(*n)).collect();
        let before = tenant.clone();
        let first = run(&mut tenant, &desired, &ledger);
        // A leftover stays until the SID of everybody declared is known: it might be one of theirs.
        let second = run(&mut tenant, &desired, &first.settled);
        prop_assert!(second.causes.values().all(|cause| *cause == Cause::Orphaned));
        for right in [Right::FullAccess, Right::SendAs, Right::SendOnBehalf] {
            for who in 1u8..12 {
                let wanted = desired.grants.contains_key(&(person(who), right));
                let recorded = ledger.grants.iter().any(|g| g.object_id == person(who) && g.right == right);
                // What we granted is revoked with its declaration, ignored or not; protected people keep everything.
                let kept = protected.contains(&who) || (ignored.contains(&who) && !recorded);
                let stays = wanted || (before.holds(right, who) && kept && who < 10);
                prop_assert_eq!(tenant.holds(right, who), stays, "{} of person {}", right, who);
            }
        }
        let third = run(&mut tenant, &desired, &second.settled);
        prop_assert_eq!(third.steps, vec![]);
    }

    #[test]
    fn additive_leaves_every_stranger_as_they_were(
        desired in any_desired(), mut tenant in any_tenant(), ledger in any_ledger()
    ) {
        let before = tenant.clone();
        run(&mut tenant, &desired, &ledger);
        for right in [Right::FullAccess, Right::SendAs, Right::SendOnBehalf] {
            for who in 1u8..12 {
                let ours = desired.grants.contains_key(&(person(who), right))
                    || ledger.grants.iter().any(|g| g.object_id == person(who) && g.right == right);
                if !ours {
                    prop_assert_eq!(tenant.holds(right, who), before.holds(right, who));
                }
            }
        }
    }

    #[test]
    fn whoever_has_left_loses_everything_and_nobody_else_does(
        mut desired in any_desired(), mut tenant in any_tenant(), ledger in any_ledger(), who in 1u8..10
    ) {
        desired.grants.retain(|(id, _), _| *id != person(who));
        desired.policy.departed.ids.insert(person(who));
        desired.policy.protected.ids.insert(person(who));
        let before = tenant.clone();
        run(&mut tenant, &desired, &ledger);
        for right in [Right::FullAccess, Right::SendAs, Right::SendOnBehalf] {
            prop_assert!(!tenant.holds(right, who), "{}", right);
            let stranger = |n: u8| {
                n != who && !desired.grants.contains_key(&(person(n), right))
                    && !ledger.grants.iter().any(|g| g.object_id == person(n) && g.right == right)
            };
            for other in (1u8..12).filter(|n| stranger(*n)) {
                prop_assert_eq!(tenant.holds(right, other), before.holds(right, other));
            }
        }
    }

    #[test]
    fn a_refused_mailbox_loses_what_its_plan_takes_away_and_nothing_else_happens_to_it(
        desired in any_desired(),
        tenant in any_tenant(),
        ledger in any_ledger(),
    ) {
        let whole = plan(&desired, &tenant.observe(&desired, &ledger), &ledger);
        let only = whole.only_taking_away(&ledger);
        let takes = |change: &Change| {
            let names = ledger.intent.is_some() && change.names_a_new_mailbox();
            names || change.removes_a_grant() || change.closes_sign_in()
        };
        let wanted: BTreeSet<Change> = whole.changes().into_iter().filter(takes).collect();
        prop_assert_eq!(only.changes(), wanted);
        let owes = Ledger { sign_out_owed: only.announced.sign_out_owed, ..ledger.clone() };
        prop_assert_eq!(&only.announced, &owes);
        let gone: Vec<&RecordedGrant> = ledger.grants.iter().filter(|grant| !only.settled.grants.contains(grant)).collect();
        let revoked = |grant: &&RecordedGrant| only.changes().contains(&Change::Revoked(grant.object_id, grant.right));
        prop_assert!(gone.iter().all(revoked));
        prop_assert!(!only.settled.grants.iter().any(|grant| revoked(&grant)));
        prop_assert_eq!((&only.settled.addresses, &only.settled.intent), (&ledger.addresses, &ledger.intent));
    }

    #[test]
    fn revocations_come_before_every_step_that_takes_nothing_away(
        desired in any_desired(), tenant in any_tenant(), ledger in any_ledger()
    ) {
        let planned = plan(&desired, &tenant.observe(&desired, &ledger), &ledger);
        let undeclared = |step: &Step| {
            if let Step::Revoke { object_id, right } = step {
                !desired.grants.contains_key(&(*object_id, *right))
            } else {
                step.revokes()
            }
        };
        let last = planned.steps.iter().rposition(undeclared);
        for step in planned.steps.iter().take(last.unwrap_or(0)) {
            prop_assert!(step.revokes(), "{step} stands before a revocation");
        }
    }

    #[test]
    fn the_parts_of_a_refused_set_are_the_whole_and_start_with_what_protects(
        desired in any_desired(), tenant in any_tenant(), ledger in any_ledger()
    ) {
        for step in plan(&desired, &tenant.observe(&desired, &ledger), &ledger).steps {
            let Step::Set { changes, .. } = step else { continue };
            let apart = parts(&changes);
            let mut whole = changes.clone();
            let mut together: Vec<_> = apart.iter().flat_map(|(_, part)| part.clone()).collect();
            whole.sort();
            together.sort();
            prop_assert_eq!(&whole, &together);
            if whole.iter().any(|change| matches!(change, Change::Marker { .. } | Change::SignIn { .. })) {
                prop_assert_eq!(apart[0].0, "marker and sign-in");
            }
        }
    }
}
