//! Whoever must lose access does not wait behind a backlog.

use serde_json::{Value, json};
use simulator::{Delay, Faults, Profile, Seed};

use testkit::{World, mailbox, permission, tenant, with};

/// `sales` loses somebody by this manifest before anything else is written but what was in flight.
async fn is_the_next_write(world: &World, manifest: &Value) {
    let before = world.writes().len();
    world.apply(manifest).await;
    world
        .wait("the revocation", async || {
            (world.tenant.mailbox("sales@contoso.com")?.send_as.len() == 1).then_some(())
        })
        .await;
    let after = world.writes();
    let mut later = after[before..].iter();
    let first = later.position(|name| name.starts_with("Remove-")).unwrap();
    assert!(
        first <= 4,
        "only what was in flight went first: {:?}",
        &after[before..=before + first]
    );
}

#[tokio::test(start_paused = true)]
async fn a_revocation_is_the_next_write_even_when_every_reconcile_waits_for_the_tenants_budget() {
    let mut world = World::without_operator(Seed::contoso()).await;
    let slow = json!({ "spec": { "limits": { "writesPerMinute": 6 } } });
    world.apply(&with(tenant(), &slow)).await;
    world.start_operator();
    let members = ["first.member@contoso.com", "second.member@contoso.com"];
    world.apply(&mailbox("sales", "sales@contoso.com")).await;
    world
        .apply(&permission("team", "sales", &members, &["FullAccess", "SendAs"]))
        .await;
    world.wait_permission("team", "True", "Granted").await;
    // Far more writes than a minute's budget of 6, and more mailboxes than reconciles at a time.
    for number in 0..45 {
        let name = format!("box{number}");
        world.apply(&mailbox(&name, &format!("{name}@contoso.com"))).await;
        world
            .apply(&permission(&name, &name, &members, &["FullAccess", "SendAs"]))
            .await;
    }
    world.sleep(120).await;
    let written = world.writes().len();
    assert!(written < 45 * 6, "the budget holds the backlog back: {written}");
    let taken_away = permission("team", "sales", &members[..1], &["FullAccess", "SendAs"]);
    is_the_next_write(&world, &taken_away).await;
}

/// How many of eighty other mailboxes were rechecked before `sales` lost what was taken away while no process ran.
async fn rechecks_before_what_nobody_saw(by_edit: bool) -> usize {
    let mut world = World::start().await;
    let rules = json!({ "spec": { "access": [{
        "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com"], "members": ["*@contoso.com"],
        "rights": ["FullAccess"], "maxMailboxes": 100 }] } });
    world.apply(&with(tenant(), &rules)).await;
    let members = ["first.member@contoso.com"];
    let names: Vec<String> = (0..80).map(|number| format!("box{number:02}")).collect();
    for name in &names {
        world.apply(&mailbox(name, &format!("{name}@contoso.com"))).await;
    }
    world.apply(&mailbox("sales", "sales@contoso.com")).await;
    world
        .apply(&permission("team", "sales", &members, &["FullAccess"]))
        .await;
    for name in &names {
        world.wait_mailbox(name, "True", "UpToDate").await;
    }
    world.wait_permission("team", "True", "Granted").await;
    world.sleep(5).await;
    world.crash_operator().await;
    if by_edit {
        world
            .apply(&permission("team", "sales", &[], &["FullAccess"]))
            .await;
    } else {
        world.delete_permission("team").await;
    }
    world.tenant.clear_journal();
    world.tenant.set_faults(Faults {
        latency: Delay::fixed(2_000),
        ..Faults::default()
    });
    world.start_operator();
    world
        .wait("the revocation", async || {
            (world.writes().len() == 1).then_some(())
        })
        .await;
    assert_eq!(world.writes(), ["Remove-MailboxPermission"]);
    world.reads().iter().filter(|read| *read == "Get-Mailbox").count()
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_nobody_saw_before_a_restart_does_not_wait_behind_the_regular_rechecks() {
    // Pages of three rows, and filters of three conditions, multiply the requests that are counted here.
    if super::kit::tenants_are(&[Profile::Y2026, Profile::NarrowRole]) {
        return;
    }
    // Before a permission that is gone counts as deleted by itself, a second passes.
    for (by_edit, most) in [(true, 20), (false, 40)] {
        let rechecks = rechecks_before_what_nobody_saw(by_edit).await;
        assert!(
            rechecks <= most,
            "{rechecks} of 81 mailboxes were rechecked first; by an edit: {by_edit}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_revocation_overtakes_ten_thousand_mailboxes_that_wait_for_their_repair() {
    let mut world = World::without_operator(Seed::contoso()).await;
    let slow = json!({ "spec": { "limits": { "writesPerMinute": 6 }, "access": [{
        "namespaces": { "names": ["team-sales"] }, "addresses": ["*@contoso.com"], "members": ["*@contoso.com"],
        "rights": ["FullAccess", "SendAs"], "maxMailboxes": 100_000 }] } });
    world.apply(&with(tenant(), &slow)).await;
    world.start_operator();
    let members = ["first.member@contoso.com", "second.member@contoso.com"];
    world.apply(&mailbox("sales", "sales@contoso.com")).await;
    world
        .apply(&permission("team", "sales", &members, &["SendAs"]))
        .await;
    world.wait_permission("team", "True", "Granted").await;
    let api: kube::Api<shared_mailbox_operator::api::SharedMailbox> = world.api();
    for number in 0..10_000 {
        let name = format!("box{number}");
        let object = serde_json::from_value(mailbox(&name, &format!("{name}@contoso.com"))).unwrap();
        api.create(&kube::api::PostParams::default(), &object)
            .await
            .unwrap();
    }
    world.sleep(60).await;
    let taken_away = permission("team", "sales", &members[..1], &["SendAs"]);
    is_the_next_write(&world, &taken_away).await;
}
