//! Single families of settings, where one is not like the others.

use std::collections::{BTreeMap, BTreeSet};

use super::settings_tests::{changed, showing, wanting};
use super::testing::our_mailbox;
use super::*;
use crate::setting::{Source, Value, Values, Who};

fn quota(sizes: [Option<&str>; 3]) -> Values {
    let size = |text: Option<&str>| text.and_then(Value::size);
    Values::of([
        ("IssueWarningQuota", size(sizes[0])),
        ("ProhibitSendQuota", size(sizes[1])),
        ("ProhibitSendReceiveQuota", size(sizes[2])),
    ])
}

fn judged(wish: [Option<&str>; 3], shown: [Option<&str>; 3]) -> Standing {
    let desired = wanting(BTreeMap::from([("quota", quota(wish))]));
    let observed = showing(ShownSettings::from([(Source::Mailbox, Ok(quota(shown)))]));
    plan(&desired, &observed, &Ledger::default()).standings["quota"].clone()
}

#[test]
fn three_sizes_are_checked_together_with_what_the_mailbox_has() {
    let usual = [Some("49Gi"), Some("50688Mi"), Some("50Gi")];
    let differs = |standing: &Standing| matches!(standing, Standing::Differs { .. });
    assert!(differs(&judged([Some("10Gi"), None, None], usual)));
    // No rule asks for a warning below the sending quota.
    assert!(differs(&judged([Some("50Gi"), None, None], usual)));
    let refused = judged([None, None, Some("20Gi")], usual);
    let Standing::Refused(why) = refused else {
        panic!("{refused:?}")
    };
    assert!(why.contains("counts as the mailbox has it"), "{why}");
    // They are checked together, so nothing is written while one of them can't be read.
    let partly = judged([None, None, Some("20Gi")], [Some("49Gi"), None, Some("50Gi")]);
    assert!(
        differs(&partly) || matches!(partly, Standing::Refused(_)),
        "only declared ones have to be read"
    );
    let unread = judged([Some("10Gi"), None, Some("20Gi")], [None, None, Some("50Gi")]);
    assert!(matches!(unread, Standing::Unread(_)), "{unread:?}");
}

#[test]
fn a_licence_is_reported_and_never_waited_for() {
    let desired = wanting(BTreeMap::from([("quota", quota([None, None, Some("100Gi")]))]));
    let mut observed = showing(ShownSettings::from([(
        Source::Mailbox,
        Ok(quota([Some("49Gi"), Some("50688Mi"), Some("50Gi")])),
    )]));
    observed.sku_assigned = Some(false);
    assert_eq!(super::unlicensed(&desired, &observed).len(), 1);
    assert!(changed(&desired, &observed).contains_key("ProhibitSendReceiveQuota"));
    observed.sku_assigned = None;
    assert_eq!(super::unlicensed(&desired, &observed), vec![]);
}

#[test]
fn a_family_that_exchange_refused_rests_and_is_then_sent_alone() {
    let wish = Values::of([("MailTip", Some(Value::words("hello")))]);
    let mut desired = wanting(BTreeMap::from([
        ("mailTip", wish.clone()),
        (
            "displayName",
            Values::of([("DisplayName", Some(Value::text("Orders")))]),
        ),
    ]));
    let mut observed = our_mailbox();
    let Some(Ok(shown)) = observed.settings.get_mut(&Source::Mailbox) else {
        unreachable!()
    };
    shown.extend([("MailTip", Value::Nothing)]);
    let refused = |wish: &Values, retry| Earlier::Refused {
        wish: wish.clone(),
        why: "no".to_owned(),
        retry,
    };
    let describe = |desired: &Desired| plan(desired, &observed, &Ledger::default()).describe();
    desired.earlier.insert("mailTip", refused(&wish, false));
    assert_eq!(describe(&desired), ["set displayName to \"Orders\""]);
    desired.earlier.insert("mailTip", refused(&wish, true));
    assert_eq!(
        describe(&desired),
        ["set displayName to \"Orders\"", "set mailTip to \"hello\""]
    );
    // Another wish was never refused.
    desired
        .earlier
        .insert("mailTip", refused(&Values::default(), false));
    assert_eq!(
        describe(&desired),
        ["set displayName to \"Orders\", set mailTip to \"hello\""]
    );
}

