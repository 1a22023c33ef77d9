//! Every crash point of every scenario.

use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Fault, FaultRule, Faults, Rename};

use testkit::simulation::{Action, Actions, Scenario, crash_everywhere};
use testkit::{mailbox, permission, tenant, with};

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

fn created() -> Actions {
    vec![
        Action::Faults(unhurried()),
        Action::Apply(sales()),
        Action::Apply(team(&FIVE)),
        Action::Apply(permission("lead", "sales", &FIVE[..1], &["FullAccess"])),
        Action::Settle,
    ]
}

fn with_policy() -> Value {
    with(
        sales(),
        &json!({ "spec": { "deletionPolicy": "RevokePermissions" } }),
    )
}

/// What its permissions granted goes with it.
fn revoking() -> Actions {
    [created(), vec![Action::Apply(with_policy()), Action::Settle]].concat()
}

const STAFF: &str = "all-staff@contoso.com";

/// Nobody's Full Access is automapped.
fn unmapped() -> Actions {
    let mut team = team(&FIVE);
    team["spec"]["autoMapping"] = json!(false);
    vec![
        Action::Faults(unhurried()),
        Action::Apply(sales()),
        Action::Apply(team),
        Action::Settle,
    ]
}

/// The sixth member has rights for an hour.
fn temporary() -> Actions {
    let temp = permission(
        "temp",
        "sales",
        &[SIXTH],
        &["FullAccess", "SendAs", "SendOnBehalf"],
    );
    let end = json!({ "spec": { "expiresAt": "2026-11-22T10:00:00Z" } });
    [created(), vec![Action::Apply(with(temp, &end)), Action::Settle]].concat()
}

/// An admin has granted rights by hand.
fn with_strangers() -> Actions {
    let full_access =
        json!({ "Identity": "sales@contoso.com", "User": SIXTH, "AccessRights": ["FullAccess"] });
    let send_as = json!({ "Identity": "sales@contoso.com", "Trustee": SIXTH, "AccessRights": ["SendAs"], "Confirm": false });
    let by_hand = vec![
        Action::Admin("Add-MailboxPermission", full_access),
        Action::Admin("Add-RecipientPermission", send_as),
    ];
    [created(), by_hand, vec![Action::Settle]].concat()
}

/// Somebody made the mailbox long ago, and gave two people rights.
fn existing() -> Actions {
    let mailbox = json!({ "Shared": true, "Name": "Sales", "DisplayName": "Sales", "Alias": "sales",
        "PrimarySmtpAddress": "sales@contoso.com" });
    let grant =
        |user: &str| json!({ "Identity": "sales@contoso.com", "User": user, "AccessRights": ["FullAccess"] });
    vec![
        Action::Faults(unhurried()),
        Action::Admin("New-Mailbox", mailbox),
        Action::Admin(
            "Set-Mailbox",
            json!({ "Identity": "sales@contoso.com", "MailTip": "Theirs" }),
        ),
        Action::Admin("Add-MailboxPermission", grant(SIXTH)),
        Action::Admin("Add-MailboxPermission", grant(FIVE[0])),
    ]
}

/// It is taken over, with what is declared.
fn adopted() -> Actions {
    let adopts =
        json!({ "spec": { "adoption": "SharedMailbox", "displayName": "Sales EMEA", "signIn": "Blocked" } });
    vec![Action::Apply(with(sales(), &adopts)), Action::Apply(team(&FIVE))]
}

fn exclusive() -> Value {
    with(
        sales(),
        &json!({ "spec": { "permissions": { "mode": "Exclusive" } } }),
    )
}

/// Everybody in a group, person by person.
fn with_group() -> Actions {
    let staff = permission("staff", "sales", &[], &["SendAs"]);
    let members = json!({ "spec": { "members": [{ "group": STAFF, "expand": true }] } });
    vec![
        Action::Faults(unhurried()),
        Action::Apply(sales()),
        Action::Apply(with(staff, &members)),
        Action::Settle,
    ]
}

/// The first member has left, and so has somebody whom only an admin gave rights.
fn without_first() -> Value {
    with(tenant(), &json!({ "spec": { "departed": [FIVE[0], SIXTH] } }))
}

