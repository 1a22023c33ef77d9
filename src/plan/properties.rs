//! Properties of the planner, and the cases worth naming.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::testing::{address, desired, our_mailbox, person, sid, wants};
use super::{Desired, Holders, Observed, OnBehalf, Plan, Settings, Step, plan};
use crate::api::{Record, RecordedGrant, SignIn, SignInControl};
use crate::mail::{ObjectId, Right, Sid, SmtpAddress};

/// What Exchange really stores: the planner sees it through `look`.
#[derive(Clone, Debug, PartialEq)]
struct Tenant {
    mailbox: Observed,
    full_access: BTreeMap<u8, bool>,
    send_as: BTreeSet<u8>,
    on_behalf: BTreeSet<u8>,
}

fn number(id: &ObjectId) -> u8 {
    id.to_string()[34..].parse().unwrap()
}

impl Tenant {
    /// A read of everything, with a question for each person whose SID nobody knows, as fetch does.
    fn look(&self, desired: &Desired, record: &Record) -> Observed {
        let known: BTreeSet<ObjectId> = record
            .grants
            .iter()
            .filter(|g| g.sid.is_some())
            .map(|g| g.object_id)
            .collect();
        let asked = |holds: &dyn Fn(u8) -> bool| -> BTreeMap<ObjectId, Option<Sid>> {
            let declared = desired.grants.keys().map(|(id, _)| *id);
            let recorded = record.grants.iter().map(|g| g.object_id);
            let open = declared.chain(recorded).filter(|id| !known.contains(id));
            open.map(|id| (id, holds(number(&id)).then(|| sid(number(&id)))))
                .collect()
        };
        Observed {
            full_access: Holders {
                sids: self.full_access.keys().map(|n| sid(*n)).collect(),
                asked: asked(&|n| self.full_access.contains_key(&n)),
            },
            send_as: Holders {
                sids: self.send_as.iter().map(|n| sid(*n)).collect(),
                asked: asked(&|n| self.send_as.contains(&n)),
            },
            on_behalf: OnBehalf {
                ids: self.on_behalf.iter().map(|n| person(*n)).collect(),
                untied: 0,
            },
            ..self.mailbox.clone()
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
            Step::SetDirectorySignIn { allowed } => {
                self.mailbox.directory_enabled = Some(*allowed);
                self.mailbox.account_disabled = !allowed;
            }
            Step::Set(settings) => self.set(settings.clone()),
        }
    }

    fn set(&mut self, settings: Settings) {
        let mailbox = &mut self.mailbox;
        if let Some((_, text)) = settings.marker {
            mailbox.attribute = text;
        }
        if let Some(disabled) = settings.account_disabled {
            mailbox.account_disabled = disabled;
            mailbox.directory_enabled = mailbox.directory_enabled.map(|_| !disabled);
        }
        if let Some(name) = settings.display_name {
            mailbox.display_name = name;
        }
        if let Some(alias) = settings.alias {
            mailbox.alias = alias.to_string();
        }
        if let Some(primary) = settings.primary {
            mailbox.addresses.insert(primary.clone());
            mailbox.primary = primary;
        }
        mailbox.addresses.extend(settings.add_addresses);
        for gone in &settings.remove_addresses {
            assert_ne!(
                *gone, mailbox.primary,
                "Exchange refuses to remove the primary address"
            );
            mailbox.addresses.remove(gone);
        }
        self.on_behalf.extend(settings.add_on_behalf.iter().map(number));
        for gone in &settings.remove_on_behalf {
            self.on_behalf.remove(&number(gone));
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
        name in prop_oneof![Just("Sales"), Just("Orders")],
        alias in proptest::option::of(prop_oneof![Just("sales"), Just("orders")]),
        allowed in any::<bool>(),
        graph in any::<bool>(),
    ) -> Desired {
        let mut wanted = Desired {
            aliases,
            address: address(primary),
            display_name: name.into(),
            alias: alias.map(|text| text.parse().unwrap()),
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
    ) -> Tenant {
        let mut mailbox = our_mailbox();
        mailbox.addresses.extend(extra);
        mailbox.account_disabled = account_disabled;
        mailbox.directory_enabled = directory;
        Tenant { mailbox, full_access, send_as, on_behalf }
    }
}

/// A record of what an earlier manifest granted, true to the tenant or not.
fn any_record() -> impl Strategy<Value = Record> {
    let grant = (
        1u8..8,
        rights(),
        any::<bool>(),
        proptest::option::of(any::<bool>()),
    );
    (proptest::collection::vec(grant, 0..8), some_addresses()).prop_map(|(grants, addresses)| Record {
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
            })
            .collect::<Vec<_>>(),
        ..Record::default()
    })
}

