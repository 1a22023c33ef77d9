//! From manifests to a mailbox with its members.

use super::kit::events_about;
use serde_json::json;
use testkit::{World, condition, mailbox, permission, with};

const FIVE: [&str; 5] = [
    "first.member@contoso.com",
    "second.member@contoso.com",
    "third.member@contoso.com",
    "fourth.member@contoso.com",
    "fifth.member@contoso.com",
];

fn count(names: &[String], name: &str) -> usize {
    names.iter().filter(|other| *other == name).count()
}

async fn five_members() -> World {
    let world = World::start().await;
    world.apply(&mailbox("sales", "sales@contoso.com")).await;
    world
        .apply(&permission("team", "sales", &FIVE, &["FullAccess", "SendAs"]))
        .await;
    world
        .apply(&permission("lead", "sales", &FIVE[..1], &["SendOnBehalf"]))
        .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_with_five_members_takes_twelve_writes_and_a_handful_of_reads() {
    let world = five_members().await;
    let writes = world.writes();
    assert_eq!(count(&writes, "New-Mailbox"), 1, "{writes:?}");
    assert_eq!(count(&writes, "Set-Mailbox"), 1, "{writes:?}");
    assert_eq!(count(&writes, "Add-MailboxPermission"), 5, "{writes:?}");
    assert_eq!(count(&writes, "Add-RecipientPermission"), 5, "{writes:?}");
    assert_eq!(writes.len(), 12, "{writes:?}");
    let reads = world.reads();
    println!("{reads:?}");
    println!("{:?}", world.kubernetes_writes());
    world.sleep(5).await;
    let mut events = Vec::new();
    for name in ["sales", "team", "lead"] {
        events.extend(events_about(&world, name).await);
    }
    assert_eq!(
        events.len(),
        3,
        "one for the mailbox and one for each permission: {events:?}"
    );
    let view = world.tenant.mailbox("sales@contoso.com").unwrap();
    assert!(view.account_disabled);
    assert_eq!(view.display_name, "sales");
    assert_eq!(view.full_access.len(), 5);
    assert_eq!(view.send_as.len(), 5);
    assert_eq!(view.on_behalf.len(), 1);
    let sales = world.mailbox("sales").await;
    assert_eq!(condition(&sales, "SignInBlocked").unwrap().reason, "Blocked");
    let status = sales.status.unwrap();
    assert_eq!(status.member_summary.as_deref(), Some("5"));
    assert_eq!(status.sign_in.as_deref(), Some("Blocked"));
    let team = world
        .wait_permission("team", "True", "Granted")
        .await
        .status
        .unwrap();
    assert_eq!(team.member_summary.as_deref(), Some("5/5"));
    assert_eq!(team.rights.as_deref(), Some("FullAccess,SendAs"));
}

#[tokio::test(start_paused = true)]
async fn a_second_reconcile_without_a_change_reads_only_and_writes_nothing_to_kubernetes() {
    let world = five_members().await;
    world.sleep(5).await;
    world.tenant.clear_journal();
    world.server.forget_requests();
    world.sleep(1300).await;
    assert_eq!(world.writes(), Vec::<String>::new());
    assert!(!world.reads().is_empty(), "it was rechecked");
    assert_eq!(world.kubernetes_writes(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn one_added_member_with_two_rights_costs_two_writes_and_taking_one_away_two() {
    let world = five_members().await;
    world.sleep(5).await;
    world.tenant.clear_journal();
    let six = [&FIVE[..], &["sixth.member@contoso.com"]].concat();
    world
        .apply(&permission("team", "sales", &six, &["FullAccess", "SendAs"]))
        .await;
    world.wait_permission("team", "True", "Granted").await;
    assert_eq!(
        world.writes(),
        ["Add-MailboxPermission", "Add-RecipientPermission"]
    );
    world.tenant.clear_journal();
    world
        .apply(&permission("team", "sales", &six[1..], &["FullAccess", "SendAs"]))
        .await;
    world.wait_permission("team", "True", "Granted").await;
    let mut writes = world.writes();
    writes.sort();
    assert_eq!(writes, ["Remove-MailboxPermission", "Remove-RecipientPermission"]);
    let view = world.tenant.mailbox("sales@contoso.com").unwrap();
    assert_eq!(view.on_behalf.len(), 1, "what another permission declares stays");
    assert_eq!(view.full_access.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn aliases_and_names_follow_the_manifest() {
    let world = World::start().await;
    let manifest = mailbox("sales", "sales@contoso.com");
    world
        .apply(&with(
            manifest.clone(),
            &json!({"spec": {"aliases": ["info@contoso.com", "help@contoso.com"]}}),
        ))
        .await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let addresses = world.tenant.mailbox("sales@contoso.com").unwrap().addresses;
    assert!(
        addresses.contains(&"smtp:info@contoso.com".to_owned()),
        "{addresses:?}"
    );
    let changed = json!({"spec": {"displayName": "Sales EMEA", "emailAddress": "emea@contoso.com", "aliases": ["help@contoso.com"]}});
    world.apply(&with(manifest, &changed)).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    let view = world.tenant.mailbox("emea@contoso.com").unwrap();
    assert_eq!(view.display_name, "Sales EMEA");
    assert_eq!(view.primary_address, "emea@contoso.com");
    assert!(
        !view.addresses.contains(&"smtp:info@contoso.com".to_owned()),
        "{:?}",
        view.addresses
    );
    assert!(
        view.addresses.contains(&"smtp:sales@contoso.com".to_owned()),
        "a former primary address stays"
    );
}
