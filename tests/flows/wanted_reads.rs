//! What does not need to be known stops nothing: every read, failing in every way, and every promise.
//!
//! Longer than others: it is one table of promises, with how each of them falls due and is seen to be kept.

use std::time::Duration;

use super::groups::{expanded_as, person, staff};
use super::kit::*;
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared_mailbox_operator::plan::{NEEDS, Promise, Read};
use simulator::{Fault, FaultRule, Faults, GroupKind, Seed, SeedGroup, SeedUser, Surface};
use testkit::{World, condition, permission, tenant, with};

const FOURTH: &str = "fourth.member@contoso.com";
const LEFT: &str = "left.us@contoso.com";
const STAFF: &str = "all-staff@contoso.com";
const STAFFER: &str = "staffer@contoso.com";
const JOINER: &str = "joiner@contoso.com";

/// How a read fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The role or the permission is missing.
    Refused,
    TimedOut,
    /// An answer that is none.
    Malformed,
    /// Half of the answer comes.
    Cut,
}

impl Failure {
    const ALL: [Self; 4] = [Self::Refused, Self::TimedOut, Self::Malformed, Self::Cut];

    fn fault(self) -> Fault {
        match self {
            Self::Refused => Fault::Denied,
            // Of one item of a batch: the others are answered.
            Self::TimedOut => Fault::ServerError {
                status: 504,
                exception: None,
                message: None,
            },
            Self::Malformed => Fault::Redirect {
                location: "https://elsewhere.example/".to_owned(),
            },
            Self::Cut => Fault::CutAnswer,
        }
    }
}

/// What fails together: calls of one cmdlet, or all of Graph.
struct Case {
    cmdlet: Option<&'static str>,
    reads: &'static [Read],
}

const CASES: [Case; 9] = [
    Case {
        cmdlet: Some("Get-MailboxPermission"),
        reads: &[Read::FullAccess],
    },
    Case {
        cmdlet: Some("Get-RecipientPermission"),
        reads: &[Read::SendAs],
    },
    Case {
        cmdlet: Some("Get-Recipient"),
        reads: &[Read::Members, Read::Recipients],
    },
    Case {
        cmdlet: Some("Get-User"),
        reads: &[Read::Accounts],
    },
    Case {
        cmdlet: Some("Get-Group"),
        reads: &[Read::AccountGroups],
    },
    Case {
        cmdlet: Some("Get-CASMailbox"),
        reads: &[Read::Protocols],
    },
    Case {
        cmdlet: Some("Get-MailboxRegionalConfiguration"),
        reads: &[Read::Regional],
    },
    Case {
        cmdlet: Some("Get-MailboxAutoReplyConfiguration"),
        reads: &[Read::AutoReplies],
    },
    Case {
        cmdlet: None,
        reads: &[Read::SignIn, Read::Groups],
    },
];

impl Case {
    fn name(&self) -> &'static str {
        self.cmdlet.unwrap_or("Microsoft Graph")
    }

    fn breaks(&self, world: &World, failure: Failure) {
        match (self.cmdlet, failure) {
            (Some(cmdlet), _) => {
                world
                    .tenant
                    .add_fault(FaultRule::always(failure.fault()).on(&[cmdlet]));
            }
            (None, Failure::Refused) => graph(world, false),
            (None, Failure::TimedOut | Failure::Malformed | Failure::Cut) => {
                world
                    .tenant
                    .add_fault(FaultRule::always(failure.fault()).at(Surface::Graph));
            }
        }
    }

    /// In one batch with Get-Mailbox: half a batch is none.
    fn takes_the_mailbox_along(&self, failure: Failure) -> bool {
        let in_its_batch = [
            Read::FullAccess,
            Read::SendAs,
            Read::Protocols,
            Read::Regional,
            Read::AutoReplies,
        ];
        failure == Failure::Cut && self.reads.iter().any(|read| in_its_batch.contains(read))
    }

    fn holds(&self, promise: Promise) -> bool {
        let (_, needed) = NEEDS.iter().find(|(other, _)| *other == promise).unwrap();
        !needed.iter().any(|read| self.reads.contains(read))
    }
}

fn graph(world: &World, granted: bool) {
    world.tenant.set_graph_user_read(granted);
    world.tenant.set_graph_user_write(granted);
    world.tenant.set_graph_sign_out(granted);
    world.tenant.set_graph_group_read(granted);
}

fn id(world: &World, who: &str) -> uuid::Uuid {
    world.tenant.object_id(who).unwrap()
}

fn has_full_access(world: &World, who: &str) -> bool {
    let id = id(world, who);
    view(world)
        .full_access
        .iter()
        .any(|entry| entry.trustee == id && !entry.deny)
}