fn run(tenant: &mut Tenant, desired: &Desired, record: &Record) -> Plan {
    let planned = plan(desired, &tenant.look(desired, record), record);
    for step in &planned.steps {
        tenant.apply(step);
    }
    planned
}

proptest! {
    #[test]
    fn applying_a_plan_yields_what_is_desired_and_the_next_plan_is_empty(
        desired in any_desired(), mut tenant in any_tenant(), record in any_record()
    ) {
        let first = run(&mut tenant, &desired, &record);
        for (id, right) in desired.grants.keys() {
            let holds = match right {
                Right::FullAccess => tenant.full_access.contains_key(&number(id)),
                Right::SendAs => tenant.send_as.contains(&number(id)),
                Right::SendOnBehalf => tenant.on_behalf.contains(&number(id)),
            };
            prop_assert!(holds, "{right} of {id}");
        }
        prop_assert_eq!(tenant.mailbox.sign_in_is_blocked(), desired.sign_in == SignIn::Blocked);
        prop_assert!(desired.aliases.iter().all(|a| tenant.mailbox.addresses.contains(a)));
        prop_assert_eq!(&tenant.mailbox.primary, &desired.address);
        let second = run(&mut tenant, &desired, &first.settled);
        prop_assert_eq!(second.steps, vec![]);
    }

    #[test]
    fn a_crash_after_any_step_ends_in_the_same_state(
        desired in any_desired(), tenant in any_tenant(), record in any_record(), at in 0usize..30
    ) {
        let mut undisturbed = tenant.clone();
        run(&mut undisturbed, &desired, &record);
        let mut crashed = tenant;
        let planned = plan(&desired, &crashed.look(&desired, &record), &record);
        for step in planned.steps.iter().take(at) {
            crashed.apply(step);
        }
        run(&mut crashed, &desired, &planned.announced);
        prop_assert_eq!(crashed, undisturbed);
    }

    #[test]
    fn nothing_that_is_neither_declared_nor_ours_appears_in_a_plan(
        desired in any_desired(), tenant in any_tenant(), record in any_record()
    ) {
        let planned = plan(&desired, &tenant.look(&desired, &record), &record);
        let ours = |id: ObjectId, right: Right| {
            desired.grants.contains_key(&(id, right))
                || record.grants.iter().any(|g| g.object_id == id && g.right == right)
        };
        for step in &planned.steps {
            match step {
                Step::Revoke { object_id, right } | Step::Grant { object_id, right, .. } => {
                    prop_assert!(ours(*object_id, *right));
                }
                Step::Set(settings) => {
                    let on_behalf = settings.add_on_behalf.iter().chain(&settings.remove_on_behalf);
                    prop_assert!(on_behalf.copied().all(|id| ours(id, Right::SendOnBehalf)));
                    prop_assert!(settings.remove_addresses.iter().all(|a| record.addresses.contains(a)));
                    prop_assert!(settings.add_addresses.iter().all(|a| desired.aliases.contains(a)));
                }
                Step::SetDirectorySignIn { .. } => {}
            }
        }
    }

    #[test]
    fn revocations_come_before_every_step_that_takes_nothing_away(
        desired in any_desired(), tenant in any_tenant(), record in any_record()
    ) {
        let planned = plan(&desired, &tenant.look(&desired, &record), &record);
        let undeclared = |step: &Step| match step {
            Step::Revoke { object_id, right } => !desired.grants.contains_key(&(*object_id, *right)),
            other => other.revokes(),
        };
        let last = planned.steps.iter().rposition(undeclared);
        for step in planned.steps.iter().take(last.unwrap_or(0)) {
            prop_assert!(step.revokes(), "{step} stands before a revocation");
        }
    }

    #[test]
    fn the_parts_of_a_refused_set_are_the_whole_and_start_with_what_protects(
        desired in any_desired(), tenant in any_tenant(), record in any_record()
    ) {
        for step in plan(&desired, &tenant.look(&desired, &record), &record).steps {
            let Step::Set(settings) = step else { continue };
            let families = settings.families();
            let parts: Vec<_> = families.iter().flat_map(|(_, part)| part.changes()).collect();
            let (mut whole, mut sorted) = (settings.changes(), parts.clone());
            whole.sort();
            sorted.sort();
            prop_assert_eq!(whole, sorted);
            if settings.marker.is_some() || settings.account_disabled.is_some() {
                prop_assert_eq!(families[0].0, "marker and sign-in");
            }
        }
    }
}

