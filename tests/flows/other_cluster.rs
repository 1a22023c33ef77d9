//! Mailboxes, markers and ledgers of another cluster: nobody's here, until this cluster succeeds that one.

use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};
use shared_mailbox_operator::api::MailboxLedger;
use testkit::{World, tenant, with};

use super::kit::*;

const OTHER: &str = "production-1/0a1b2c3d";
const ONE_TIME_NAME: &str = "smo-0123456789abcdef0123456789abcdef";

fn succeeding() -> Value {
    with(
        tenant(),
        &json!({ "spec": { "ownership": { "succeeds": [OTHER] } } }),
    )
}

/// The marker of a mailbox as the other cluster wrote it.
fn of_the_other(marker: &str) -> String {
    let own = marker
        .split("cluster=")
        .nth(1)
        .and_then(|rest| rest.split(';').next());
    marker.replace(own.expect("a marker names its cluster"), OTHER)
}

/// `sales` as another cluster created it, with its ledger when `with_ledger`; the resource is applied here for the first
/// time, and the operator is not started.
async fn rebuilt(with_ledger: bool) -> World {
    let mut world = sales_with(&[FIRST, SECOND]).await;
    world.crash_operator().await;
    let marker = of_the_other(&view(&world).custom_attributes[&15]);
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "CustomAttribute15": marker }),
    );
    let mut ledgers = world.ledgers().await;
    for ledger in &mut ledgers {
        OTHER.clone_into(&mut ledger.spec.cluster);
    }
    if !with_ledger {
        ledgers.clear();
    }
    restore_ledgers(&world, &ledgers).await;
    world.delete_permission("team").await;
    let api = world.api::<shared_mailbox_operator::api::SharedMailbox>();
    api.delete("sales", &DeleteParams::default()).await.unwrap();
    world.apply(&sales(json!({}))).await;
    world.apply(&team(&[FIRST, SECOND])).await;
    forget(&world);
    world.start_operator();
    world
}

fn has_everybody(world: &World) {
    assert_eq!(view(world).full_access.len(), 2);
    assert_eq!(view(world).send_as.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_copied_ledger_that_announces_a_create_has_nobody_elses_mailbox_marked() {
    let mut world = World::without_operator(simulator::Seed::contoso()).await;
    // What the other cluster has created and not marked yet.
    admin(
        &world,
        "New-Mailbox",
        json!({ "Shared": true, "Name": "sales", "DisplayName": ONE_TIME_NAME, "Alias": "sales", "PrimarySmtpAddress": SALES }),
    );
    let ledger = json!({
        "apiVersion": "sharedmailbox.dev/v1alpha1", "kind": "MailboxLedger", "metadata": { "name": "copy" },
        "spec": {
            "format": 1, "seal": { "uid": "", "generation": 1 }, "cluster": OTHER,
            "tenant": { "name": "default", "guid": "11111111-2222-3333-4444-555555555555" },
            "resourceRef": { "namespace": "team-sales", "name": "sales", "uid": "their-uid" },
            "intent": {
                "oneTimeName": ONE_TIME_NAME, "alias": "sales", "address": SALES, "displayName": "Sales",
                "at": "2026-01-01T00:00:00Z",
            },
        },
    });
    let api: Api<MailboxLedger> = Api::all(world.client.clone());
    let ledger: MailboxLedger = serde_json::from_value(ledger).unwrap();
    api.create(&PostParams::default(), &ledger).await.unwrap();
    world.apply(&tenant()).await;
    world.apply(&sales(json!({}))).await;
    forget(&world);
    world.start_operator();
    let object = world
        .wait_mailbox("sales", "False", "LedgerOfAnotherCluster")
        .await;
    says(
        &stalled(&object, "LedgerOfAnotherCluster"),
        &[
            OTHER,
            "spec.ownership.succeeds",
            "kubectl delete mailboxledger copy",
        ],
    );
    // Nor when the resource is gone again.
    world.delete_mailbox("sales").await;
    world.sleep(48 * 3600).await;
    assert_eq!(world.writes(), NOTHING);
    let kept: Vec<_> = world
        .ledgers()
        .await
        .into_iter()
        .map(|ledger| ledger.spec)
        .collect();
    assert_eq!(
        kept,
        [ledger.spec],
        "what another cluster remembers is not written either"
    );
}

#[tokio::test(start_paused = true)]
async fn a_rebuilt_cluster_takes_its_mailboxes_over_with_what_is_remembered() {
    let world = rebuilt(true).await;
    world
        .wait_mailbox("sales", "False", "LedgerOfAnotherCluster")
        .await;
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    world.apply(&succeeding()).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    world.sleep(3600 + INTERVAL).await;
    has_everybody(&world);
    assert_eq!(world.writes(), ["Set-Mailbox"], "the marker, and nothing else");
    assert!(!view(&world).custom_attributes[&15].contains(OTHER));
    assert_ne!(world.ledger().await.spec.cluster, OTHER);
    // Who was remembered there is revoked here.
    world.apply(&team(&[FIRST])).await;
    until(&world, "a revocation", || view(&world).full_access.len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_rebuilt_cluster_without_ledgers_takes_its_mailboxes_over_without_memory() {
    let world = rebuilt(false).await;
    let object = world.wait_mailbox("sales", "False", "AddressInUse").await;
    says(
        &stalled(&object, "AddressInUse"),
        &[OTHER, "spec.ownership.succeeds"],
    );
    assert_eq!(world.writes(), NOTHING);
    world.apply(&succeeding()).await;
    world.wait_mailbox("sales", "True", "UpToDate").await;
    has_everybody(&world);
    assert_eq!(world.writes(), ["Set-Mailbox"], "the marker, and nothing else");
}

#[tokio::test(start_paused = true)]
async fn the_old_cluster_stops_when_another_has_taken_its_mailbox_over() {
    let world = sales_with(&[FIRST]).await;
    let marker = of_the_other(&view(&world).custom_attributes[&15]);
    admin(
        &world,
        "Set-Mailbox",
        json!({ "Identity": SALES, "CustomAttribute15": marker }),
    );
    forget(&world);
    let object = world.wait_mailbox("sales", "False", "TakenOver").await;
    says(
        &stalled(&object, "TakenOver"),
        &[OTHER, "Delete this SharedMailbox here"],
    );
    world.apply(&team(&[])).await;
    world.tenant.set_account_enabled(SALES, true).unwrap();
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
    world.delete_mailbox("sales").await;
    world.sleep(INTERVAL).await;
    assert_eq!(world.writes(), NOTHING);
}
