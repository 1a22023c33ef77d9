//! Every crash point of every scenario.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Fault, FaultRule, Faults, Rename};

use testkit::bed::{Act, Scenario, Story, crash_everywhere};
use testkit::world::{mailbox, permission, tenant, with};

const FIVE: [&str; 5] = [
    "first.member@contoso.com",
    "second.member@contoso.com",
    "third.member@contoso.com",
    "fourth.member@contoso.com",
    "fifth.member@contoso.com",
];
const SIXTH: &str = "sixth.member@contoso.com";

/// A tenant that takes its time, so that requests really are under way together.
fn unhurried() -> Faults {
    Faults {
        latency: simulator::Delay::fixed(40),
        answer_delay: simulator::Delay::fixed(60),
        ..Faults::default()
    }
}

fn sales() -> Value {
    with(
        mailbox("sales", "sales@contoso.com"),
        &json!({ "spec": { "aliases": ["info@contoso.com"] } }),
    )
}

fn team(members: &[&str]) -> Value {
    permission(
        "team",
        "sales",
        members,
        &["FullAccess", "SendAs", "SendOnBehalf"],
    )
}

fn created() -> Story {
    vec![
        Act::Faults(unhurried()),
        Act::Apply(sales()),
        Act::Apply(team(&FIVE)),
        Act::Apply(permission("lead", "sales", &FIVE[..1], &["FullAccess"])),
        Act::Settle,
    ]
}

const STAFF: &str = "all-staff@contoso.com";

/// Nobody's Full Access is automapped.
fn unmapped() -> Story {
    let mut team = team(&FIVE);
    team["spec"]["autoMapping"] = json!(false);
    vec![
        Act::Faults(unhurried()),
        Act::Apply(sales()),
        Act::Apply(team),
        Act::Settle,
    ]
}

/// The sixth member has rights for an hour.
fn temporary() -> Story {
    let temp = permission(
        "temp",
        "sales",
        &[SIXTH],
        &["FullAccess", "SendAs", "SendOnBehalf"],
    );
    let end = json!({ "spec": { "expiresAt": "2026-11-22T10:00:00Z" } });
    [created(), vec![Act::Apply(with(temp, &end)), Act::Settle]].concat()
}

/// An admin has granted rights by hand.
fn with_strangers() -> Story {
    let full_access =
        json!({ "Identity": "sales@contoso.com", "User": SIXTH, "AccessRights": ["FullAccess"] });
    let send_as = json!({ "Identity": "sales@contoso.com", "Trustee": SIXTH, "AccessRights": ["SendAs"], "Confirm": false });
    let by_hand = vec![
        Act::Admin("Add-MailboxPermission", full_access),
        Act::Admin("Add-RecipientPermission", send_as),
    ];
    [created(), by_hand, vec![Act::Settle]].concat()
}

fn exclusive() -> Value {
    with(
        sales(),
        &json!({ "spec": { "permissions": { "mode": "Exclusive" } } }),
    )
}

/// Everybody in a group, person by person.
fn with_group() -> Story {
    let staff = permission("staff", "sales", &[], &["SendAs"]);
    let members = json!({ "spec": { "members": [{ "group": STAFF, "expand": true }] } });
    vec![
        Act::Faults(unhurried()),
        Act::Apply(sales()),
        Act::Apply(with(staff, &members)),
        Act::Settle,
    ]
}

/// The first member has left, and so has somebody whom only an admin gave rights.
fn without_first() -> Value {
    with(tenant(), &json!({ "spec": { "departed": [FIVE[0], SIXTH] } }))
}

fn scenario(name: &'static str, before: Story, story: Story) -> Scenario {
    Scenario {
        name,
        before,
        story,
        repeated: &[],
    }
}

