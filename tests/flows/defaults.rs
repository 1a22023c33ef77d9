//! The tenant's defaults for mailboxes that are created: once, and then never again.

use super::kit::*;
use serde_json::{Value, json};
use simulator::{Fault, FaultRule, Faults, ParameterRule, Seed};
use testkit::World;

async fn with_defaults() -> World {
    let defaults = json!({
        "sentItems": { "copySentAs": true, "copySentOnBehalf": true }, "mailTip": "Read by many.",
        "clientAccess": { "imap": false }, "regional": { "language": "de-DE" },
        "deletedItemRetention": "7d", "delivery": { "maxSendSize": "20Mi" }
    });
    world(Seed::contoso(), json!({ "spec": { "defaults": defaults } })).await
}

fn shown(world: &World, name: &str) -> Value {
    view(world).settings.get(name).unwrap()
}

fn tip(world: &World) -> String {
    shown(world, "MailTip").as_str().unwrap_or_default().to_owned()
}

fn are_applied(world: &World) -> bool {
    let expected = [
        ("MessageCopyForSentAsEnabled", json!(true)),
        ("MessageCopyForSendOnBehalfEnabled", json!(true)),
        ("ImapEnabled", json!(false)),
        ("Language", json!("de-DE")),
        ("RetainDeletedItemsFor", json!("7.00:00:00")),
        ("MaxSendSize", json!("20 MB (20,971,520 bytes)")),
    ];
    expected.iter().all(|(name, value)| shown(world, name) == *value)
}

#[tokio::test(start_paused = true)]
async fn a_new_mailbox_gets_what_its_manifest_leaves_out_and_keeps_what_people_make_of_it() {
    let world = with_defaults().await;
    world.apply(&sales(json!({ "mailTip": "We answer." }))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    until(&world, "the defaults", || are_applied(&world)).await;
    says(&tip(&world), &["We answer."]);
    world.sleep(120).await;
    for (name, value) in [
        ("MessageCopyForSentAsEnabled", json!(false)),
        ("ImapEnabled", json!(true)),
    ] {
        world.tenant.set_setting(SALES, name, &value).unwrap();
    }
    forget(&world);
    world.sleep(2 * INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    if !leftovers_are_unseen() {
        let reads = sent(&world, "Get-CASMailbox");
        assert_eq!(reads, 0, "nothing is read that nobody declares");
    }
    world.apply(&sales(json!({}))).await;
    world.sleep(INTERVAL).await;
    says(&tip(&world), &["We answer."]);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_was_there_before_the_defaults_gets_none_of_them() {
    let world = sales_with(&[FIRST]).await;
    let tenant = json!({ "spec": { "defaults": { "clientAccess": { "pop": false } } } });
    world.apply(&testkit::with(testkit::tenant(), &tenant)).await;
    world.sleep(2 * INTERVAL).await;
    assert_ne!(shown(&world, "PopEnabled"), json!(false));
    assert_eq!(world.writes(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn defaults_that_fail_at_first_are_applied_later_and_refused_ones_hold_up_nothing() {
    let world = with_defaults().await;
    let busy = Fault::ServerError {
        status: 503,
        exception: None,
        message: None,
    };
    world
        .tenant
        .add_fault(FaultRule::always(busy).on(&["Set-CASMailbox"]));
    world
        .tenant
        .set_parameter_rule("Set-Mailbox", "MailTip", ParameterRule::ValueRefused);
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST])).await;
    until(&world, "a grant", || {
        shared_mailboxes(&world) == 1 && view(&world).full_access.len() == 1
    })
    .await;
    assert_ne!(shown(&world, "ImapEnabled"), json!(false));
    world.sleep(300).await;
    world.tenant.set_faults(Faults::default());
    until(&world, "the defaults", || are_applied(&world)).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(tip(&world), "");
    forget(&world);
    world.sleep(3 * 3600).await;
    assert_eq!(world.writes(), NOTHING, "what was refused is not tried again");
}