fn may_send_as(world: &World, who: &str) -> bool {
    view(world).send_as.contains(&id(world, who))
}

fn on_behalf(world: &World, who: &str) -> bool {
    view(world).on_behalf.contains(&id(world, who))
}

fn mailbox() -> Value {
    sales(json!({
        "permissions": { "mode": "Exclusive" }, "clientAccess": { "smtpAuth": "Blocked" }, "mailTip": "We answer.",
        "forwarding": { "mode": "Internal", "to": FIRST }, "regional": { "language": "de-DE" },
        "automaticReplies": { "state": "Enabled", "internal": "We are away.", "external": "We are away." }
    }))
}

fn everything(members: &[&str]) -> Value {
    permission(
        "team",
        "sales",
        members,
        &["FullAccess", "SendAs", "SendOnBehalf"],
    )
}

/// `sales` with two members, one whose right ends after forty minutes, one who is about to leave, and a group that is
/// granted person by person.
async fn settled() -> World {
    let mut seed = Seed::contoso();
    for name in [LEFT, STAFFER, JOINER, FOURTH] {
        if seed.users.iter().all(|user| user.upn != name) {
            seed.users.push(SeedUser::person(name, name));
        }
    }
    seed.groups.retain(|group| group.address != STAFF);
    let seed = seed.with_group(SeedGroup::new(
        STAFF,
        "All Staff",
        GroupKind::MailEnabledSecurity,
        &[STAFFER],
    ));
    let world = world(seed, json!({})).await;
    let end: jiff::Timestamp = testkit::START.parse().unwrap();
    let end = end + SignedDuration::from_mins(40);
    let temp = permission("temp", "sales", &[THIRD], &["SendAs"]);
    let staff = permission("staff", "sales", &[], &["SendAs"]);
    world.apply(&mailbox()).await;
    world.apply(&everything(&[FIRST, SECOND])).await;
    world
        .apply(&permission("leaver", "sales", &[LEFT], &["SendAs"]))
        .await;
    world
        .apply(&with(temp, &json!({ "spec": { "expiresAt": end.to_string() } })))
        .await;
    world
        .apply(&with(
            staff,
            &json!({ "spec": { "members": [{ "group": STAFF, "expand": true }] } }),
        ))
        .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    for name in ["team", "temp", "staff", "leaver"] {
        world.wait_permission(name, "True", "Granted").await;
    }
    world
}

/// An admin changes everything that can be changed, the team takes somebody out, and somebody leaves.
async fn disturb(world: &World) {
    let (first, stranger) = (FIRST, FOURTH);
    admin(
        world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "ForwardingAddress": null }),
    );
    admin(
        world,
        "Set-MailboxRegionalConfiguration",
        json!({ "Identity": SALES, "Language": "en-US", "DateFormat": null, "TimeFormat": null }),
    );
    admin(
        world,
        "Set-MailboxAutoReplyConfiguration",
        json!({ "Identity": SALES, "AutoReplyState": "Disabled" }),
    );
    admin(
        world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "DisplayName": "Vendite" }),
    );
    admin(
        world,
        "Set-CASMailbox",
        json!({ "Identity": SALES, "SmtpClientAuthenticationDisabled": false }),
    );
    for (cmdlet, member) in [
        ("Remove-MailboxPermission", first),
        ("Add-MailboxPermission", stranger),
    ] {
        let rights =
            json!({ "Identity": SALES, "User": member, "AccessRights": ["FullAccess"], "Confirm": false });
        admin(world, cmdlet, rights);
    }
    let send_as =
        json!({ "Identity": SALES, "Trustee": first, "AccessRights": ["SendAs"], "Confirm": false });
    admin(world, "Remove-RecipientPermission", send_as);
    let none = json!({ "@odata.type": "#Exchange.GenericHashTable", "remove": [first] });
    admin(
        world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "GrantSendOnBehalfTo": none }),
    );
    world.tenant.add_group_member(STAFF, JOINER).unwrap();
    world.tenant.set_account_enabled(SALES, true).unwrap();
    world.apply(&everything(&[FIRST])).await;
    world
        .apply(&with(tenant(), &json!({ "spec": { "departed": [LEFT] } })))
        .await;
}

