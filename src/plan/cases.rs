//! Cases of the planner that are worth naming.

use super::testing::{address, desired, entry, identity, our_mailbox, person, sid, wants};
use super::{Account, Asked, Step, plan};
use crate::ledger::{Ledger, RecordedGrant};
use crate::mail::{Holder, Right};
use crate::setting::{Source, Value};

fn recorded(who: u8, right: Right, auto_mapping: Option<bool>) -> RecordedGrant {
    RecordedGrant {
        object_id: person(who),
        right,
        sid: Some(sid(who)),
        auto_mapping,
        remapping: false,
        member: address(&format!("person{who}")),
        also: Vec::new(),
        by: vec!["team".to_owned()],
        at: None,
        pending: false,
        until: None,
    }
}

#[test]
fn a_member_who_cannot_be_resolved_any_more_keeps_what_was_granted() {
    let mut wanted = desired();
    for right in [Right::FullAccess, Right::SendAs, Right::SendOnBehalf] {
        wanted.kept.insert((address("person1"), right));
    }
    let ledger = Ledger {
        grants: vec![recorded(1, Right::SendAs, None)],
        ..Ledger::default()
    };
    let planned = plan(&wanted, &our_mailbox(), &ledger);
    assert_eq!(planned.steps, vec![]);
    assert_eq!(planned.settled.grants, ledger.grants);
}

#[test]
fn a_revocation_is_sent_even_when_a_replica_shows_no_grant() {
    let ledger = Ledger {
        grants: vec![recorded(1, Right::FullAccess, Some(true))],
        ..Ledger::default()
    };
    let planned = plan(&desired(), &our_mailbox(), &ledger);
    assert_eq!(
        planned.steps,
        vec![Step::Revoke {
            object_id: person(1),
            right: Right::FullAccess
        }]
    );
    assert_eq!(
        planned.announced.grants, ledger.grants,
        "remembered until it is done"
    );
    assert_eq!(planned.settled.grants, vec![]);
}

#[test]
fn changing_automapping_is_announced_and_repeated_after_a_crash_between_its_halves() {
    let mut wanted = desired();
    wants(&mut wanted, 1, Right::FullAccess, true);
    let mut there = our_mailbox();
    there.full_access.entries.push(entry(1, &["FullAccess"]));
    let ledger = Ledger {
        grants: vec![recorded(1, Right::FullAccess, Some(false))],
        ..Ledger::default()
    };
    let planned = plan(&wanted, &there, &ledger);
    let remap = vec![Step::Remap {
        object_id: person(1),
        auto_mapping: true,
    }];
    assert_eq!(planned.steps, remap);
    assert!(planned.announced.grants[0].remapping);
    assert_eq!(
        plan(&wanted, &there, &planned.announced).steps,
        remap,
        "crashed before the first half"
    );
    there.full_access.entries.clear();
    let Some(Ok(shown)) = there.settings.get_mut(&Source::Mailbox) else {
        unreachable!()
    };
    shown.extend([("DisplayName", Value::text("Drifted"))]);
    let planned = plan(&wanted, &there, &planned.announced);
    assert!(planned.announced.grants[0].remapping, "until it is granted again");
    let steps = planned.steps;
    let again = Step::Grant {
        object_id: person(1),
        right: Right::FullAccess,
        auto_mapping: true,
    };
    assert_eq!(
        steps[0], again,
        "crashed between the halves: access comes back first"
    );
}

#[test]
fn when_nobody_wants_automapping_one_call_clears_it_unless_a_stranger_might_want_it() {
    let mut wanted = desired();
    let mut there = our_mailbox();
    let mut ledger = Ledger::default();
    for who in 1..=3 {
        wants(&mut wanted, who, Right::FullAccess, false);
        there.full_access.entries.push(entry(who, &["FullAccess"]));
        ledger.grants.push(recorded(who, Right::FullAccess, Some(true)));
    }
    ledger.grants[2].auto_mapping = None;
    let planned = plan(&wanted, &there, &ledger);
    assert_eq!(planned.steps, vec![Step::ClearAutoMapping]);
    assert!(
        planned
            .settled
            .grants
            .iter()
            .all(|g| g.auto_mapping == Some(false))
    );
    assert_eq!(
        plan(&wanted, &there, &planned.announced).steps,
        planned.steps,
        "a crash repeats it"
    );
    assert_eq!(plan(&wanted, &there, &planned.settled).steps, vec![]);
    there.full_access.entries.push(entry(7, &["FullAccess"]));
    there.identities.insert(Holder::Sid(sid(7)), identity(7));
    let pairs = plan(&wanted, &there, &ledger).steps;
    assert!(
        matches!(pairs[..], [Step::Remap { .. }, Step::Remap { .. }]),
        "{pairs:?}"
    );
}

#[test]
fn a_grant_that_was_there_before_becomes_ours_without_a_write_and_its_automapping_is_unknown() {
    let mut wanted = desired();
    wants(&mut wanted, 1, Right::FullAccess, true);
    let mut there = our_mailbox();
    there.full_access.asked.insert(person(1), Asked::One(sid(1)));
    let planned = plan(&wanted, &there, &Ledger::default());
    assert_eq!(planned.steps, vec![]);
    assert_eq!(planned.settled.grants, vec![recorded(1, Right::FullAccess, None)]);
}

#[test]
fn what_exchange_acknowledged_a_moment_ago_is_not_sent_again_but_a_block_is() {
    let mut wanted = desired();
    wants(&mut wanted, 1, Right::SendAs, true);
    let mut there = our_mailbox();
    there.account_disabled = false;
    there.account = Account::Open;
    let ledger = Ledger {
        grants: vec![recorded(2, Right::SendAs, None)],
        ..Ledger::default()
    };
    let planned = plan(&wanted, &there, &ledger);
    let acknowledged = planned.steps.iter().flat_map(Step::changes).collect();
    let (rest, left_out) = planned.without(&acknowledged);
    assert!(left_out);
    assert_eq!(
        rest.describe(),
        ["block sign-in in Entra", "revoke the sessions of its account"]
    );
}
