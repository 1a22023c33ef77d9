//! The main job: from manifests to a mailbox with its members, kept so, on a real API server.

use super::released;
use super::server::{RealServer, client, shared};
use std::collections::{BTreeMap, BTreeSet};
use testkit::{NAMESPACE, World, mailbox, permission, tenant, with};

use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde_json::json;
use shared_mailbox_operator::api::{ExchangeTenant, MailboxPermission, SharedMailbox};
use simulator::{JournalEntry, JournalKind, Rename};

const FIVE: [&str; 5] = [
    "first.member@contoso.com",
    "second.member@contoso.com",
    "third.member@contoso.com",
    "fourth.member@contoso.com",
    "fifth.member@contoso.com",
];

const SALES: &str = "sales@contoso.com";

type OnServer = World<RealServer>;

/// One story, in the order in which its parts happen: each step leaves what the next one begins with.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_with_its_members_is_created_kept_changed_released_and_taken_up_again() {
    let Some(shared) = shared() else { return };
    let server = RealServer(client(&shared.control_plane).await);
    let mut world = World::on(server, released::seed()).await;
    let often = json!({ "spec": { "drift": { "interval": "10s" } } });
    world.apply(&with(tenant(), &often)).await;
    world.start_operator();
    world.wait_tenant("True", "Connected").await;

    five_members_take_twelve_writes_and_a_handful_of_reads(&world).await;
    a_second_reconcile_reads_only_and_writes_nothing_to_kubernetes(&world).await;
    an_added_member_with_two_rights_takes_two_writes(&world).await;
    a_renamed_member_takes_no_write(&world).await;
    an_unblocked_sign_in_is_blocked_again(&world).await;
    a_deleted_resource_lets_go_of_the_mailbox_without_a_call(&world).await;
    an_applied_again_resource_takes_the_mailbox_up_again(&world).await;
    released::a_namespace_with_a_thousand_mailboxes_is_deleted_without_a_call_to_exchange(&mut world).await;
    world.stop_operator().await;
}

async fn five_members_take_twelve_writes_and_a_handful_of_reads(world: &OnServer) {
    // What the role can do is found out once it is connected, with reads.
    let probed = async || world.tenant_resource().await.status?.capabilities.map(drop);
    world.wait("the capabilities of the tenant", probed).await;
    let connecting = world.tenant.journal();
    assert_eq!(cmdlets(&connecting)["Get-AcceptedDomain"], 1);
    assert_eq!(connecting.iter().filter(|entry| entry.is_write()).count(), 0);
    world.tenant.clear_journal();
    // The mailbox last: a permission that a busy machine applies too late would be granted by a write of its own.
    world
        .apply(&permission("team", "sales", &FIVE, &["FullAccess", "SendAs"]))
        .await;
    world
        .apply(&permission("lead", "sales", &FIVE[..1], &["SendOnBehalf"]))
        .await;
    for name in ["team", "lead"] {
        world.wait_permission(name, "False", "MailboxNotFound").await;
    }
    world.apply(&mailbox("sales", SALES)).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
    world.wait_permission("lead", "True", "Granted").await;

    let journal = world.tenant.journal();
    let mut writes = world.writes();
    writes.sort();
    let mut expected = vec!["Add-MailboxPermission"; 5];
    expected.extend(["Add-RecipientPermission"; 5]);
    expected.extend(["New-Mailbox", "Set-Mailbox"]);
    assert_eq!(writes, expected);

    // Before the create, in one request: who has the address, as recipient or as person without a mailbox, and who
    // the members are.
    let created = position(&journal, "New-Mailbox");
    let (before, after) = journal.split_at(created);
    assert_eq!(cmdlets(before), [("Get-Recipient", 1), ("Get-User", 1)].into());
    let filtered = |entry: &&JournalEntry| matches!(&entry.kind, JournalKind::Cmdlet { parameters, .. } if parameters.get("Filter").is_some());
    assert_eq!(
        before.iter().filter(filtered).count(),
        2,
        "one filter finds the address and all members"
    );
    assert_eq!(requests(before).len(), 1);

    // After the grants, in one request: the mailbox and who may do what with it.
    let granted = after.iter().rposition(JournalEntry::is_write).unwrap();
    let (writing, confirming) = after.split_at(granted + 1);
    assert_eq!(
        requests(writing).len(),
        3,
        "New-, Set- and one batch of ten grants"
    );
    assert_eq!(requests(confirming).len(), 1);
    let looked_at = ["Get-Mailbox", "Get-MailboxPermission", "Get-RecipientPermission"];
    assert!(
        cmdlets(confirming).keys().eq(&looked_at),
        "{:?}",
        cmdlets(confirming)
    );
    let in_graph = |entry: &&JournalEntry| matches!(&entry.kind, JournalKind::Graph { .. });
    assert_eq!(
        confirming.iter().filter(in_graph).count(),
        1,
        "sign-in is verified in the directory"
    );

    let view = world.tenant.mailbox(SALES).unwrap();
    assert!(view.account_disabled);
    assert_eq!(
        (view.full_access.len(), view.send_as.len(), view.on_behalf.len()),
        (5, 5, 1)
    );
}

async fn a_second_reconcile_reads_only_and_writes_nothing_to_kubernetes(world: &OnServer) {
    // What a replica may still have to say about the creation is over after a recheck.
    a_recheck(world).await;
    let before = versions(world).await;
    world.tenant.clear_journal();
    a_recheck(world).await;
    assert_eq!(world.writes(), Vec::<String>::new());
    assert_eq!(versions(world).await, before);
}