/// Whether what the promise says is so.
fn is_kept(world: &World, promise: Promise) -> bool {
    match promise {
        Promise::SignIn => view(world).account_disabled,
        Promise::Settings => view(world).display_name == "sales",
        Promise::ClientAccess => {
            let shown = view(world).settings.get("SmtpClientAuthenticationDisabled");
            shown == Some(json!(true))
        }
        Promise::Regional => view(world).settings.get("Language") == Some(json!("de-DE")),
        Promise::AutoReplies => view(world).settings.get("AutoReplyState") == Some(json!("Enabled")),
        Promise::NamedPeople => {
            let shown = view(world).settings.get("ForwardingAddress");
            shown.is_some_and(|to| !to.is_null())
        }
        Promise::Revocations => {
            !has_full_access(world, SECOND) && !may_send_as(world, SECOND) && !on_behalf(world, SECOND)
        }
        Promise::Ends => !may_send_as(world, THIRD),
        Promise::Departed => !may_send_as(world, LEFT),
        Promise::FullAccess => has_full_access(world, FIRST),
        Promise::SendAs => may_send_as(world, FIRST),
        Promise::SendOnBehalf => on_behalf(world, FIRST),
        Promise::GroupMembers => may_send_as(world, JOINER) && may_send_as(world, STAFFER),
        Promise::Strangers => !has_full_access(world, FOURTH),
    }
}

async fn run(case: &Case, failure: Failure) {
    let name = format!("{} {failure:?}", case.name());
    let world = settled().await;
    case.breaks(&world, failure);
    // What the directory answered before is believed for half an hour.
    world.sleep(35 * 60).await;
    disturb(&world).await;
    world.sleep(2 * INTERVAL).await;
    let none = case.takes_the_mailbox_along(failure);
    for (promise, _) in NEEDS {
        if !none && case.holds(promise) {
            assert!(
                is_kept(&world, promise),
                "{name}: {promise:?}\n{}",
                world.dump().await
            );
        }
    }
    assert!(may_send_as(&world, STAFFER), "{name}: unknown is not absent");
    let object = world.mailbox("sales").await;
    let limited = condition(&object, "LimitedView");
    let blocked = condition(&object, "SignInBlocked").unwrap();
    if case.cmdlet.is_none() {
        assert_eq!(blocked.in_short(), "Unknown Unverified", "{name}");
    } else if failure == Failure::Refused && NEEDS.iter().any(|(promise, _)| !is_kept(&world, *promise)) {
        let limited = limited.unwrap_or_else(|| panic!("{name}: nothing says what can't be read"));
        says(&limited.message, &[case.name()]);
    }
    if !none && case.holds(Promise::SignIn) {
        assert_eq!(blocked.in_short(), "True Blocked", "{name}");
    }
    world.tenant.set_faults(Faults::default());
    graph(&world, true);
    world.sleep(3 * INTERVAL).await;
    for (promise, _) in NEEDS {
        assert!(
            is_kept(&world, promise),
            "{name}, afterwards: {promise:?}\n{}",
            world.dump().await
        );
    }
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(
        condition(&world.mailbox("sales").await, "LimitedView"),
        None,
        "{name}"
    );
    stays_quiet(&world, Duration::from_secs(2 * INTERVAL)).await;
}

