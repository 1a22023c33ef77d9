//! Nobody can sign in to the account behind a mailbox, and what is said of that is true: on tenants where Exchange and Entra
//! agree, and on tenants where they don't.

use std::time::Duration;

use super::kit::*;
use serde_json::{Value, json};
use simulator::{Fault, FaultRule, Faults, JournalKind, Quirks, Seed, SignInForm};
use testkit::{World, condition, tenant, with};

/// Every way in which the two may have to do with each other.
fn forms() -> Vec<SignInForm> {
    let mut forms = Vec::new();
    for new_accounts_disabled in [false, true] {
        for exchange_shows_in_entra in [true, false] {
            for entra_shows_in_exchange in [true, false] {
                forms.push(SignInForm {
                    new_accounts_disabled,
                    exchange_shows_in_entra,
                    entra_shows_in_exchange,
                    graph_has_no_effect: false,
                });
            }
        }
    }
    forms
}

async fn world_with(sign_in: SignInForm, change: Value) -> World {
    let quirks = Quirks {
        sign_in,
        ..Quirks::default()
    };
    let world = world(
        Seed {
            quirks,
            ..Seed::contoso()
        },
        change,
    )
    .await;
    world.wait_tenant("True", "Connected").await;
    world
}

fn controlled_by(control: &str) -> Value {
    json!({ "spec": { "signInControl": control } })
}

fn no_graph(world: &World) {
    world.tenant.set_graph_user_read(false);
    world.tenant.set_graph_user_write(false);
    world.tenant.set_graph_sign_out(false);
    world.tenant.set_graph_group_read(false);
}

/// What was sent about sign-in, in order.
fn sign_in_writes(world: &World) -> Vec<String> {
    let about = |kind: JournalKind| match kind {
        JournalKind::Cmdlet { name, parameters, .. } => (name == "Set-Mailbox"
            && parameters.get("AccountDisabled").is_some())
        .then(|| "Exchange".to_owned()),
        JournalKind::Graph { method, .. } if method == "PATCH" => Some("Graph".to_owned()),
        JournalKind::Graph { method, path, .. } if method == "POST" => path
            .ends_with("/revokeSignInSessions")
            .then(|| "sign out".to_owned()),
        JournalKind::Graph { .. } | JournalKind::Token { .. } | JournalKind::Other { .. } => None,
    };
    let journal = world.tenant.journal().into_iter();
    journal
        .filter(|entry| entry.actor == simulator::Actor::App)
        .filter_map(|entry| about(entry.kind))
        .collect()
}

/// What is shown of sign-in: the condition `SignInBlocked` in short, and the column.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    condition: String,
    column: String,
}

async fn said(world: &World) -> Shown {
    let object = world.mailbox("sales").await;
    Shown {
        condition: condition(&object, "SignInBlocked").unwrap().in_short(),
        column: object.status.unwrap().sign_in.unwrap(),
    }
}