async fn an_added_member_with_two_rights_takes_two_writes(world: &OnServer) {
    world.tenant.clear_journal();
    let six = [&FIVE[..], &["sixth.member@contoso.com"]].concat();
    world
        .apply(&permission("team", "sales", &six, &["FullAccess", "SendAs"]))
        .await;
    let team = world.wait_permission("team", "True", "Granted").await;
    assert_eq!(team.status.unwrap().member_summary.as_deref(), Some("6/6"));
    assert_eq!(
        world.writes(),
        ["Add-MailboxPermission", "Add-RecipientPermission"]
    );
}

async fn a_renamed_member_takes_no_write(world: &OnServer) {
    let new_names = Rename {
        upn: Some("married.name@contoso.com".to_owned()),
        address: Some("married.name@contoso.com".to_owned()),
        display_name: Some("Married Name".to_owned()),
        drop_old_address: false,
    };
    world.tenant.rename_user(FIVE[0], &new_names).unwrap();
    world.tenant.clear_journal();
    a_recheck(world).await;
    assert_eq!(world.writes(), Vec::<String>::new());
    let view = world.tenant.mailbox(SALES).unwrap();
    assert_eq!(view.full_access.len(), 6, "{view:?}");
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.wait_permission("team", "True", "Granted").await;
}

async fn an_unblocked_sign_in_is_blocked_again(world: &OnServer) {
    world.tenant.set_account_enabled(SALES, true).unwrap();
    event(world, "DriftRepaired").await;
    assert!(world.tenant.mailbox(SALES).unwrap().account_disabled);
    let sales = world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(sales.status.unwrap().sign_in.as_deref(), Some("Blocked"));
}

async fn a_deleted_resource_lets_go_of_the_mailbox_without_a_call(world: &OnServer) {
    a_recheck(world).await;
    let before = world.tenant.mailbox(SALES).unwrap();
    assert!(world.mailbox("sales").await.finalizers().is_empty());
    world.tenant.clear_journal();
    world.delete_mailbox("sales").await;
    world
        .wait("the end of the resource", async || {
            let left = world.api::<SharedMailbox>().get_opt("sales").await.unwrap();
            left.is_none().then_some(())
        })
        .await;
    world.wait_permission("team", "False", "MailboxNotFound").await;
    assert_eq!(world.tenant.journal(), []);
    assert_eq!(world.tenant.mailbox(SALES).unwrap(), before);
}

async fn an_applied_again_resource_takes_the_mailbox_up_again(world: &OnServer) {
    let guid = world.tenant.mailbox(SALES).unwrap().exchange_guid.to_string();
    world.tenant.clear_journal();
    world.apply(&mailbox("sales", SALES)).await;
    let sales = world.wait_mailbox("sales", "True", "UpToDate").await;
    assert_eq!(sales.status.unwrap().mailbox_guid, Some(guid));
    world.wait_permission("team", "True", "Granted").await;
    event(world, "Reattached").await;
    assert_eq!(
        world.writes(),
        ["Set-Mailbox"],
        "the marker names the new resource"
    );
}

/// Waits until the operator has rechecked the mailbox once more, all on its own.
async fn a_recheck(world: &OnServer) {
    let since = world.tenant.journal().last().map_or(0, |entry| entry.sequence);
    let reads = ["Get-Mailbox", "Get-MailboxPermission", "Get-RecipientPermission"];
    world
        .wait("a recheck of the mailbox", async || {
            let journal = world.tenant.journal_since(since);
            let seen = cmdlets(&journal);
            reads.iter().all(|read| seen.contains_key(read)).then_some(())
        })
        .await;
    // The status, if there were one to write, follows the last answer.
    world.sleep(1).await;
}

/// How often each cmdlet was asked for.
fn cmdlets(journal: &[JournalEntry]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for name in journal.iter().filter_map(JournalEntry::cmdlet) {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

/// The HTTP requests that carried cmdlets.
fn requests(journal: &[JournalEntry]) -> BTreeSet<u64> {
    let asked = journal.iter().filter(|entry| entry.cmdlet().is_some());
    asked.filter_map(|entry| entry.request).collect()
}

fn position(journal: &[JournalEntry], cmdlet: &str) -> usize {
    journal
        .iter()
        .position(|entry| entry.cmdlet() == Some(cmdlet))
        .unwrap()
}

/// `resourceVersion` of everything of ours that this test created.
async fn versions(world: &OnServer) -> BTreeMap<String, String> {
    let params = ListParams::default();
    let mut versions = BTreeMap::new();
    let tenants: Api<ExchangeTenant> = Api::all(world.client.clone());
    let tenant = tenants.get("default").await.unwrap();
    versions.insert("tenant".to_owned(), tenant.resource_version().unwrap());
    for object in world.api::<SharedMailbox>().list(&params).await.unwrap() {
        versions.insert(
            format!("mailbox {}", object.name_any()),
            object.resource_version().unwrap(),
        );
    }
    for object in world.api::<MailboxPermission>().list(&params).await.unwrap() {
        versions.insert(
            format!("permission {}", object.name_any()),
            object.resource_version().unwrap(),
        );
    }
    versions
}

/// Waits for an event on the mailbox.
async fn event(world: &OnServer, reason: &str) {
    let events: Api<k8s_openapi::api::events::v1::Event> = Api::namespaced(world.client.clone(), NAMESPACE);
    world
        .wait(format!("an event {reason}"), async || {
            let all = events.list(&ListParams::default()).await.unwrap();
            let found = all.iter().any(|event| event.reason.as_deref() == Some(reason));
            found.then_some(())
        })
        .await;
}
