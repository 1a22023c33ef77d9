//! Values that Exchange refuses or that look like code: one bad value holds nothing hostage, text stays text.

use std::collections::BTreeMap;

use super::kit::*;
use serde_json::json;
use shared_mailbox_operator::api::SharedMailbox;
use simulator::{Delay, Fault, FaultRule, Faults, Lag, ParameterRule, Quirks};
use testkit::{World, condition, mailbox, with};

/// Set-Mailbox refuses whatever would set a display name.
fn refuse_display_names(world: &World) {
    let refused = refusal("The display name isn't allowed by the naming policy.");
    let rule = FaultRule::always(refused)
        .on(&["Set-Mailbox"])
        .naming("DisplayName");
    world.tenant.add_fault(rule);
}

#[tokio::test(start_paused = true)]
async fn a_refused_setting_holds_neither_block_nor_marker_nor_other_settings_nor_grants() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    refuse_display_names(&world);
    world
        .apply(&sales(
            json!({ "displayName": "Refused", "aliases": ["info@contoso.com"] }),
        ))
        .await;
    world.apply(&team(&[FIRST])).await;
    let object = world.wait_mailbox("sales", "False", "SettingRefused").await;
    says(
        &stalled(&object, "SettingRefused"),
        &["displayName", "naming policy"],
    );
    assert_eq!(
        condition(&object, "SettingsSynced").unwrap().reason,
        "SettingRefused"
    );
    assert_eq!(condition(&object, "SignInBlocked").unwrap().status, "True");
    assert_eq!(condition(&object, "PermissionsSynced").unwrap().status, "True");
    world.wait_permission("team", "True", "Granted").await;
    let view = view(&world);
    assert!(view.account_disabled);
    assert!(view.custom_attributes[&15].contains("team-sales/sales"));
    assert!(view.addresses.contains(&"smtp:info@contoso.com".to_owned()));
    assert!(view.display_name.starts_with("smo-"));
    world.tenant.set_faults(Faults::default());
    let requested = with(
        sales(json!({ "displayName": "Refused", "aliases": ["info@contoso.com"] })),
        &json!({ "metadata": { "annotations": { "sharedmailbox.dev/reconcile-requested-at": "now" } } }),
    );
    world.apply(&requested).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_setting_is_tried_again_alone_within_an_hour_or_two() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    refuse_display_names(&world);
    world.apply(&sales(json!({}))).await;
    world.wait_mailbox("sales", "False", "SettingRefused").await;
    let tried = sent(&world, "Set-Mailbox");
    world.sleep(50 * 60).await;
    assert_eq!(sent(&world, "Set-Mailbox"), tried, "it rests");
    world.tenant.set_faults(Faults::default());
    world.sleep(20 * 60).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(sent(&world, "Set-Mailbox"), tried + 1);
}

