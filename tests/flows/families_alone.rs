//! Single families of settings, where one is not like the others: what needs a power, a licence or another call.

use super::families::undeclared;
use super::kit::*;
use serde_json::json;
use simulator::{Fault, FaultRule, ParameterRule, Seed};
use testkit::{condition, permission, with};

/// What needs something of an access rule, and the words of the rule that would admit it.
#[tokio::test(start_paused = true)]
async fn what_no_access_rule_gives_is_refused_with_the_rule_that_would_and_nothing_else_suffers() {
    let held = json!({ "LitigationHoldEnabled": true, "LitigationHoldDuration": 300 });
    for (before, declared, family, words) in [
        (
            json!({}),
            json!({ "deletedItemRetention": "7d" }),
            "deletedItemRetention",
            "powers: [Retention]",
        ),
        (
            json!({}),
            json!({ "singleItemRecovery": false }),
            "singleItemRecovery",
            "powers: [Retention]",
        ),
        (
            json!({}),
            json!({ "retentionPolicy": "Forever" }),
            "retentionPolicy",
            "powers: [Retention]",
        ),
        (
            held.clone(),
            json!({ "litigationHold": { "enabled": false } }),
            "litigationHold",
            "powers: [Hold]",
        ),
        (
            held,
            json!({ "litigationHold": { "enabled": true, "duration": "200d" } }),
            "litigationHold",
            "powers: [Hold]",
        ),
        (
            json!({}),
            json!({ "clientAccess": { "imap": true } }),
            "clientAccess.imap",
            "powers: [LegacyProtocols]",
        ),
        (
            json!({}),
            json!({ "clientAccess": { "pop": true } }),
            "clientAccess.pop",
            "powers: [LegacyProtocols]",
        ),
        (
            json!({}),
            json!({ "customAttributes": { "3": "x" } }),
            "customAttributes",
            "customAttributes: [3]",
        ),
        (
            json!({}),
            json!({ "customAttributes": { "15": "x" } }),
            "customAttributes",
            "operator's marker",
        ),
    ] {
        let rule = json!({ "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com"],
            "members": ["*@contoso.com"], "rights": ["FullAccess", "SendAs"], "customAttributes": [15] });
        let world = world(Seed::contoso(), json!({ "spec": { "access": [rule] } })).await;
        settle(&world, &[FIRST]).await;
        world.tenant.set_licensed(SALES, true).unwrap();
        world
            .tenant
            .admin_cmdlet("Set-Mailbox", with(json!({ "Identity": SALES }), &before))
            .unwrap();
        let before = view(&world).settings.all();
        let marker = view(&world).custom_attributes;
        world
            .apply(&sales(with(
                declared,
                &json!({ "aliases": ["info@contoso.com"] }),
            )))
            .await;
        let object = world.wait_mailbox("sales", "False", "SettingRefused").await;
        says(&stalled(&object, "SettingRefused"), &[family, words]);
        assert_eq!(view(&world).settings.all(), before, "{family}");
        assert_eq!(view(&world).custom_attributes, marker);
        assert!(
            view(&world)
                .addresses
                .contains(&"smtp:info@contoso.com".to_owned()),
            "{family}"
        );
    }
}

