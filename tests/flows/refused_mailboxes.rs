//! Mailboxes that are refused: each with a message a person can act on, and nothing written to Exchange.

use super::kit::*;
use serde_json::{Value, json};
use simulator::{Seed, SeedMailbox, SeedUser};
use testkit::{World, mailbox, tenant, with};

#[tokio::test(start_paused = true)]
async fn the_api_server_refuses_what_the_schema_can_express() {
    let world = World::start().await;
    for (change, field) in [
        (json!({ "emailAddress": "sales" }), "spec.emailAddress"),
        (
            json!({ "emailAddress": "sa les@contoso.com" }),
            "spec.emailAddress",
        ),
        (
            json!({ "emailAddress": "o'neil@contoso.com" }),
            "spec.emailAddress",
        ),
        (
            json!({ "aliases": ["info@contoso.com", "in\"fo@contoso.com"] }),
            "spec.aliases[1]",
        ),
        (json!({ "alias": "sa'les" }), "spec.alias"),
        (json!({ "displayName": "" }), "spec.displayName"),
        (json!({ "management": "Whatever" }), "spec.management"),
    ] {
        let error = world.try_apply(&sales(change)).await.unwrap_err().to_string();
        assert!(error.contains(field), "{field}: {error}");
    }
    let journal = format!("{:?}", world.tenant.journal());
    assert!(!journal.contains("sales"), "a mailbox was looked up: {journal}");
}

#[tokio::test(start_paused = true)]
async fn values_that_the_schema_cannot_express_are_refused_by_the_operator() {
    for (change, parts) in [
        (
            json!({ "emailAddress": "sales..emea@contoso.com" }),
            ["spec.emailAddress", "sales..emea@contoso.com", "dot"],
        ),
        (
            json!({ "aliases": ["info@contoso.com", ".x@contoso.com"] }),
            ["spec.aliases[1]", ".x@contoso.com", "dot"],
        ),
        (
            json!({ "displayName": "Sales\u{7}" }),
            ["spec.displayName", "control", "characters"],
        ),
        (
            json!({ "displayName": "   " }),
            ["spec.displayName", "blanks", "must"],
        ),
        (
            json!({ "mailTip": "Hello\u{0}" }),
            ["spec.mailTip", "control", "characters"],
        ),
    ] {
        let world = World::start().await;
        world.apply(&sales(change)).await;
        sales_is_refused(&world, "InvalidSpec", &parts).await;
    }
}

#[tokio::test(start_paused = true)]
async fn guard_rails_name_the_rule_that_would_admit() {
    let no_rule = json!({ "spec": { "access": [] } });
    let only_marketing = json!({ "spec": { "access": [{
        "namespaces": { "names": ["team-sales"] }, "addresses": ["marketing@contoso.com"] }] } });
    let rule = "namespaces: {names: [team-sales]}, addresses: [sales@contoso.com]";
    let power = "powers: [AllowSignIn]";
    let no_power = json!({ "spec": { "access": [{
        "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com"] }] } });
    for (tenant, change, parts) in [
        (no_rule, json!({}), ["no access rule", "\"team-sales\"", rule]),
        (
            only_marketing.clone(),
            json!({}),
            ["no access rule", "sales@contoso.com", rule],
        ),
        (
            no_power,
            json!({ "signIn": "Allowed" }),
            ["the power AllowSignIn", "\"team-sales\"", power],
        ),
        (
            only_marketing,
            json!({ "emailAddress": "marketing@contoso.com", "aliases": [SALES] }),
            [
                "no access rule",
                "sales@contoso.com",
                "addresses: [marketing@contoso.com, sales@contoso.com]",
            ],
        ),
    ] {
        let world = world(Seed::contoso(), tenant).await;
        world.apply(&sales(change)).await;
        sales_is_refused(&world, "AccessDenied", &parts).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_the_tenant_does_not_accept_is_named_with_those_that_it_has() {
    let rules = json!({ "spec": { "access": [{
        "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com", "*@fabrikam.com"] }] } });
    let world = world(Seed::contoso(), rules).await;
    world
        .apply(&sales(json!({ "aliases": ["sales@fabrikam.com"] })))
        .await;
    let parts = [
        "sales@fabrikam.com",
        "fabrikam.com is not an accepted domain",
        "contoso.com, contoso.onmicrosoft.com",
    ];
    sales_is_refused(&world, "DomainNotAccepted", &parts).await;
}

