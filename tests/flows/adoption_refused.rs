//! What keeps a mailbox from being taken over: nothing is written then.

use super::adoption::*;
use super::kit::*;
use serde_json::{Value, json};
use simulator::{SeedMailbox, SeedUser};
use testkit::with;

#[tokio::test(start_paused = true)]
async fn never_names_what_it_takes_to_adopt() {
    let world = usual().await;
    world.apply(&sales(json!({}))).await;
    let parts = [
        SALES,
        "shared mailbox that is not ours",
        "spec.adoption: SharedMailbox",
    ];
    sales_is_refused(&world, "AddressInUse", &parts).await;
    let world = world_with(existing(), rule(&json!({ "powers": [] }))).await;
    world.apply(&sales(json!({}))).await;
    sales_is_refused(
        &world,
        "AddressInUse",
        &["spec.adoption: SharedMailbox", "powers: [Adopt]"],
    )
    .await;
    assert_eq!(world.ledgers().await, []);
}

/// With this seed and rule, the manifest is refused for this reason with these words, and nothing is written.
async fn is_refused(seed: SeedUser, access: Value, manifest: Value, reason: &str, parts: &[&str]) {
    let world = world_with(seed, rule(&access)).await;
    let before = world.tenant.mailboxes();
    world.apply(&adopting(&manifest)).await;
    world.apply(&team(&[FIRST, SECOND])).await;
    sales_is_refused(&world, reason, parts).await;
    world.sleep(3 * INTERVAL).await;
    sales_is_refused(&world, reason, parts).await;
    assert_eq!(world.tenant.mailboxes(), before);
    assert_eq!(
        world.ledgers().await,
        [],
        "nothing is remembered of what is not ours"
    );
}

#[tokio::test(start_paused = true)]
async fn whatever_speaks_against_an_adoption_nothing_is_written() {
    let none = || json!({});
    let person = SeedUser {
        mailbox: SeedMailbox::User,
        licensed: true,
        ..existing()
    };
    is_refused(person, none(), none(), "AddressInUse", &["person's own mailbox"]).await;
    let room = SeedUser {
        mailbox: SeedMailbox::Room,
        ..existing()
    };
    is_refused(room, none(), none(), "AddressInUse", &["RoomMailbox"]).await;
    let used = SeedUser {
        custom_attributes: [(15, "cost centre 7".to_owned())].into(),
        ..existing()
    };
    let parts = [
        "custom attribute 15",
        "ownership.markerAttribute",
        "Set-Mailbox -Identity",
        "-CustomAttribute15 $null",
    ];
    is_refused(used, none(), none(), "MarkerAttributeInUse", &parts).await;
    let synced = SeedUser {
        dir_synced: true,
        ..existing()
    };
    let parts = ["on-premises", "-IsExchangeCloudManaged $true"];
    is_refused(synced, none(), none(), "AdoptionRefused", &parts).await;
    is_refused(
        existing(),
        json!({ "powers": [] }),
        none(),
        "AddressInUse",
        &["the power Adopt", "powers: [Adopt]"],
    )
    .await;
    let narrow = json!({ "addresses": [SALES] });
    is_refused(
        existing(),
        narrow,
        none(),
        "AccessDenied",
        &["info@contoso.com", "every address that it has"],
    )
    .await;
    let nicknamed = SeedUser {
        alias: Some("ceo".to_owned()),
        addresses: vec!["ceo@contoso.onmicrosoft.com".to_owned()],
        ..existing()
    };
    is_refused(
        nicknamed,
        none(),
        none(),
        "AccessDenied",
        &["ceo@contoso.onmicrosoft.com"],
    )
    .await;
    let old = SeedUser {
        upn: "old@contoso.com".to_owned(),
        addresses: vec![SALES.to_owned()],
        ..existing()
    };
    let parts = [
        "primary address is old@contoso.com",
        "spec.emailAddress: old@contoso.com",
    ];
    is_refused(old, none(), none(), "AdoptionRefused", &parts).await;
}

#[tokio::test(start_paused = true)]
async fn a_synchronized_mailbox_that_was_handed_over_is_taken_over() {
    let synced = SeedUser {
        dir_synced: true,
        ..existing()
    };
    let world = world_with(synced, rule(&json!({}))).await;
    world.apply(&adopting(&json!({}))).await;
    world.wait_mailbox("sales", "False", "AdoptionRefused").await;
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "IsExchangeCloudManaged": true }),
    );
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn a_marker_of_somebody_else_is_never_taken_over() {
    let world = usual().await;
    let guid = view(&world).exchange_guid;
    let marker = |cluster: &str, resource: &str| {
        format!(
            "Managed by shared-mailbox-operator v1; cluster={cluster}; resource={resource}; \
             uid=9d4f0c5e-0000-4000-8000-000000000001; mailbox={guid}; change the Kubernetes resource, not this mailbox"
        )
    };
    for (cluster, resource) in [
        ("other/ffffffff", "team-sales/sales"),
        ("other/ffffffff", "team-x/x"),
        ("other/ffffffff", "team-sales/y"),
    ] {
        let text = marker(cluster, resource);
        admin(
            &world,
            "Set-Mailbox",
            json!({ "Identity": SALES, "CustomAttribute15": text }),
        );
        forget(&world);
        world.apply(&adopting(&json!({ "displayName": resource }))).await;
        world.sleep(INTERVAL).await;
        sales_is_refused(&world, "AddressInUse", &[SALES]).await;
        assert_eq!(view(&world).custom_attributes[&15], text);
    }
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_whose_marker_was_wiped_stays_that_of_the_resource_that_has_it() {
    let world = usual().await;
    world.apply(&adopting(&json!({}))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "CustomAttribute15": "", "DisplayName": "Theirs" }),
    );
    forget(&world);
    world.wait_mailbox("sales", "False", "NotOurs").await;
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "WindowsEmailAddress": "theirs@contoso.com" }),
    );
    let thief = json!({ "metadata": { "name": "thief" }, "spec": { "emailAddress": "theirs@contoso.com" } });
    world.apply(&with(adopting(&json!({})), &thief)).await;
    let object = world.wait_mailbox("thief", "False", "AdoptionRefused").await;
    says(&stalled(&object, "AdoptionRefused"), &["MailboxLedger remembers"]);
    assert_eq!(world.writes(), NOTHING);
}