/// A hold may be begun and prolonged, and deleted items kept for longer, without any power.
#[tokio::test(start_paused = true)]
async fn to_keep_more_needs_no_power() {
    let world = sales_with(&[FIRST]).await;
    world.tenant.set_licensed(SALES, true).unwrap();
    for days in [200, 300] {
        let hold = json!({ "enabled": true, "duration": format!("{days}d") });
        let kept =
            json!({ "litigationHold": hold, "deletedItemRetention": "30d", "singleItemRecovery": true });
        world.apply(&sales(kept)).await;
        let shown = json!(format!("{days}.00:00:00"));
        until(&world, "it is held", || {
            view(&world).settings.get("LitigationHoldDuration") == Some(shown.clone())
        })
        .await;
    }
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(
        view(&world).settings.get("RetainDeletedItemsFor"),
        Some(json!("30.00:00:00"))
    );
    world.apply(&sales(json!({}))).await;
    world.sleep(INTERVAL).await;
    assert_eq!(
        view(&world).settings.get("LitigationHoldEnabled"),
        Some(json!(true)),
        "a hold that is dropped stays"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hold_without_a_licence_names_the_licence() {
    let world = sales_with(&[FIRST]).await;
    world
        .apply(&sales(
            json!({ "litigationHold": { "enabled": true }, "mailTip": "Hello" }),
        ))
        .await;
    let object = world.wait_mailbox("sales", "False", "SettingRefused").await;
    says(
        &stalled(&object, "SettingRefused"),
        &["litigationHold", "license doesn't permit"],
    );
    let advice = condition(&object, "LicenseRequired").unwrap().message;
    says(&advice, &["litigationHold needs Exchange Online Plan 2"]);
    says(
        view(&world).settings.get("MailTip").unwrap().as_str().unwrap(),
        &["Hello"],
    );
}

/// The role may lack what only goes along: the rest is done without it.
#[tokio::test(start_paused = true)]
async fn a_language_is_set_without_the_names_of_folders_when_the_role_does_not_cover_them() {
    let world = sales_with(&[FIRST]).await;
    let cmdlet = "Set-MailboxRegionalConfiguration";
    world
        .tenant
        .set_parameter_rule(cmdlet, "LocalizeDefaultFolderName", ParameterRule::NotInRole);
    world
        .apply(&sales(json!({ "regional": { "language": "de-DE" } })))
        .await;
    until(&world, "the language is set", || {
        view(&world).settings.get("Language") == Some(json!("de-DE"))
    })
    .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(INTERVAL).await;
    assert_eq!(sent(&world, cmdlet), 2);
}

#[tokio::test(start_paused = true)]
async fn a_retention_policy_that_does_not_exist_is_refused_and_tried_again_later() {
    let world = undeclared().await;
    world
        .apply(&sales(
            json!({ "retentionPolicy": "Ten Years", "mailTip": "Hello" }),
        ))
        .await;
    let object = world.wait_mailbox("sales", "False", "SettingRefused").await;
    says(
        &stalled(&object, "SettingRefused"),
        &["retentionPolicy", "Ten Years"],
    );
    says(
        view(&world).settings.get("MailTip").unwrap().as_str().unwrap(),
        &["Hello"],
    );
    forget(&world);
    world.sleep(300).await;
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_makes_exchange_fail_without_a_word_holds_nothing_hostage() {
    let world = sales_with(&[FIRST]).await;
    let delegate = |members: &[&str]| permission("delegates", "sales", members, &["SendOnBehalf"]);
    world.apply(&delegate(&[SECOND])).await;
    world.wait_permission("delegates", "True", "Granted").await;
    let failure = Fault::ServerError {
        status: 500,
        exception: Some("UnableToWriteToAadException".to_owned()),
        message: None,
    };
    let failing = FaultRule::always(failure).on(&["Set-Mailbox"]);
    world.tenant.add_fault(failing.naming("MailTip"));
    let edit = json!({ "mailTip": "Closed", "displayName": "Vendite" });
    world.apply(&sales(edit)).await;
    world.apply(&delegate(&[])).await;
    world.sleep(1800).await;
    assert!(view(&world).on_behalf.is_empty(), "the delegate is withdrawn");
    assert_eq!(
        view(&world).display_name,
        "Vendite",
        "and the other setting is written"
    );
    let object = world.mailbox("sales").await;
    assert_ne!(condition(&object, "Ready").unwrap().status, "True");
    world.tenant.set_faults(simulator::Faults::default());
    world.wait_mailbox("sales", "True", "UpToDate").await;
}