#[expect(clippy::too_many_lines, reason = "one list, a few lines a scenario")]
pub fn scenarios() -> Vec<Scenario> {
    let first = FIVE[0].to_owned();
    let shown_late = Faults {
        not_found_after_create_ms: 30_000,
        ..unhurried()
    };
    let lost = |cmdlet: &str| Faults {
        rules: vec![FaultRule::next(1, Fault::LostAnswer).on(&[cmdlet])],
        ..unhurried()
    };
    let unavailable = Fault::ServerError {
        status: 503,
        exception: None,
        message: None,
    };
    let no_grants = Faults {
        rules: vec![FaultRule::always(unavailable).on(&["Add-*"])],
        ..unhurried()
    };
    let create = |faults: Faults| vec![Act::Faults(faults), Act::Apply(sales()), Act::Apply(team(&FIVE))];
    let mut remapped = team(&FIVE);
    remapped["spec"]["autoMapping"] = json!(false);
    let renamed = json!({ "spec": {
        "displayName": "Sales EMEA", "emailAddress": "emea@contoso.com", "alias": "emea",
        "aliases": ["help@contoso.com"]
    } });
    let new_name = Rename {
        upn: Some("new.name@contoso.com".to_owned()),
        address: Some("new.name@contoso.com".to_owned()),
        display_name: Some("New Name".to_owned()),
        drop_old_address: false,
    };
    vec![
        scenario("create", vec![], create(unhurried())),
        scenario("create-shown-late", vec![], create(shown_late.clone())),
        scenario("create-answer-lost", vec![], create(lost("New-Mailbox"))),
        scenario(
            "create-answer-lost-and-shown-late",
            vec![],
            create(Faults {
                not_found_after_create_ms: 30_000,
                ..lost("New-Mailbox")
            }),
        ),
        scenario("set-answer-lost", vec![], create(lost("Set-Mailbox"))),
        scenario(
            "add-member",
            created(),
            vec![Act::Apply(team(&[&FIVE[..], &[SIXTH]].concat()))],
        ),
        scenario(
            "add-member-while-exchange-takes-no-grants",
            created(),
            vec![
                Act::Faults(no_grants),
                Act::Apply(team(&[&FIVE[..], &[SIXTH]].concat())),
                Act::Wait(Duration::from_mins(1)),
                Act::Faults(unhurried()),
            ],
        ),
        scenario("take-member-away", created(), vec![Act::Apply(team(&FIVE[..4]))]),
        scenario(
            "delete-permission",
            created(),
            vec![Act::delete_permission("team")],
        ),
        Scenario {
            repeated: &["Remove-MailboxPermission", "Add-MailboxPermission"],
            ..scenario("change-automapping", created(), vec![Act::Apply(remapped)])
        },
        scenario(
            "rename-and-aliases",
            created(),
            vec![Act::Apply(with(sales(), &renamed))],
        ),
        scenario(
            "sign-in-drift",
            created(),
            vec![
                Act::SignIn("sales@contoso.com".to_owned(), true),
                Act::Wait(Duration::from_mins(11)),
            ],
        ),
        scenario(
            "member-renamed",
            created(),
            vec![
                Act::Rename(first, new_name),
                Act::Apply(team(&[&FIVE[..], &[SIXTH]].concat())),
            ],
        ),
        scenario(
            "delete-and-apply-again",
            created(),
            vec![
                Act::delete_mailbox("sales"),
                Act::seconds(20),
                Act::Apply(sales()),
            ],
        ),
        Scenario {
            // What was taken back before it was given need not be given.
            repeated: &["Add-", "Remove-"],
            ..scenario(
                "add-and-take-away-at-once",
                created(),
                vec![
                    Act::Apply(team(&[&FIVE[..], &[SIXTH]].concat())),
                    Act::Wait(Duration::from_millis(900)),
                    Act::Apply(team(&FIVE)),
                ],
            )
        },
        scenario(
            "delete-while-creating",
            vec![],
            vec![
                Act::Faults(shown_late),
                Act::Apply(sales()),
                Act::Apply(team(&FIVE)),
                Act::Wait(Duration::from_millis(1_500)),
                Act::delete_mailbox("sales"),
                // As long as a create without an answer may hold the deletion up.
                Act::seconds(700),
                Act::Apply(sales()),
            ],
        ),
        Scenario {
            repeated: &["Remove-MailboxPermission", "Add-MailboxPermission"],
            ..scenario("switch-automapping-on", unmapped(), vec![Act::Apply(team(&FIVE))])
        },
        scenario("end", temporary(), vec![Act::Wait(Duration::from_mins(70))]),
        scenario(
            "exclusive-clean-up",
            with_strangers(),
            vec![Act::Apply(exclusive())],
        ),
        scenario(
            "group-change",
            with_group(),
            vec![
                Act::Member(STAFF.to_owned(), FIVE[0].to_owned(), false),
                Act::Member(STAFF.to_owned(), SIXTH.to_owned(), true),
                Act::Wait(Duration::from_mins(12)),
            ],
        ),
        scenario("departed", with_strangers(), vec![Act::Apply(without_first())]),
        scenario(
            "only-observed",
            created(),
            vec![
                Act::Apply(with(
                    sales(),
                    &json!({ "spec": { "management": "Observe", "displayName": "Sales EMEA" } }),
                )),
                Act::Apply(team(&[&FIVE[1..], &[SIXTH]].concat())),
                Act::Wait(Duration::from_mins(1)),
            ],
        ),
        scenario(
            "rights-and-members-together",
            created(),
            vec![Act::Apply(permission(
                "team",
                "sales",
                &["second.member@contoso.com", SIXTH],
                &["SendAs"],
            ))],
        ),
    ]
}