fn is(condition: &str, column: &str) -> Shown {
    Shown {
        condition: condition.to_owned(),
        column: column.to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn sign_in_is_blocked_and_proven_however_exchange_and_entra_follow_each_other() {
    for form in forms() {
        for control in ["Graph", "Exchange"] {
            let case = format!("{control} {form:?}");
            let world = world_with(form, controlled_by(control)).await;
            world.apply(&sales(json!({}))).await;
            world.wait_mailbox("sales", "True", "UpToDate").await;
            assert!(view(&world).account_disabled, "{case}");
            assert_eq!(said(&world).await, is("True Blocked", "Blocked"), "{case}");
            let written = sign_in_writes(&world);
            // The first settings are sent anyway.
            let needed = if form.new_accounts_disabled || form.exchange_shows_in_entra {
                1
            } else {
                3
            };
            assert!(written.len() <= needed, "{case}: {written:?}");
            if form.new_accounts_disabled {
                assert_eq!(world.writes(), ["New-Mailbox", "Set-Mailbox"], "{case}");
            }
            stays_quiet(&world, Duration::from_secs(3 * INTERVAL)).await;

            world.tenant.set_account_enabled(SALES, true).unwrap();
            until(&world, "the sessions are revoked", || !view(&world).signed_in).await;
            world.sleep(INTERVAL).await;
            assert!(view(&world).account_disabled && !view(&world).signed_in, "{case}");
            assert_eq!(said(&world).await, is("True Blocked", "Blocked"), "{case}");
            world.wait_mailbox("sales", "True", "UpToDate").await;
            let written = sign_in_writes(&world);
            if control == "Graph" {
                assert_eq!(written, ["Graph", "sign out"], "{case}");
            }
            stays_quiet(&world, Duration::from_secs(3 * INTERVAL)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_exchange_says_is_neither_proof_nor_drift() {
    let world = world_with(SignInForm::apart(), json!({})).await;
    settle(&world, &[FIRST]).await;
    world.tenant.set_apart(SALES, false, false).unwrap();
    stays_quiet(&world, Duration::from_secs(3 * INTERVAL)).await;
    assert_eq!(said(&world).await, is("True Blocked", "Blocked"));
    world.tenant.set_apart(SALES, true, true).unwrap();
    world.sleep(INTERVAL).await;
    assert!(view(&world).account_disabled, "Exchange said so before");
    assert_eq!(sign_in_writes(&world), ["Graph", "sign out"]);
}

#[tokio::test(start_paused = true)]
async fn without_graph_nobody_knows_and_exchanges_switch_is_the_best_that_can_be_done() {
    for form in [SignInForm::default(), SignInForm::apart()] {
        for control in ["Graph", "Exchange"] {
            let mut world = World::without_operator(Seed {
                quirks: Quirks {
                    sign_in: form,
                    ..Quirks::default()
                },
                ..Seed::contoso()
            })
            .await;
            no_graph(&world);
            world.apply(&with(tenant(), &controlled_by(control))).await;
            world.start_operator();
            settle(&world, &[FIRST]).await;
            assert_eq!(said(&world).await, is("Unknown Unverified", "Unverified"));
            let object = world.mailbox("sales").await;
            let message = condition(&object, "SignInBlocked").unwrap().message;
            says(&message, &["User.Read.All", "Microsoft Graph"]);
            assert!(view(&world).disabled_in_exchange);
            stays_quiet(&world, Duration::from_secs(3 * INTERVAL)).await;
            let advisory = condition(&world.tenant_resource().await, "LimitedView").unwrap();
            assert_eq!(advisory.in_short(), "True SignInUnverified");
            says(&advisory.message, &["1 SharedMailbox it", "User.Read.All"]);
            // One thing to do, one advisory; and everything else is as declared.
            let reported = world.tenant_resource().await;
            // A role that lacks more has two. The profile of the run holds for tenants without a form of their own.
            let lacks_more = leftovers_are_unseen() && form == SignInForm::default();
            if !lacks_more {
                let parts = ["nobody can verify whether sign-in is blocked", "in Entra"];
                says(&advisory.message, &parts);
            }
            let is_missing = condition(&reported, "CapabilityMissing").is_some();
            assert_eq!(is_missing, lacks_more, "{control} {form:?}");
            assert!(testkit::ready(&reported, "True", "Connected"));
            assert!(testkit::ready(&object, "True", "UpToDate"));

            let open = json!({ "Identity": SALES, "AccountDisabled": false });
            admin(&world, "Set-Mailbox", open);
            world.sleep(INTERVAL).await;
            assert!(view(&world).disabled_in_exchange);
            assert_eq!(sign_in_writes(&world), ["Exchange"], "{control} {form:?}");
            world.tenant.set_apart(SALES, true, true).unwrap();
            stays_quiet(&world, Duration::from_secs(3 * INTERVAL)).await;
            assert_eq!(said(&world).await, is("Unknown Unverified", "Unverified"));

            world.tenant.set_graph_user_read(true);
            world.tenant.set_graph_user_write(true);
            until(&world, "the block in Entra", || view(&world).account_disabled).await;
            world.sleep(INTERVAL).await;
            assert_eq!(said(&world).await, is("True Blocked", "Blocked"));
            world.wait_mailbox("sales", "True", "UpToDate").await;
            assert_eq!(condition(&world.tenant_resource().await, "LimitedView"), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_does_not_show_is_tried_through_the_other_api_once_and_then_said() {
    for control in ["Graph", "Exchange"] {
        let world = world_with(SignInForm::apart(), controlled_by(control)).await;
        settle(&world, &[FIRST]).await;
        world.tenant.set_quirks(Quirks {
            sign_in: SignInForm {
                graph_has_no_effect: true,
                ..SignInForm::apart()
            },
            ..Quirks::default()
        });
        world.tenant.set_account_enabled(SALES, true).unwrap();
        let object = world.wait_mailbox("sales", "False", "SignInNotEffective").await;
        let message = stalled(&object, "SignInNotEffective");
        says(
            &message,
            &[
                "Microsoft Graph acknowledged",
                "Exchange acknowledged",
                "in Entra by hand",
            ],
        );
        assert_eq!(said(&world).await, is("False SignInNotEffective", "Open"));
        let written = |world: &World| {
            let writes = sign_in_writes(world).into_iter();
            writes.filter(|write| write != "sign out").collect::<Vec<_>>()
        };
        let other = if control == "Graph" { "Exchange" } else { "Graph" };
        assert_eq!(written(&world), [control, other]);
        world.sleep(3000).await;
        assert_eq!(written(&world).len(), 2, "{:?}", written(&world));
        world.sleep(5 * 3600).await;
        assert!(written(&world).len() <= 14, "no loop: {:?}", written(&world));
        // Other work goes on.
        world.apply(&team(&[SECOND])).await;
        let second = world.tenant.object_id(SECOND).unwrap();
        until(&world, "the grant", || view(&world).send_as == [second]).await;
        world.tenant.set_quirks(Quirks {
            sign_in: SignInForm::apart(),
            ..Quirks::default()
        });
        // An hour, and the two minutes of the first try.
        world.sleep(600).await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
        assert!(view(&world).account_disabled && !view(&world).signed_in);
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_that_may_not_write_through_graph_writes_through_exchange() {
    let world = World::start().await;
    world.tenant.set_graph_user_write(false);
    settle(&world, &[FIRST]).await;
    world.tenant.set_account_enabled(SALES, true).unwrap();
    world.sleep(INTERVAL).await;
    assert!(view(&world).account_disabled);
    assert_eq!(said(&world).await, is("True Blocked", "Blocked"));
    assert_eq!(sign_in_writes(&world), ["Graph", "Exchange", "sign out"]);
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn where_no_api_blocks_sign_in_the_missing_permission_is_named() {
    let world = world_with(SignInForm::apart(), json!({})).await;
    world.tenant.set_graph_user_write(false);
    world.apply(&sales(json!({}))).await;
    let object = world.wait_mailbox("sales", "False", "SignInNotEffective").await;
    says(
        &stalled(&object, "SignInNotEffective"),
        &["User.EnableDisableAccount.All", "Exchange acknowledged"],
    );
    world.sleep(600).await;
    world.tenant.set_graph_user_write(true);
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert!(view(&world).account_disabled);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_graph_does_not_know_yet_is_waited_for() {
    for (minutes, form) in [
        (5, SignInForm::default()),
        (5, SignInForm::apart()),
        (40, SignInForm::apart()),
    ] {
        let world = world_with(form, json!({})).await;
        world.tenant.set_faults(Faults {
            exchange_to_directory_ms: minutes * 60_000,
            ..Faults::default()
        });
        world.apply(&sales(json!({}))).await;
        world.wait_mailbox("sales", "False", "WaitingForExchange").await;
        assert_eq!(said(&world).await, is("Unknown Propagating", "Propagating"));
        assert!(view(&world).disabled_in_exchange, "with the first settings");
        if minutes > 15 {
            world.wait_mailbox("sales", "True", "UpToDate").await;
            assert_eq!(said(&world).await, is("Unknown Unverified", "Unverified"));
        }
        until(&world, "the block in Entra", || view(&world).account_disabled).await;
        world.sleep(2 * INTERVAL).await;
        assert_eq!(said(&world).await, is("True Blocked", "Blocked"));
        world.wait_mailbox("sales", "True", "UpToDate").await;
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_that_can_not_be_revoked_are_said_once_and_stop_nothing() {
    let world = sales_with(&[FIRST]).await;
    world.tenant.set_graph_sign_out(false);
    world.tenant.set_account_enabled(SALES, true).unwrap();
    world.sleep(3 * INTERVAL).await;
    assert!(view(&world).account_disabled);
    assert_eq!(sign_in_writes(&world), ["Graph", "sign out"]);
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let events = events_about(&world, "sales").await;
    let said: Vec<_> = events
        .iter()
        .filter(|event| event.starts_with("SessionsNotRevoked"))
        .collect();
    assert_eq!(said.len(), 1, "{events:?}");
    says(said[0], &["User.RevokeSessions.All"]);
}

/// Manifests under which nothing at all is written to the mailbox.
struct Idle {
    /// How Ready is then, in short.
    ready: &'static str,
    tenant: Value,
    mailbox: Value,
}

fn idle() -> [Idle; 3] {
    let observed = json!({ "spec": { "management": "Observe" } });
    let denied = with(
        tenant(),
        &json!({ "spec": { "management": "Observe", "access": [{ "namespaces": { "names": ["elsewhere"] },
            "addresses": ["*@contoso.com"], "members": [], "groups": [], "rights": [], "powers": [] }] } }),
    );
    [
        Idle {
            ready: "Unknown Paused",
            tenant: with(tenant(), &observed),
            mailbox: sales(json!({ "management": "Paused" })),
        },
        Idle {
            ready: "True Observed",
            tenant: with(tenant(), &observed),
            mailbox: sales(json!({})),
        },
        Idle {
            ready: "False AccessDenied",
            tenant: denied,
            mailbox: sales(json!({})),
        },
    ]
}

#[tokio::test(start_paused = true)]
async fn nothing_says_blocked_of_an_account_that_is_open_whatever_stops_the_operator() {
    for Idle {
        ready,
        tenant,
        mailbox,
    } in idle()
    {
        let world = sales_with(&[FIRST]).await;
        world.apply(&tenant).await;
        world.apply(&mailbox).await;
        world.sleep(60).await;
        assert_eq!(said(&world).await.condition, "True Blocked", "{ready}");
        forget(&world);
        world.tenant.set_account_enabled(SALES, true).unwrap();
        world.sleep(INTERVAL).await;
        assert_eq!(said(&world).await, is("False Open", "Open"), "{ready}");
        let object = world.mailbox("sales").await;
        assert_eq!(condition(&object, "Ready").unwrap().in_short(), ready);
        assert_eq!(world.writes(), NOTHING, "{ready}");
        world.tenant.set_account_enabled(SALES, false).unwrap();
        world.sleep(INTERVAL).await;
        assert_eq!(said(&world).await, is("True Blocked", "Blocked"), "{ready}");
        stays_quiet(&world, Duration::from_secs(3 * INTERVAL)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_says_blocked_of_an_open_mailbox_that_is_no_longer_ours() {
    for (reason, change) in [
        (
            "NotSharedMailbox",
            json!({ "Identity": SALES, "Type": "Regular" }),
        ),
        (
            "NotOurs",
            json!({ "Identity": SALES, "CustomAttribute15": "cost centre" }),
        ),
    ] {
        let world = sales_with(&[FIRST]).await;
        admin(&world, "Set-Mailbox", change);
        world.tenant.set_account_enabled(SALES, true).unwrap();
        world.wait_mailbox("sales", "False", reason).await;
        world.sleep(INTERVAL).await;
        assert_eq!(said(&world).await, is("False Open", "Open"), "{reason}");
        assert_eq!(world.writes(), NOTHING, "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_says_blocked_of_an_open_account_whose_mailbox_cannot_be_read() {
    let world = sales_with(&[FIRST]).await;
    let refused = FaultRule::always(Fault::Denied).on(&["Get-Mailbox"]);
    world.tenant.add_fault(refused);
    world.tenant.set_account_enabled(SALES, true).unwrap();
    annotate(&world, "now").await;
    world.wait_mailbox("sales", "False", "NotAuthorized").await;
    assert_eq!(said(&world).await, is("False Open", "Open"));
    world.tenant.set_account_enabled(SALES, false).unwrap();
    world.sleep(INTERVAL).await;
    assert_eq!(said(&world).await, is("True Blocked", "Blocked"));
    stays_quiet(&world, Duration::from_secs(3 * INTERVAL)).await;
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_is_gone_is_neither_there_nor_blocked() {
    let world = sales_with(&[FIRST]).await;
    admin(&world, "Remove-Mailbox", json!({ "Identity": SALES }));
    annotate(&world, "now").await;
    let object = world.wait_mailbox("sales", "False", "MailboxGone").await;
    let provisioned = condition(&object, "Provisioned").unwrap();
    assert_eq!(provisioned.in_short(), "False MailboxGone");
    assert_eq!(said(&world).await, is("Unknown Unverified", "Unverified"));
    stays_quiet(&world, Duration::from_secs(3 * INTERVAL)).await;
}

#[tokio::test(start_paused = true)]
async fn the_oldest_proof_over_all_mailboxes_is_on_the_tenant_and_written_once_an_interval() {
    let world = sales_with(&[FIRST]).await;
    world.apply(&testkit::mailbox("info", "info@contoso.com")).await;
    world.wait_mailbox("info", "True", "UpToDate").await;
    let proof = async || world.tenant_resource().await.status.unwrap().sign_in_proof;
    world.sleep(2 * INTERVAL).await;
    let first = proof().await.unwrap();
    let age = world
        .server
        .now()
        .duration_since(first.proven_at.unwrap().0)
        .as_secs();
    assert!(age <= 3 * 660, "{age}");
    assert_eq!(first.unverified, 0);
    forget(&world);
    world.sleep(10 * INTERVAL).await;
    let writes = world.tenant_status_writes();
    assert!((8..=12).contains(&writes), "{writes}");
    // One mailbox is read no more: the proof gets no younger.
    world
        .apply(&with(
            testkit::mailbox("info", "info@contoso.com"),
            &json!({ "spec": { "management": "Paused" } }),
        ))
        .await;
    world.tenant.set_graph_user_read(false);
    world.tenant.set_graph_user_write(false);
    world.sleep(INTERVAL).await;
    let stopped = proof().await.unwrap();
    world.sleep(4 * INTERVAL).await;
    let later = proof().await.unwrap();
    assert_eq!(
        (later.unverified, later.proven_at.clone()),
        (2, stopped.proven_at)
    );
}
