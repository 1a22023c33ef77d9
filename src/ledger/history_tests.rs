//! The history answers who had what, whatever happened, and stays small.
//!
//! Longer than others: one story of random changes is told to the ledger and kept beside it, and all tests ask both.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::history::BYTES;
use super::tests::{RIGHTS, address, any_ledger, at, empty, person, sid};
use super::{
    Access, HeldRemovals, Ledger, RecordedGrant, Removed, RightOf, WeighedRemoval, Why, Withdrawn, held_on,
    merge, note, note_restored, read, write,
};
use crate::api::{DefaultsState, GrantState, HistoryLine, MailboxLedger, MailboxLedgerSpec};
use crate::mail::{Holder, ObjectId, Right};

type Holders = BTreeMap<ObjectId, BTreeSet<Right>>;

const DAY: i64 = 24 * 60;

/// Written out here once more: whoever the object shows to have something.
fn holders(spec: &MailboxLedgerSpec) -> Holders {
    let mut holders = Holders::new();
    for person in &spec.people {
        for (right, entry) in &person.rights {
            if !matches!(entry.state, GrantState::Pending | GrantState::Removed) {
                holders.entry(person.id).or_default().insert(*right);
            }
        }
    }
    holders
}

fn step(spec: &mut MailboxLedgerSpec, ledger: &Ledger, why: &Why, now: Timestamp) {
    let before = spec.clone();
    write(spec, ledger);
    note(spec, Some(&before), why, now);
}

fn grant(id: ObjectId, right: Right) -> RecordedGrant {
    RecordedGrant {
        object_id: id,
        right,
        pending: false,
        sid: None,
        auto_mapping: None,
        remapping: false,
        member: address("anna"),
        also: Vec::new(),
        by: vec!["team".to_owned()],
        at: None,
        until: None,
    }
}

fn having(grants: impl IntoIterator<Item = RecordedGrant>) -> Ledger {
    Ledger {
        grants: grants.into_iter().collect(),
        ..Ledger::default()
    }
}

fn many(number: usize) -> ObjectId {
    format!("00000000-0000-4000-8000-{number:012}").parse().unwrap()
}

fn bytes(spec: &MailboxLedgerSpec) -> usize {
    serde_json::to_vec(&spec.history).unwrap().len()
}

fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// Each step's moment and who had what after it.
fn drive(steps: &[(Ledger, i64)]) -> (MailboxLedgerSpec, Vec<(Timestamp, Holders)>) {
    let mut spec = empty();
    let mut minute = 0;
    let mut shown = Vec::new();
    for (ledger, gap) in steps {
        minute += gap;
        step(&mut spec, ledger, &Why::default(), at(minute));
        shown.push((at(minute), holders(&spec)));
    }
    (spec, shown)
}