fn survives(name: &str) {
    let scenario = scenarios()
        .into_iter()
        .find(|scenario| scenario.name == name)
        .unwrap();
    let points = crash_everywhere(&scenario);
    eprintln!("{name}: {points} crash points");
}

macro_rules! crash_tests {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            survives($name);
        })*

        #[test]
        fn every_scenario_has_its_test() {
            let tested = [$($name),*];
            let all: Vec<&str> = scenarios().iter().map(|scenario| scenario.name).collect();
            assert_eq!(all, tested);
        }
    };
}

crash_tests! {
    a_crash_while_creating_leads_to_one_mailbox: "create",
    a_crash_while_exchange_does_not_show_the_new_mailbox_leads_to_one_mailbox: "create-shown-late",
    a_crash_after_the_answer_to_a_create_was_lost_leads_to_one_mailbox: "create-answer-lost",
    a_mailbox_that_was_made_in_silence_and_is_shown_late_is_found: "create-answer-lost-and-shown-late",
    a_crash_after_the_answer_to_the_first_settings_was_lost_leads_to_one_mailbox: "set-answer-lost",
    a_crash_while_granting_grants_once: "add-member",
    a_crash_while_nothing_can_be_granted_tells_no_lie: "add-member-while-exchange-takes-no-grants",
    a_crash_while_revoking_loses_no_revocation: "take-member-away",
    a_crash_while_a_permission_goes_away_loses_no_revocation: "delete-permission",
    a_crash_between_the_halves_of_a_remapping_leaves_nobody_out: "change-automapping",
    a_crash_while_renaming_leaves_no_half_name: "rename-and-aliases",
    a_crash_while_repairing_blocks_sign_in: "sign-in-drift",
    a_crash_after_a_member_was_renamed_grants_nothing_twice: "member-renamed",
    a_crash_while_a_mailbox_is_taken_up_again_makes_no_second: "delete-and-apply-again",
    a_crash_after_a_grant_that_is_taken_back_leaves_no_grant: "add-and-take-away-at-once",
    a_mailbox_whose_resource_goes_before_it_is_marked_is_marked_first: "delete-while-creating",
    a_crash_between_revoke_and_grant_of_a_remapping_leaves_nobody_out: "switch-automapping-on",
    a_crash_while_rights_end_leaves_none: "end",
    a_crash_while_strangers_are_removed_leaves_none_and_takes_nobody_elses: "exclusive-clean-up",
    a_crash_while_a_group_changes_forgets_neither_joiner_nor_leaver: "group-change",
    a_crash_while_somebody_leaves_takes_everything_from_him: "departed",
    a_crash_while_nothing_may_be_written_tells_what_is_and_not_what_ought_to_be: "only-observed",
    a_crash_while_much_changes_together_leaves_nothing_undone: "rights-and-members-together",
}