fn one_mailbox_a_namespace() -> Value {
    json!({ "spec": { "access": [{
        "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com"], "maxMailboxes": 1 }] } })
}

#[tokio::test(start_paused = true)]
async fn one_mailbox_too_many_is_refused_and_one_that_was_kept_counts_for_90_days() {
    let world = world(Seed::contoso(), one_mailbox_a_namespace()).await;
    world.apply(&mailbox("first", "first@contoso.com")).await;
    world.wait_mailbox("first", "True", "UpToDate").await;
    forget(&world);
    world.apply(&sales(json!({}))).await;
    sales_is_refused(
        &world,
        "AccessDenied",
        &["\"team-sales\"", "its 1 mailbox already", "maxMailboxes"],
    )
    .await;
    // The mailbox is still there, and still the namespace's.
    world.delete_mailbox("first").await;
    world.sleep(2 * INTERVAL).await;
    sales_is_refused(&world, "AccessDenied", &["its 1 mailbox already"]).await;
    let ago = |days: i64| world.server.now() - jiff::SignedDuration::from_hours(days * 24);
    patch_ledger(&world, json!({ "releasedAt": ago(89) })).await;
    world.sleep(2 * INTERVAL).await;
    sales_is_refused(&world, "AccessDenied", &["its 1 mailbox already"]).await;
    patch_ledger(&world, json!({ "releasedAt": ago(91) })).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_was_refused_first_does_not_slip_past_the_limit_later() {
    let world = world(Seed::contoso(), one_mailbox_a_namespace()).await;
    world
        .apply(&sales(json!({ "emailAddress": "sales@contoso.onmicrosoft.com" })))
        .await;
    world.wait_mailbox("sales", "False", "AccessDenied").await;
    world.sleep(2).await;
    world.apply(&mailbox("younger", "younger@contoso.com")).await;
    world.wait_mailbox("younger", "True", "UpToDate").await;
    forget(&world);
    world.apply(&sales(json!({}))).await;
    sales_is_refused(&world, "AccessDenied", &["its 1 mailbox already", "maxMailboxes"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_asks_for_what_no_rule_admits_makes_no_room_for_another() {
    let world = world(Seed::contoso(), one_mailbox_a_namespace()).await;
    world.apply(&mailbox("first", "first@contoso.com")).await;
    world.wait_mailbox("first", "True", "UpToDate").await;
    let asks = json!({ "spec": { "aliases": ["first@contoso.onmicrosoft.com"] } });
    world
        .apply(&with(mailbox("first", "first@contoso.com"), &asks))
        .await;
    world.wait_mailbox("first", "False", "AccessDenied").await;
    forget(&world);
    world.apply(&sales(json!({}))).await;
    sales_is_refused(&world, "AccessDenied", &["its 1 mailbox already", "maxMailboxes"]).await;
}

fn marked(text: &str) -> SeedUser {
    let mut user = SeedUser::shared_mailbox(SALES, "Sales");
    user.custom_attributes.insert(15, text.to_owned());
    user
}

#[tokio::test(start_paused = true)]
async fn what_exists_and_is_not_ours_is_left_alone() {
    let foreign = "Managed by shared-mailbox-operator v1; cluster=other/00000000; resource=team-sales/sales; \
                   uid=00000000-0000-0000-0000-000000000000; mailbox=44444444-4444-4444-8444-444444444444; \
                   change the Kubernetes resource, not this mailbox";
    let room = SeedUser {
        mailbox: SeedMailbox::Room,
        ..SeedUser::person(SALES, "Room")
    };
    let elsewhere = SeedUser {
        addresses: vec![SALES.to_owned()],
        ..SeedUser::person("somebody@contoso.com", "Somebody")
    };
    let before = |seed: SeedUser| Seed::contoso().with_user(seed);
    for (seed, parts) in [
        (
            before(SeedUser::shared_mailbox(SALES, "Sales")),
            [SALES, "shared mailbox that is not ours"],
        ),
        (
            before(marked("cost centre 4711")),
            [SALES, "shared mailbox that is not ours"],
        ),
        (
            before(marked(foreign)),
            [SALES, "shared mailbox that is not ours"],
        ),
        (
            before(SeedUser::person(SALES, "Person")),
            [SALES, "a person's own mailbox"],
        ),
        (before(elsewhere), [SALES, "a person's own mailbox"]),
        (
            before(SeedUser::without_mailbox(SALES, "Person")),
            [SALES, "sign-in name of a person"],
        ),
        (before(room), [SALES, "RoomMailbox"]),
    ] {
        let world = world(seed, json!({})).await;
        let untouched = world.tenant.state()["objects"].clone();
        world.apply(&sales(json!({}))).await;
        world.apply(&team(&[FIRST])).await;
        sales_is_refused(&world, "AddressInUse", &parts).await;
        let team = world.wait_permission("team", "False", "MailboxNotReady").await;
        says(&stalled(&team, "MailboxNotReady"), &parts);
        assert_eq!(world.tenant.state()["objects"], untouched);
    }
}

#[tokio::test(start_paused = true)]
async fn an_alias_that_somebody_has_is_as_good_a_reason() {
    let world = World::start().await;
    world
        .apply(&sales(json!({ "aliases": [FIRST, "info@contoso.com"] })))
        .await;
    sales_is_refused(&world, "AddressInUse", &[FIRST, "a person's own mailbox"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_declared_nickname_that_is_taken_is_refused_and_a_derived_one_numbered() {
    let taken = SeedUser {
        alias: Some("sales".into()),
        ..SeedUser::person("vendite@contoso.com", "Vendite")
    };
    // Other nicknames than derived ones take an address in the initial domain, which a rule has to admit.
    let mut access = tenant()["spec"]["access"].clone();
    let addresses = access[0]["addresses"].as_array_mut().unwrap();
    addresses.push(json!("*@contoso.onmicrosoft.com"));
    let change = json!({ "spec": { "access": access } });
    let world = world(Seed::contoso().with_user(taken), change).await;
    world.apply(&sales(json!({ "alias": "sales" }))).await;
    sales_is_refused(
        &world,
        "AddressInUse",
        &["sales@contoso.onmicrosoft.com", "nickname", "spec.alias"],
    )
    .await;
    world.apply(&sales(json!({ "alias": "sales-info" }))).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(view(&world).alias, "sales-info");
    let derived = mailbox("derived", "sales@sales.contoso.com");
    world.apply(&derived).await;
    world.wait_mailbox("derived", "True", "UpToDate").await;
    assert_eq!(
        world.tenant.mailbox("sales@sales.contoso.com").unwrap().alias,
        "sales2"
    );
}

#[tokio::test(start_paused = true)]
async fn a_soft_deleted_mailbox_keeps_its_address() {
    let world = world(
        Seed::contoso().with_user(SeedUser::shared_mailbox(SALES, "Sales")),
        json!({}),
    )
    .await;
    admin(&world, "Remove-Mailbox", json!({ "Identity": SALES }));
    world.apply(&sales(json!({}))).await;
    sales_is_refused(
        &world,
        "AddressInUse",
        &[SALES, "soft-deleted", "restore", "purge", "30 days"],
    )
    .await;
    admin(
        &world,
        "Remove-Mailbox",
        json!({ "Identity": SALES, "PermanentlyDelete": true }),
    );
    world.wait_mailbox("sales", "True", "UpToDate").await;
}