#[test]
fn a_new_language_brings_its_own_formats_unless_they_are_declared_too() {
    let german = |formats: Option<&str>| {
        Values::of([
            ("Language", Some(Value::name("de-DE"))),
            ("DateFormat", formats.map(Value::text)),
        ])
    };
    let sent = |wish: Values, shown: Values| {
        let desired = wanting(BTreeMap::from([("regional", wish)]));
        let settings = ShownSettings::from([(Source::Regional, Ok(shown))]);
        changed(&desired, &showing(settings))
    };
    let english = Values::of([
        ("Language", Some(Value::name("en-US"))),
        ("DateFormat", Some(Value::text("M/d/yyyy"))),
    ]);
    let with_own = BTreeMap::from([
        ("Language", Value::name("de-DE")),
        ("DateFormat", Value::Nothing),
        ("TimeFormat", Value::Nothing),
        ("LocalizeDefaultFolderName", Value::Flag(true)),
    ]);
    assert_eq!(sent(german(None), english.clone()), with_own);
    let declared = BTreeMap::from([("DateFormat", Value::text("dd.MM.yyyy"))]);
    let both = with_own.into_iter().chain(declared.clone()).collect();
    assert_eq!(sent(german(Some("dd.MM.yyyy")), english), both);
    let shown = Values::of([
        ("Language", Some(Value::name("DE-de"))),
        ("DateFormat", Some(Value::text("yyyy-MM-dd"))),
    ]);
    assert_eq!(sent(german(Some("dd.MM.yyyy")), shown.clone()), declared);
    assert_eq!(sent(german(None), shown), BTreeMap::new());
}

fn forwarding_to(to: Option<&str>) -> Values {
    let who = |text: &str| Value::Recipients(BTreeSet::from([Who::Id(text.parse().unwrap())]));
    Values::of([
        ("ForwardingAddress", Some(to.map_or(Value::Nothing, who))),
        ("ForwardingSmtpAddress", Some(Value::Nothing)),
        ("DeliverToMailboxAndForward", Some(Value::Flag(to.is_some()))),
    ])
}

const SOMEBODY: &str = "00000000-0000-4000-8000-000000000001";

fn showing_forwarding(to: Option<&str>) -> Observed {
    showing(ShownSettings::from([(Source::Mailbox, Ok(forwarding_to(to)))]))
}

/// As if the ledger said that forwarding was opened, and nobody declared it.
fn dropped() -> (Desired, Ledger) {
    let mut desired = wanting(BTreeMap::new());
    let off = Family::named("forwarding").unwrap().withdrawal().unwrap();
    desired.withdrawn.insert("forwarding", off);
    let ledger = Ledger {
        opened: BTreeSet::from(["forwarding".to_owned()]),
        ..Ledger::default()
    };
    (desired, ledger)
}

#[test]
fn what_opens_is_remembered_before_it_is_written_and_withdrawn_when_it_is_dropped() {
    let open = wanting(BTreeMap::from([("forwarding", forwarding_to(Some(SOMEBODY)))]));
    let planned = plan(&open, &showing_forwarding(None), &Ledger::default());
    assert!(!planned.is_empty());
    let opened = BTreeSet::from(["forwarding".to_owned()]);
    assert_eq!(
        (&planned.announced.opened, &planned.settled.opened),
        (&opened, &opened)
    );
    let (desired, ledger) = dropped();
    let planned = plan(&desired, &showing_forwarding(Some(SOMEBODY)), &ledger);
    let changes: BTreeMap<_, _> = planned
        .changes()
        .iter()
        .filter_map(|change| Some((change.parameter()?, change.setting_value()?.clone())))
        .collect();
    let off: BTreeMap<_, _> = forwarding_to(None).into_iter().collect();
    assert_eq!(changes, off, "all of it, whatever is shown");
    assert_eq!(planned.settled.opened, opened, "until a read shows it");
}