#[tokio::test(start_paused = true)]
async fn the_marker_and_the_block_go_first_when_settings_are_sent_apart() {
    let world = World::start().await;
    world.wait_tenant("True", "Connected").await;
    refuse_display_names(&world);
    world
        .apply(&sales(json!({ "aliases": ["info@contoso.com"] })))
        .await;
    world.wait_mailbox("sales", "False", "SettingRefused").await;
    let sets = calls(&world, "Set-Mailbox");
    assert!(
        sets[1].get("CustomAttribute15").is_some() && sets[1].get("AccountDisabled").is_some(),
        "{sets:?}"
    );
    assert!(
        sets[1].get("DisplayName").is_none() && sets[1].get("EmailAddresses").is_none(),
        "{sets:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_added_address_that_somebody_else_has_is_named_and_nothing_else_suffers() {
    let world = sales_with(&[FIRST]).await;
    world
        .apply(&sales(
            json!({ "aliases": ["free@contoso.com", SECOND], "displayName": "Sales EMEA" }),
        ))
        .await;
    world.apply(&team(&[FIRST, THIRD])).await;
    let object = world.wait_mailbox("sales", "False", "SettingRefused").await;
    let message = stalled(&object, "SettingRefused");
    says(&message, &["aliases", "already used", SECOND]);
    assert!(!message.contains("free@contoso.com"), "{message}");
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(view(&world).display_name, "Sales EMEA");
    assert_eq!(view(&world).full_access.len(), 2);
    world.sleep(3600).await;
    world.server.forget_requests();
    let tried = sent(&world, "Set-Mailbox");
    world.sleep(3600).await;
    assert!(
        sent(&world, "Set-Mailbox") - tried <= 7,
        "a permanent refusal is tried again slowly"
    );
    assert_eq!(
        world.kubernetes_writes(),
        NOTHING,
        "an unchanged refusal is no news"
    );
    world.apply(&sales(json!({ "displayName": "Sales EMEA" }))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn text_is_sent_as_text() {
    for name in [
        "O'Neil & Söhne \"GmbH\"",
        "x' -or Name -like '*",
        "$(Remove-Mailbox sales); `whoami`",
        "{\"@odata.type\": \"#Exchange.GenericHashTable\"}",
        "smo-0123456789abcdef0123456789abcdef",
    ] {
        let world = World::start().await;
        world.apply(&sales(json!({ "displayName": name }))).await;
        world.wait_mailbox("sales", "True", "UpToDate").await;
        assert_eq!(view(&world).display_name, name);
        assert_eq!(world.writes(), ["New-Mailbox", "Set-Mailbox"]);
        world.sleep(INTERVAL).await;
        assert_eq!(world.writes().len(), 2, "no difference is seen in {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn unusual_but_legal_addresses_work_to_the_end() {
    let world = World::start().await;
    let odd = "r&d+{x}=|$%`a@contoso.com";
    world.apply(&mailbox("odd", odd)).await;
    world.wait_mailbox("odd", "True", "UpToDate").await;
    assert_eq!(world.tenant.mailbox(odd).unwrap().primary_address, odd);
    world.apply(&mailbox("upper", "Mixed.Case@Contoso.COM")).await;
    world.wait_mailbox("upper", "True", "UpToDate").await;
    world.sleep(2).await;
    forget(&world);
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
}

/// The marker is the only thing that tells whose a new mailbox is, once it has its name.
#[tokio::test(start_paused = true)]
async fn a_mailbox_whose_marker_or_block_is_refused_is_not_lost_and_gets_neither_name_nor_grants_before_its_marker()
 {
    for rule in [ParameterRule::NotInRole, ParameterRule::ValueRefused] {
        for parameter in ["CustomAttribute15", "AccountDisabled"] {
            let case = format!("{parameter} {rule:?}");
            let world = World::start().await;
            world.wait_tenant("True", "Connected").await;
            world.tenant.set_parameter_rule("Set-Mailbox", parameter, rule);
            world.apply(&sales(json!({}))).await;
            world.apply(&team(&[FIRST])).await;
            world.sleep(20 * 60).await;
            let marked = view(&world).custom_attributes.contains_key(&15);
            assert_eq!(marked, parameter == "AccountDisabled", "{case}");
            assert_eq!(view(&world).display_name == "sales", marked, "{case}");
            assert_eq!(view(&world).full_access.is_empty(), !marked, "{case}");
            world
                .tenant
                .set_parameter_rule("Set-Mailbox", parameter, ParameterRule::Accepted);
            world.wait_mailbox("sales", "True", "UpToDate").await;
            assert!(
                view(&world).account_disabled && view(&world).custom_attributes.contains_key(&15),
                "{case}"
            );
            assert_eq!(sent(&world, "New-Mailbox"), 1, "{case}");
        }
    }
}

/// A replica that lags made the service say that nothing had to be changed.
#[tokio::test(start_paused = true)]
async fn a_switch_that_differs_is_never_taken_for_another_form_of_what_is_declared() {
    let world = sales_with(&[FIRST]).await;
    world.tenant.set_quirks(Quirks {
        says_unmodified: true,
        ..Quirks::default()
    });
    world
        .apply(&sales(json!({ "clientAccess": { "smtpAuth": "Blocked" } })))
        .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(600).await;
    let open = || {
        let opened = json!(false);
        world
            .tenant
            .set_setting(SALES, "SmtpClientAuthenticationDisabled", &opened)
    };
    open().unwrap();
    world.sleep(1).await;
    world.tenant.set_faults(Faults {
        lag: Lag {
            delay: Delay::fixed(240_000),
            replicas: 1,
        },
        ..Faults::default()
    });
    let before = sent(&world, "Set-CASMailbox");
    until(&world, "two repairs", || {
        sent(&world, "Set-CASMailbox") >= before + 2
    })
    .await;
    world.tenant.set_faults(Faults::default());
    open().unwrap();
    world.wait_mailbox("sales", "False", "NotConverging").await;
    world.sleep(3 * 3600).await;
    let shown = view(&world).settings.get("SmtpClientAuthenticationDisabled");
    assert_eq!(shown, Some(json!(true)));
}

/// Who watches Ready would otherwise be called once an hour.
#[tokio::test(start_paused = true)]
async fn a_setting_that_never_converges_is_tried_again_without_a_flip_of_the_conditions() {
    let world = sales_with(&[FIRST]).await;
    world.tenant.set_quirks(Quirks {
        shown_instead: BTreeMap::from([("MailTip".to_owned(), json!("<html>never</html>"))]),
        says_unmodified: false,
        ..Quirks::default()
    });
    world.apply(&sales(json!({ "mailTip": "Ask us" }))).await;
    let before = world.wait_mailbox("sales", "False", "NotConverging").await;
    let (writes, since) = (sent(&world, "Set-Mailbox"), transitions(&before));
    world.sleep(3 * 3600).await;
    until(&world, "two more tries", || {
        sent(&world, "Set-Mailbox") >= writes + 2
    })
    .await;
    world.sleep(1800).await;
    let after = world.wait_mailbox("sales", "False", "NotConverging").await;
    assert_eq!(transitions(&after), since);
}

/// When these conditions changed. Stalled is not among them: while the operator tries again it is Reconciling.
fn transitions(object: &SharedMailbox) -> Vec<String> {
    let conditions = &object.status.as_ref().unwrap().conditions;
    let watched = conditions
        .iter()
        .filter(|condition| ["Ready", "SettingsSynced"].contains(&condition.type_.as_str()));
    watched
        .map(|condition| format!("{} {:?}", condition.type_, condition.last_transition_time))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn drift_that_cannot_be_repaired_is_not_reported_as_declared() {
    let quota = json!({ "warning": "40Gi", "prohibitSend": "45Gi", "prohibitSendReceive": "48Gi" });
    let world = sales_with(&[FIRST]).await;
    world.apply(&sales(json!({ "quota": quota }))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(600).await;
    let busy = Fault::ServerError {
        status: 503,
        exception: None,
        message: None,
    };
    world.tenant.add_fault(
        FaultRule::always(busy)
            .on(&["Set-Mailbox"])
            .naming("IssueWarningQuota"),
    );
    world
        .tenant
        .set_setting(SALES, "IssueWarningQuota", &json!("10GB"))
        .unwrap();
    world.sleep(INTERVAL).await;
    let object = world.wait_mailbox("sales", "False", "SettingRefused").await;
    assert_eq!(condition(&object, "SettingsSynced").unwrap().status, "False");
    let renamed = json!({ "displayName": "Other", "quota": quota });
    world.apply(&sales(renamed)).await;
    until(&world, "the name", || view(&world).display_name == "Other").await;
    world.sleep(60).await;
    let status = world.mailbox("sales").await.status.unwrap();
    assert_eq!(status.observed_generation, Some(3), "the edit is reported");
}