/// Settings in all calls that there are, and then other ones.
fn with_settings() -> Actions {
    let settings = json!({ "spec": {
        "hiddenFromAddressLists": true, "mailTip": "We answer within a day.", "clientAccess": { "smtpAuth": "Blocked" },
        "quota": { "warning": "40Gi", "prohibitSend": "45Gi", "prohibitSendReceive": "48Gi" },
        "regional": { "language": "de-DE" }, "retentionPolicy": "Five Years", "customAttributes": { "2": "x" },
        "forwarding": { "mode": "External", "externalAddress": "partner@partner.example" }
    } });
    let others =
        json!({ "spec": { "hiddenFromAddressLists": false, "mailTip": "", "quota": { "warning": "30Gi" } } });
    let defaults = json!({ "spec": { "defaults": { "sentItems": { "copySentAs": true }, "clientAccess": { "pop": false } } } });
    vec![
        Action::Apply(with(tenant(), &defaults)),
        Action::Settle,
        Action::Apply(with(mailbox("sales", "sales@contoso.com"), &settings)),
        Action::Settle,
        Action::Apply(with(mailbox("sales", "sales@contoso.com"), &others)),
    ]
}

fn scenario(name: &'static str, before: Actions, actions: Actions) -> Scenario {
    Scenario {
        name,
        before,
        actions,
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
    let create = |faults: Faults| {
        vec![
            Action::Faults(faults),
            Action::Apply(sales()),
            Action::Apply(team(&FIVE)),
        ]
    };
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
        scenario("create-with-settings", vec![], with_settings()),
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
            vec![Action::Apply(team(&[&FIVE[..], &[SIXTH]].concat()))],
        ),
        scenario(
            "add-member-while-exchange-takes-no-grants",
            created(),
            vec![
                Action::Faults(no_grants),
                Action::Apply(team(&[&FIVE[..], &[SIXTH]].concat())),
                Action::Wait(Duration::from_mins(1)),
                Action::Faults(unhurried()),
            ],
        ),
        scenario(
            "take-member-away",
            created(),
            vec![Action::Apply(team(&FIVE[..4]))],
        ),
        scenario(
            "delete-permission",
            created(),
            vec![Action::delete_permission("team")],
        ),
        Scenario {
            repeated: &["Remove-MailboxPermission", "Add-MailboxPermission"],
            ..scenario("change-automapping", created(), vec![Action::Apply(remapped)])
        },
        scenario(
            "rename-and-aliases",
            created(),
            vec![Action::Apply(with(sales(), &renamed))],
        ),
        scenario(
            "sign-in-drift",
            created(),
            vec![
                Action::SignIn("sales@contoso.com".to_owned(), true),
                Action::Wait(Duration::from_mins(11)),
            ],
        ),
        scenario(
            "member-renamed",
            created(),
            vec![
                Action::Rename(first, new_name),
                Action::Apply(team(&[&FIVE[..], &[SIXTH]].concat())),
            ],
        ),
        scenario(
            "delete-and-apply-again",
            created(),
            vec![
                Action::delete_mailbox("sales"),
                Action::seconds(20),
                Action::Apply(sales()),
            ],
        ),
        Scenario {
            // What was revoked before the crash need not be revoked again.
            repeated: &["Remove-"],
            ..scenario(
                "delete-and-revoke",
                revoking(),
                vec![
                    Action::delete_mailbox("sales"),
                    Action::Wait(Duration::from_mins(20)),
                ],
            )
        },
        Scenario {
            // What was revoked before is given again, and what was not stays.
            repeated: &["Add-", "Remove-"],
            ..scenario(
                "delete-revoke-and-apply-again",
                revoking(),
                vec![
                    Action::delete_mailbox("sales"),
                    Action::Wait(Duration::from_mins(20)),
                    Action::Apply(with_policy()),
                ],
            )
        },
        Scenario {
            // What was taken back before it was given need not be given.
            repeated: &["Add-", "Remove-"],
            ..scenario(
                "add-and-take-away-at-once",
                created(),
                vec![
                    Action::Apply(team(&[&FIVE[..], &[SIXTH]].concat())),
                    Action::Wait(Duration::from_millis(900)),
                    Action::Apply(team(&FIVE)),
                ],
            )
        },
        scenario(
            "delete-while-creating",
            vec![],
            vec![
                Action::Faults(shown_late),
                Action::Apply(sales()),
                Action::Apply(team(&FIVE)),
                Action::Wait(Duration::from_millis(1_500)),
                Action::delete_mailbox("sales"),
                // As long as a create without an answer may hold the deletion up.
                Action::seconds(700),
                Action::Apply(sales()),
            ],
        ),
        Scenario {
            repeated: &["Remove-MailboxPermission", "Add-MailboxPermission"],
            ..scenario(
                "switch-automapping-on",
                unmapped(),
                vec![Action::Apply(team(&FIVE))],
            )
        },
        scenario("end", temporary(), vec![Action::Wait(Duration::from_mins(70))]),
        scenario(
            "exclusive-clean-up",
            with_strangers(),
            vec![Action::Apply(exclusive())],
        ),
        scenario(
            "group-change",
            with_group(),
            vec![
                Action::Member(STAFF.to_owned(), FIVE[0].to_owned(), false),
                Action::Member(STAFF.to_owned(), SIXTH.to_owned(), true),
                Action::Wait(Duration::from_mins(12)),
            ],
        ),
        scenario("departed", with_strangers(), vec![Action::Apply(without_first())]),
        scenario(
            "only-observed",
            created(),
            vec![
                Action::Apply(with(
                    sales(),
                    &json!({ "spec": { "management": "Observe", "displayName": "Sales EMEA" } }),
                )),
                Action::Apply(team(&[&FIVE[1..], &[SIXTH]].concat())),
                Action::Wait(Duration::from_mins(1)),
            ],
        ),
        scenario("adopt", existing(), adopted()),
        scenario(
            "delete-while-adopting",
            existing(),
            [
                adopted(),
                vec![
                    Action::Wait(Duration::from_millis(1_500)),
                    Action::delete_mailbox("sales"),
                    // Until no replica can hide the marker.
                    Action::Wait(Duration::from_mins(45)),
                ],
                adopted(),
            ]
            .concat(),
        ),
        scenario(
            "rights-and-members-together",
            created(),
            vec![Action::Apply(permission(
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
    a_crash_while_settings_are_set_leaves_none_half_set: "create-with-settings",
    a_crash_after_the_answer_to_a_create_was_lost_leads_to_one_mailbox: "create-answer-lost",
    a_mailbox_that_was_made_in_silence_and_is_shown_late_is_found: "create-answer-lost-and-shown-late",
    a_crash_after_the_answer_to_the_first_settings_was_lost_leads_to_one_mailbox: "set-answer-lost",
    a_crash_while_granting_grants_once: "add-member",
    a_crash_while_nothing_can_be_granted_tells_no_lie: "add-member-while-exchange-takes-no-grants",
    a_crash_while_revoking_loses_no_revocation: "take-member-away",
    a_crash_while_a_permission_is_deleted_loses_no_revocation: "delete-permission",
    a_crash_between_the_halves_of_a_remapping_leaves_nobody_out: "change-automapping",
    a_crash_while_renaming_leaves_no_half_name: "rename-and-aliases",
    a_crash_while_repairing_blocks_sign_in: "sign-in-drift",
    a_crash_after_a_member_was_renamed_grants_nothing_twice: "member-renamed",
    a_crash_while_a_mailbox_is_taken_up_again_makes_no_second: "delete-and-apply-again",
    a_crash_while_a_deletion_revokes_leaves_nobody_what_they_had: "delete-and-revoke",
    a_crash_while_a_deletion_revokes_and_an_apply_after_it_lose_nobody: "delete-revoke-and-apply-again",
    a_crash_after_a_grant_that_is_taken_back_leaves_no_grant: "add-and-take-away-at-once",
    a_mailbox_whose_resource_is_deleted_before_it_is_marked_is_marked_first: "delete-while-creating",
    a_crash_between_revoke_and_grant_of_a_remapping_leaves_nobody_out: "switch-automapping-on",
    a_crash_while_rights_end_leaves_none: "end",
    a_crash_while_strangers_are_removed_leaves_none_and_takes_nobody_elses: "exclusive-clean-up",
    a_crash_while_a_group_changes_forgets_neither_joiner_nor_leaver: "group-change",
    a_crash_while_somebody_leaves_takes_everything_from_them: "departed",
    a_crash_while_nothing_may_be_written_tells_what_is_and_not_what_ought_to_be: "only-observed",
    a_crash_while_a_mailbox_is_taken_over_loses_nothing_that_it_had: "adopt",
    a_mailbox_whose_resource_is_deleted_while_it_is_taken_over_can_be_taken_over_again: "delete-while-adopting",
    a_crash_while_much_changes_together_leaves_nothing_undone: "rights-and-members-together",
}