fn steps(gap: impl Strategy<Value = i64> + Clone) -> impl Strategy<Value = Vec<(Ledger, i64)>> {
    proptest::collection::vec((any_ledger(), gap), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_history_tells_who_had_what_after_each_write(steps in steps(DAY..4 * DAY)) {
        let (spec, shown) = drive(&steps);
        prop_assert_eq!(held_on(&spec, shown[0].0 - SignedDuration::from_secs(1)), Access::Unknown);
        for (number, (moment, holders)) in shown.iter().enumerate() {
            prop_assert_eq!(held_on(&spec, *moment), Access::Known(holders.clone()));
            if let Some((next, _)) = shown.get(number + 1) {
                let before = *next - SignedDuration::from_secs(1);
                prop_assert_eq!(held_on(&spec, before), Access::Known(holders.clone()), "until the next write");
            }
        }
    }

    #[test]
    fn however_often_rights_change_within_a_day_its_end_is_exact(steps in steps(0..10_i64 * 60)) {
        let (spec, shown) = drive(&steps);
        for (number, (moment, holders)) in shown.iter().enumerate() {
            let is_last = shown.get(number + 1).is_none_or(|(next, _)| day(*next) != day(*moment));
            let is_collapsed = spec.history.iter().any(|line| line.n > 1 && day(line.at) == day(*moment));
            let is_alone = shown.get(number + 1).is_none_or(|(next, _)| next != moment);
            if is_last || (!is_collapsed && is_alone) {
                prop_assert_eq!(held_on(&spec, *moment), Access::Known(holders.clone()));
            }
        }
    }

    #[test]
    fn each_person_right_and_cause_have_one_line_a_day(steps in steps(0..10_i64 * 60)) {
        let (spec, _) = drive(&steps);
        let mut seen = BTreeSet::new();
        for line in &spec.history {
            for id in &line.ids {
                let is_new = seen.insert((day(line.at), line.right, line.cause.clone(), *id));
                prop_assert!(is_new, "twice: {line:?}");
            }
        }
    }

    #[test]
    fn no_change_is_no_line(ledger in any_ledger()) {
        let mut spec = empty();
        step(&mut spec, &ledger, &Why::default(), at(0));
        let once = spec.history.clone();
        let again = read(&spec).unwrap();
        step(&mut spec, &again, &Why::default(), at(5));
        prop_assert_eq!(spec.history, once);
    }
}

#[test]
fn a_grant_to_five_hundred_people_is_one_line() {
    let mut spec = empty();
    let everybody = having((0..500).map(|number| grant(many(number), Right::SendAs)));
    let why = Why {
        causes: BTreeMap::new(),
        request: Some("request-1".to_owned()),
    };
    step(&mut spec, &everybody, &why, at(0));
    let expected = HistoryLine {
        at: at(0),
        ids: (0..500).map(many).collect(),
        right: Some(Right::SendAs),
        before: None,
        after: Some(GrantState::Granted),
        cause: "declared".to_owned(),
        by: vec!["team".to_owned()],
        request: why.request,
        n: 1,
    };
    assert_eq!(spec.history, [expected]);
    assert_eq!(spec.history_from, Some(at(0)));
}

#[test]
fn whoever_leaves_a_line_of_many_for_the_day_gets_one_of_their_own() {
    let mut spec = empty();
    let all = || (0..3).map(|number| grant(many(number), Right::SendAs));
    step(&mut spec, &having(all()), &Why::default(), at(0));
    step(&mut spec, &having(all().skip(1)), &Why::default(), at(1));
    step(&mut spec, &having(all()), &Why::default(), at(2));
    let lines: Vec<_> = spec
        .history
        .iter()
        .map(|line| (line.at, line.ids.clone(), line.cause.as_str(), line.n))
        .collect();
    assert_eq!(
        lines,
        [
            (at(2), vec![many(0)], "declared", 2),
            (at(0), vec![many(1), many(2)], "declared", 1),
            (at(1), vec![many(0)], "no longer declared", 1),
        ]
    );
}

#[test]
fn a_line_keeps_the_first_before_the_last_after_who_asked_and_the_last_request() {
    let mut spec = empty();
    let why = |request: &str| Why {
        causes: BTreeMap::new(),
        request: Some(request.to_owned()),
    };
    let pending = RecordedGrant {
        pending: true,
        ..grant(person(1), Right::SendAs)
    };
    let other = RecordedGrant {
        by: vec!["other".to_owned()],
        ..grant(person(1), Right::SendAs)
    };
    step(&mut spec, &having([pending]), &why("a"), at(0));
    assert!(spec.history.is_empty(), "nobody has what is pending");
    step(
        &mut spec,
        &having([grant(person(1), Right::SendAs)]),
        &why("b"),
        at(1),
    );
    step(&mut spec, &having([]), &why("c"), at(2));
    step(&mut spec, &having([other]), &why("d"), at(3));
    let [gained, lost] = spec.history.as_slice() else {
        panic!("{:?}", spec.history)
    };
    assert_eq!((gained.at, gained.n), (at(3), 2));
    assert_eq!(gained.before, Some(GrantState::Pending));
    assert_eq!(gained.after, Some(GrantState::Granted));
    assert_eq!(gained.by, ["other", "team"]);
    assert_eq!(gained.request.as_deref(), Some("d"));
    assert_eq!(
        (lost.before, lost.after),
        (Some(GrantState::Granted), Some(GrantState::Removed))
    );
    assert_eq!(lost.by, ["team"], "who had declared it");
    assert_eq!(lost.request.as_deref(), Some("c"));
}

#[test]
fn a_change_with_a_cause_of_its_own_names_it_and_one_without_says_what_manifests_do() {
    let mut spec = empty();
    let both = [grant(person(1), Right::SendAs), grant(person(2), Right::SendAs)];
    step(&mut spec, &having(both), &Why::default(), at(0));
    let why = Why {
        causes: BTreeMap::from([((person(1), Right::SendAs), "departed")]),
        request: None,
    };
    step(&mut spec, &having([]), &why, at(1));
    let lost: Vec<_> = spec
        .history
        .iter()
        .skip(1)
        .map(|line| (line.ids[0], line.cause.as_str()))
        .collect();
    assert_eq!(lost, [(person(1), "departed"), (person(2), "no longer declared")]);
}

#[test]
fn a_flood_of_a_thousand_flips_stays_small() {
    for (every, most) in [(1, 2), (60, 84)] {
        let mut spec = empty();
        for flip in 0..1000 {
            let ledger = having((flip % 2 == 0).then(|| grant(person(1), Right::FullAccess)));
            step(&mut spec, &ledger, &Why::default(), at(flip * every));
        }
        assert!(
            spec.history.len() <= most,
            "every {every} minutes: {}",
            spec.history.len()
        );
        assert_eq!(spec.history.iter().map(|line| line.n).sum::<i32>(), 1000);
        assert!(bytes(&spec) < 32 * 1024);
        assert_eq!(spec.history_from, Some(at(0)), "nothing was dropped");
    }
}

#[test]
fn a_flood_of_other_people_each_time_has_a_line_for_each_of_them_at_most() {
    let mut spec = empty();
    for flip in 0..1000_usize {
        let some = (0..20).filter(|number| (flip * 7919) >> number & 1 == 1);
        let ledger = having(some.map(|number| grant(many(number), Right::FullAccess)));
        step(&mut spec, &ledger, &Why::default(), at(0));
    }
    assert!(spec.history.len() <= 40, "{}", spec.history.len());
}

#[test]
fn the_history_is_never_more_than_64_kib_or_90_days() {
    for (people, right_by_right) in [(300, true), (3, false)] {
        let mut spec = empty();
        let mut shown = Vec::new();
        for number in 0..130_i64 {
            let chosen = |person: &usize| !(person + usize::try_from(number).unwrap()).is_multiple_of(3);
            let right = if right_by_right {
                RIGHTS[usize::try_from(number % 3).unwrap()]
            } else {
                Right::SendAs
            };
            let grants = (0..people)
                .filter(chosen)
                .map(|person| grant(many(person), right));
            let now = at(number * DAY);
            step(&mut spec, &having(grants), &Why::default(), now);
            shown.push((now, holders(&spec)));
            assert!(bytes(&spec) <= BYTES, "{}", bytes(&spec));
            let oldest = spec.history.iter().map(|line| line.at).min().unwrap();
            assert!(now.duration_since(oldest) <= SignedDuration::from_hours(90 * 24));
        }
        let from = spec.history_from.unwrap();
        assert!(from > at(0));
        let kept = shown.iter().filter(|(moment, _)| *moment >= from).count();
        assert!(kept >= if people == 3 { 30 } else { 2 }, "{kept}");
        for (moment, holders) in shown {
            let expected = if moment < from {
                Access::Unknown
            } else {
                Access::Known(holders)
            };
            assert_eq!(held_on(&spec, moment), expected);
        }
    }
}

#[test]
fn the_mailbox_s_own_turns_are_lines_without_people() {
    let mut spec = empty();
    let turn = |spec: &mut MailboxLedgerSpec, minute, change: fn(&mut MailboxLedgerSpec)| {
        let before = spec.clone();
        change(spec);
        note(spec, Some(&before), &Why::default(), at(minute));
    };
    turn(&mut spec, 0, |_| {});
    turn(&mut spec, 1, |spec| spec.released_at = Some(at(1)));
    turn(&mut spec, 2, |_| {});
    turn(&mut spec, 3, |spec| spec.released_at = None);
    turn(&mut spec, 4, |spec| spec.released_at = Some(at(4)));
    turn(&mut spec, 5, |spec| spec.gone_at = Some(at(5)));
    let lines: Vec<_> = spec
        .history
        .iter()
        .map(|line| (line.cause.as_str(), line.at, line.n, line.ids.len()))
        .collect();
    assert_eq!(
        lines,
        [
            ("Released", at(4), 2, 0),
            ("TakenUp", at(3), 1, 0),
            ("Gone", at(5), 1, 0)
        ]
    );
}

#[test]
fn nobody_knows_what_was_before_a_restore() {
    let mut spec = empty();
    step(
        &mut spec,
        &having([grant(person(1), Right::SendAs)]),
        &Why::default(),
        at(0),
    );
    for again in 1..=2 {
        let restored = at(again * 10);
        note_restored(&mut spec, restored);
        let before = restored - SignedDuration::from_secs(1);
        assert_eq!(held_on(&spec, before), Access::Unknown);
        assert_eq!(held_on(&spec, restored), Access::Known(holders(&spec)));
        assert_eq!(spec.history.len(), 2, "the lines stay readable");
        assert_eq!(spec.history[1].n, i32::try_from(again).unwrap());
    }
}

#[test]
fn nobody_knows_when_somebody_got_what_only_another_ledger_of_the_mailbox_lists() {
    let mut winner = MailboxLedger::new("winner", empty());
    step(
        &mut winner.spec,
        &having([grant(person(1), Right::SendAs)]),
        &Why::default(),
        at(0),
    );
    let mut loser = MailboxLedger::new("loser", empty());
    step(
        &mut loser.spec,
        &having([grant(person(2), Right::SendAs)]),
        &Why::default(),
        at(0),
    );
    let merged = merge(&winner, &loser, at(60));
    assert_eq!(held_on(&merged, at(30)), Access::Unknown);
    let Access::Known(held) = held_on(&merged, at(60)) else {
        panic!("it is known from now on")
    };
    assert_eq!(held.len(), 2);
    let same = merge(&winner, &winner, at(60));
    assert_eq!(same, winner.spec, "what brings nothing changes nothing");
}

#[test]
fn a_merge_keeps_what_only_the_other_history_knows_and_answers_from_then_on() {
    let object = |name: &str, spec: MailboxLedgerSpec| MailboxLedger::new(name, spec);
    let full_access = |number| grant(person(number), Right::FullAccess);
    let mut shared = empty();
    step(&mut shared, &having([]), &Why::default(), at(0));
    step(&mut shared, &having([full_access(1)]), &Why::default(), at(DAY));
    let mut winner = shared.clone();
    let mut loser = shared.clone();
    step(
        &mut loser,
        &having([full_access(1), full_access(2)]),
        &Why::default(),
        at(2 * DAY),
    );
    step(
        &mut loser,
        &having([full_access(1)]),
        &Why::default(),
        at(3 * DAY),
    );
    step(
        &mut winner,
        &having([full_access(1), full_access(3)]),
        &Why::default(),
        at(4 * DAY),
    );
    let merged = merge(&object("a", winner.clone()), &object("b", loser), at(5 * DAY));
    let about = |number| {
        let lines = merged.history.iter();
        lines.filter(|line| line.ids == [person(number)]).count()
    };
    assert_eq!((about(1), about(2), about(3)), (1, 2, 1), "{:?}", merged.history);
    assert_eq!(merged.people, winner.people, "nobody is granted anything by it");
    assert_eq!(merged.history_from, Some(at(3 * DAY)));
    assert_eq!(held_on(&merged, at(2 * DAY)), Access::Unknown);
    assert_eq!(held_on(&merged, at(4 * DAY)), Access::Known(holders(&winner)));

    let same = merge(&object("a", winner.clone()), &object("b", shared), at(5 * DAY));
    assert_eq!(same, winner, "a backup that knows nothing more changes nothing");
}

#[test]
fn what_a_merge_brings_back_is_not_taken_away_at_once_and_what_was_announced_stays_so() {
    let address = address("info");
    let mut winner = empty();
    step(&mut winner, &having([]), &Why::default(), at(0));
    let mut loser = winner.clone();
    let with_address = Ledger {
        addresses: vec![address],
        ..having([])
    };
    step(&mut loser, &with_address, &Why::default(), at(0));
    let object = |name: &str, spec: &MailboxLedgerSpec| MailboxLedger::new(name, spec.clone());
    let merged = merge(&object("a", &winner), &object("b", &loser), at(60));
    assert_eq!((merged.restored, merged.taken_up_at), (true, Some(at(60))));

    let removing = grant(person(1), Right::SendAs);
    let announced = WeighedRemoval {
        what: removing.right_of(),
        at: at(0),
        with_resource: false,
    };
    let announced = Ledger {
        weighed: vec![announced],
        ..having([removing])
    };
    let mut loser = winner.clone();
    step(&mut loser, &announced, &Why::default(), at(0));
    let merged = merge(&object("a", &winner), &object("b", &loser), at(60));
    assert_eq!(read(&merged).unwrap().weighed, announced.weighed);
}

/// Somebody lost the ledger, the operator began a new one, and then the backup came.
#[test]
fn a_merge_keeps_whatever_only_the_backup_remembers() {
    let stranger = |right| RightOf {
        holder: Holder::Sid(sid(7)),
        right,
    };
    let removed = |minute| Removed {
        until: at(minute),
        what: Withdrawn::Grant(grant(person(2), Right::SendAs)),
        weighed_at: Some(at(0)),
    };
    let address_removed = Removed {
        what: Withdrawn::Address(address("old")),
        weighed_at: None,
        ..removed(80)
    };
    let held = grant(person(1), Right::FullAccess);
    let remembered = Ledger {
        sign_out_owed: true,
        defaults: Some(DefaultsState::Applied),
        removed: vec![removed(80), address_removed.clone()],
        weighed: vec![WeighedRemoval {
            what: stranger(Right::SendAs),
            at: at(0),
            with_resource: false,
        }],
        held: Some(HeldRemovals {
            since: at(0),
            removals: BTreeSet::from([held.right_of(), stranger(Right::FullAccess)]),
            grants: BTreeSet::from([grant(person(3), Right::SendAs).right_of()]),
        }),
        ..having([held])
    };
    let mut backup = MailboxLedger::new("backup", empty());
    step(&mut backup.spec, &remembered, &Why::default(), at(0));
    backup.spec.orphans_removed = Some("2026-11".to_owned());
    backup.spec.before = serde_json::from_value(serde_json::json!({ "at": at(0), "signIn": "Open",
        "primary": "sales@contoso.com", "addresses": [], "settings": {} }))
    .unwrap();
    let mut new = MailboxLedger::new("new", empty());
    step(&mut new.spec, &having([]), &Why::default(), at(50));
    let merged = merge(&new, &backup, at(60));
    assert_eq!(read(&merged).unwrap(), remembered);
    assert_eq!(
        (&merged.before, &merged.orphans_removed),
        (&backup.spec.before, &backup.spec.orphans_removed)
    );
    assert_eq!((merged.restored, merged.taken_up_at), (true, Some(at(60))));

    // Where the winner remembers something itself, and where it is over, nothing comes.
    let own = Ledger {
        removed: vec![address_removed],
        addresses: Vec::new(),
        held: remembered.held.clone(),
        defaults: None,
        ..having([grant(person(1), Right::FullAccess)])
    };
    step(&mut new.spec, &own, &Why::default(), at(51));
    let older = Ledger {
        addresses: vec![address("old")],
        removed: vec![removed(60)],
        weighed: vec![WeighedRemoval {
            what: grant(person(1), Right::FullAccess).right_of(),
            at: at(0),
            with_resource: false,
        }],
        held: None,
        defaults: Some(DefaultsState::Pending),
        ..remembered
    };
    step(&mut backup.spec, &older, &Why::default(), at(1));
    let merged = merge(&new, &backup, at(60));
    let own = Ledger {
        sign_out_owed: true,
        ..read(&new.spec).unwrap()
    };
    assert_eq!(read(&merged).unwrap(), own);
    assert!(!merged.restored);
}

#[test]
fn a_merged_history_stays_within_its_bounds() {
    let object = |name: &str, spec: MailboxLedgerSpec| MailboxLedger::new(name, spec);
    let long = |offset: usize| {
        let mut spec = empty();
        step(&mut spec, &having([]), &Why::default(), at(0));
        for number in 0..400 {
            let one = grant(many(offset + number), Right::SendAs);
            let minute = 10 + i64::try_from(number).unwrap();
            step(&mut spec, &having([one]), &Why::default(), at(minute));
        }
        spec
    };
    let merged = merge(&object("a", long(0)), &object("b", long(1000)), at(DAY));
    assert!(bytes(&merged) <= BYTES && merged.history.len() <= 1000);
}

#[test]
fn more_people_than_a_line_may_name_have_a_line_more() {
    let mut spec = empty();
    step(&mut spec, &having([]), &Why::default(), at(0));
    let all = (0..1201).map(|number| grant(many(number), Right::SendAs));
    step(&mut spec, &having(all), &Why::default(), at(1));
    let sizes: Vec<usize> = spec.history.iter().map(|line| line.ids.len()).collect();
    assert_eq!(sizes, [500, 500, 201]);
}