#[test]
fn what_was_withdrawn_is_rechecked_until_no_replica_can_hide_it() {
    let (mut desired, mut ledger) = dropped();
    let none = super::Acknowledged::new();
    super::confirm_removed(
        &mut ledger,
        &desired,
        &none,
        &BTreeSet::new(),
        &showing_forwarding(Some(SOMEBODY)),
    );
    assert_eq!(ledger.opened.len(), 1, "it is still shown");
    super::confirm_removed(
        &mut ledger,
        &desired,
        &none,
        &BTreeSet::new(),
        &showing_forwarding(None),
    );
    assert_eq!((ledger.opened.len(), ledger.removed.len()), (0, 1));
    let mut back = ledger.clone();
    super::reopen(&mut back, &desired, &showing_forwarding(Some(SOMEBODY)));
    assert_eq!((back.opened.len(), back.removed.len()), (1, 0));
    desired.now += super::SHOWN_BY_THEN;
    super::reopen(&mut ledger, &desired, &showing_forwarding(None));
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn what_is_not_in_the_ledger_or_is_refused_is_not_withdrawn() {
    let (desired, ledger) = dropped();
    let open = showing_forwarding(Some(SOMEBODY));
    assert!(
        plan(&desired, &open, &Ledger::default()).is_empty(),
        "an admin's own"
    );
    let mut refused = wanting(BTreeMap::new());
    refused
        .unwritten
        .insert("forwarding", Some("nobody has the address".to_owned()));
    let planned = plan(&refused, &open, &ledger);
    assert!(planned.is_empty());
    assert_eq!(planned.settled.opened, ledger.opened);
    assert!(matches!(planned.standings["forwarding"], Standing::Refused(_)));
    let off = wanting(BTreeMap::from([("forwarding", forwarding_to(None))]));
    assert_eq!(
        plan(&off, &showing_forwarding(None), &ledger).settled.opened,
        BTreeSet::new()
    );
}

#[test]
fn a_list_that_null_does_not_empty_is_emptied_by_an_empty_list() {
    let wish = Values::of([("AcceptMessagesOnlyFromSendersOrMembers", Some(Value::Nothing))]);
    let somebody = Value::Recipients(BTreeSet::from([Who::Id(SOMEBODY.parse().unwrap())]));
    let shown = Values::of([("AcceptMessagesOnlyFromSendersOrMembers", Some(somebody))]);
    let mut desired = wanting(BTreeMap::from([("delivery.acceptFrom", wish.clone())]));
    let observed = showing(ShownSettings::from([(Source::Mailbox, Ok(shown.clone()))]));
    let sent =
        |desired: &Desired| changed(desired, &observed)["AcceptMessagesOnlyFromSendersOrMembers"].clone();
    assert_eq!(sent(&desired), Value::Nothing);
    desired
        .earlier
        .insert("delivery.acceptFrom", Earlier::Once { wish, shown });
    assert_eq!(sent(&desired), Value::Recipients(BTreeSet::new()));
}

#[test]
fn an_archive_is_made_before_it_expands_and_never_taken_away() {
    let archive = |guid, expands| {
        Values::of([
            ("Archive", Some(Value::Flag(guid))),
            ("AutoExpandingArchive", Some(Value::Flag(expands))),
        ])
    };
    let describe = |wish: Values, shown: Values| {
        let desired = wanting(BTreeMap::from([("archive", wish)]));
        let observed = showing(ShownSettings::from([(Source::Mailbox, Ok(shown))]));
        let planned = plan(&desired, &observed, &Ledger::default());
        (planned.describe(), planned.standings["archive"].clone())
    };
    let both = archive(true, true);
    assert_eq!(
        describe(both.clone(), archive(false, false)).0,
        ["set archive.enabled to true", "set archive.autoExpanding to true"]
    );
    assert_eq!(
        describe(both, archive(true, false)).0,
        ["set archive.autoExpanding to true"]
    );
    for (wish, shown) in [
        (archive(false, false), archive(true, false)),
        (archive(true, false), archive(true, true)),
    ] {
        let (steps, standing) = describe(wish, shown);
        assert!(
            steps.is_empty() && matches!(standing, Standing::Refused(_)),
            "{steps:?}"
        );
    }
}