async fn all(failure: Failure) {
    for case in &CASES {
        run(case, failure).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_refused_stops_only_what_needs_it() {
    all(Failure::Refused).await;
}

#[tokio::test(start_paused = true)]
async fn a_read_that_times_out_stops_only_what_needs_it() {
    all(Failure::TimedOut).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_none_stops_only_what_needs_it() {
    all(Failure::Malformed).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_cut_stops_only_what_needs_it() {
    all(Failure::Cut).await;
}

#[test]
fn every_read_fails_in_some_case_and_every_failure_is_tried() {
    use std::collections::BTreeSet;
    let needed: BTreeSet<Read> = NEEDS
        .iter()
        .flat_map(|(_, reads)| reads.iter().copied())
        .collect();
    let broken: BTreeSet<Read> = CASES.iter().flat_map(|case| case.reads.iter().copied()).collect();
    assert_eq!(needed, broken);
    assert_eq!(Failure::ALL.len(), 4);
}

/// Foreign entries are on the mailbox, and the app may look nobody up.
#[tokio::test(start_paused = true)]
async fn without_get_user_get_group_or_group_member_what_protects_goes_on_within_an_interval() {
    for case in [&CASES[3], &CASES[4], &CASES[8]] {
        let world = world(staff(2, 2), json!({})).await;
        settle(&world, &[FIRST, SECOND]).await;
        world.apply(&expanded_as("everybody", STAFF)).await;
        world.wait_permission("everybody", "True", "Granted").await;
        for stranger in [THIRD, FOURTH] {
            let rights = json!({ "Identity": SALES, "User": stranger, "AccessRights": ["FullAccess"] });
            admin(&world, "Add-MailboxPermission", rights);
        }
        case.breaks(&world, Failure::Refused);
        graph_users(&world);
        world.sleep(40 * 60).await;
        world.tenant.set_account_enabled(SALES, true).unwrap();
        let lost =
            json!({ "Identity": SALES, "User": FIRST, "AccessRights": ["FullAccess"], "Confirm": false });
        admin(&world, "Remove-MailboxPermission", lost);
        world.sleep(INTERVAL).await;
        assert!(view(&world).account_disabled, "{}", case.name());
        assert!(has_full_access(&world, FIRST), "{}", case.name());
        world.apply(&team(&[FIRST])).await;
        world.sleep(INTERVAL).await;
        assert!(!has_full_access(&world, SECOND) && !may_send_as(&world, SECOND));
        assert!(
            has_full_access(&world, THIRD) && has_full_access(&world, FOURTH),
            "they are left alone"
        );
        let everybody: [String; 2] = [person(0), person(1)];
        assert!(
            everybody.iter().all(|name| may_send_as(&world, name)),
            "nobody loses anything"
        );
        world
            .wait_permission("everybody", "False", "MembersRefused")
            .await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
        world.wait_permission("team", "True", "Granted").await;
        stays_quiet(&world, Duration::from_secs(2 * INTERVAL)).await;
    }
}

/// Of Graph only the groups are denied.
fn graph_users(world: &World) {
    graph(world, true);
    world.tenant.set_graph_group_read(false);
}

#[tokio::test(start_paused = true)]
async fn a_long_outage_of_graph_stops_nothing_else_and_is_said() {
    let world = sales_with(&[FIRST]).await;
    world.tenant.add_fault(outage().at(Surface::Graph));
    world.sleep(2 * INTERVAL).await;
    let object = world.mailbox("sales").await;
    assert_eq!(
        condition(&object, "SignInBlocked").unwrap().in_short(),
        "Unknown Unverified"
    );
    assert_eq!(condition(&object, "Ready").unwrap().in_short(), "True UpToDate");
    stays_quiet(&world, Duration::from_hours(2)).await;
    world.apply(&team(&[SECOND])).await;
    world.wait_permission("team", "True", "Granted").await;
    world.tenant.set_faults(Faults::default());
    world.tenant.set_account_enabled(SALES, true).unwrap();
    until(&world, "sign-in blocked again", || view(&world).account_disabled).await;
}

#[tokio::test(start_paused = true)]
async fn revocations_on_many_mailboxes_do_not_queue_up_behind_a_graph_that_never_answers() {
    const MAILBOXES: usize = 50;
    let quick =
        json!({ "spec": { "limits": { "writesPerMinute": 6000 }, "safety": { "maxRevocations": 1000 } } });
    let world = world(Seed::contoso(), quick).await;
    let name = |number: usize| format!("many{number}");
    for number in 0..MAILBOXES {
        let address = format!("many{number}@contoso.com");
        world.apply(&testkit::mailbox(&name(number), &address)).await;
        let team = permission(&name(number), &name(number), &[FIRST, SECOND], &["FullAccess"]);
        world.apply(&team).await;
    }
    for number in 0..MAILBOXES {
        world.wait_permission(&name(number), "True", "Granted").await;
    }
    world
        .tenant
        .add_fault(FaultRule::always(Fault::Silent).at(Surface::Graph));
    for number in 0..MAILBOXES {
        let team = permission(&name(number), &name(number), &[FIRST], &["FullAccess"]);
        world.apply(&team).await;
    }
    let second = world.tenant.object_id(SECOND).unwrap();
    let left = || {
        let all = world.tenant.mailboxes().into_iter();
        all.filter(|view| view.full_access.iter().any(|entry| entry.trustee == second))
            .count()
    };
    world.sleep(INTERVAL / 2).await;
    assert_eq!(left(), 0, "all are revoked within half an interval");
}

#[tokio::test(start_paused = true)]
async fn what_exchange_shows_does_not_wait_long_for_a_graph_that_never_answers() {
    let world = sales_with(&[FIRST]).await;
    let silent = FaultRule::always(Fault::Silent).at(Surface::Graph);
    world.tenant.add_fault(silent);
    let entry = view(&world).full_access[0].sid.clone();
    let taken = json!({ "Identity": SALES, "User": entry, "AccessRights": ["FullAccess"] });
    admin(&world, "Remove-MailboxPermission", taken);
    annotate(&world, "now").await;
    world.sleep(90).await;
    assert_eq!(view(&world).full_access.len(), 1, "it was repaired meanwhile");
    world.tenant.set_faults(Faults::default());
    world.wait_mailbox("sales", "True", "UpToDate").await;
}