fn recorded(who: u8, right: Right, auto_mapping: Option<bool>) -> RecordedGrant {
    RecordedGrant {
        object_id: person(who),
        right,
        sid: Some(sid(who)),
        auto_mapping,
        remapping: false,
        member: address(&format!("person{who}")),
    }
}

#[test]
fn a_member_who_cannot_be_resolved_any_more_keeps_what_was_granted() {
    let mut wanted = desired();
    wanted.kept_members.insert(address("person1"));
    let record = Record {
        grants: vec![recorded(1, Right::SendAs, None)],
        ..Record::default()
    };
    let planned = plan(&wanted, &our_mailbox(), &record);
    assert_eq!(planned.steps, vec![]);
    assert_eq!(planned.settled.grants, record.grants);
}

#[test]
fn a_revocation_is_sent_even_when_a_replica_shows_no_grant() {
    let record = Record {
        grants: vec![recorded(1, Right::FullAccess, Some(true))],
        ..Record::default()
    };
    let planned = plan(&desired(), &our_mailbox(), &record);
    assert_eq!(
        planned.steps,
        vec![Step::Revoke {
            object_id: person(1),
            right: Right::FullAccess
        }]
    );
    assert_eq!(
        planned.announced.grants, record.grants,
        "remembered until it is done"
    );
    assert_eq!(planned.settled.grants, vec![]);
}

#[test]
fn changing_automapping_is_announced_and_repeated_after_a_crash_between_its_halves() {
    let mut wanted = desired();
    wants(&mut wanted, 1, Right::FullAccess, false);
    let mut there = our_mailbox();
    there.full_access.sids.insert(sid(1));
    let record = Record {
        grants: vec![recorded(1, Right::FullAccess, Some(true))],
        ..Record::default()
    };
    let planned = plan(&wanted, &there, &record);
    let pair = vec![
        Step::Revoke {
            object_id: person(1),
            right: Right::FullAccess,
        },
        Step::Grant {
            object_id: person(1),
            right: Right::FullAccess,
            auto_mapping: false,
        },
    ];
    assert_eq!(planned.steps, pair);
    assert!(planned.announced.grants[0].remapping);
    assert_eq!(
        plan(&wanted, &there, &planned.announced).steps,
        pair,
        "crashed before the first half"
    );
    there.full_access.sids.clear();
    assert_eq!(
        plan(&wanted, &there, &planned.announced).steps,
        pair[1..],
        "crashed between the halves"
    );
}

#[test]
fn a_grant_that_was_there_before_becomes_ours_without_a_write_and_its_automapping_is_unknown() {
    let mut wanted = desired();
    wants(&mut wanted, 1, Right::FullAccess, true);
    let mut there = our_mailbox();
    there.full_access.asked.insert(person(1), Some(sid(1)));
    let planned = plan(&wanted, &there, &Record::default());
    assert_eq!(planned.steps, vec![]);
    assert_eq!(planned.settled.grants, vec![recorded(1, Right::FullAccess, None)]);
}

#[test]
fn what_exchange_acknowledged_a_moment_ago_is_not_sent_again_but_a_block_and_a_revocation_are() {
    let mut wanted = desired();
    wants(&mut wanted, 1, Right::SendAs, true);
    let mut there = our_mailbox();
    there.account_disabled = false;
    there.directory_enabled = None;
    let record = Record {
        grants: vec![recorded(2, Right::SendAs, None)],
        ..Record::default()
    };
    let planned = plan(&wanted, &there, &record);
    let acknowledged = planned.steps.iter().flat_map(Step::changes).collect();
    let (rest, left_out) = planned.without(&acknowledged);
    assert!(left_out);
    assert_eq!(
        rest.describe(),
        [
            format!("revoke SendAs of {}", person(2)),
            "block sign-in".to_owned()
        ]
    );
}
