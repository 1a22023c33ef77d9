//! Values that Exchange refuses or that look like code: one bad value holds nothing hostage, text stays text.

use super::kit::*;
use serde_json::json;
use simulator::{FaultRule, Faults};
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
            json!({ "aliases": [SECOND], "displayName": "Sales EMEA" }),
        ))
        .await;
    world.apply(&team(&[FIRST, THIRD])).await;
    let object = world.wait_mailbox("sales", "False", "SettingRefused").await;
    says(&stalled(&object, "SettingRefused"), &["aliases", SECOND]);
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
