//! A namespace with a thousand mailboxes is deleted: nothing holds it up, Exchange is asked nothing, and the ledgers
//! remember who holds what.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use shared_mailbox_operator::api::{GrantState, MailboxLedger, MailboxPermission, SharedMailbox};
use simulator::{Seed, SeedUser};
use testkit::{World, ledger, mailbox, permission, ready, tenant, with};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::server::RealServer;

const NAMESPACE: &str = "a-thousand";
const COUNT: u128 = 1_000;
/// One in so many has a member: that is enough permissions to be gone before their mailboxes are.
const HAS_A_MEMBER: u128 = 10;
/// Requests to the API server at a time.
const AT_ONCE: usize = 32;
const MEMBER: &str = "anna@contoso.com";
const MEMBER_ID: Uuid = Uuid::from_u128(0xa11a);
/// A reconcile has its next call sent long before.
const QUIET: Duration = Duration::from_secs(3);
const DELETED_WITHIN: Duration = Duration::from_mins(1);

type OnServer = World<RealServer>;

/// The mailboxes as they were created earlier, and somebody who may use them.
pub fn seed() -> Seed {
    let anna = SeedUser {
        object_id: Some(MEMBER_ID),
        ..SeedUser::person(MEMBER, "Anna")
    };
    let mailbox = |number| SeedUser {
        account_disabled: true,
        ..SeedUser::shared_mailbox(&address(number), &name(number))
    };
    let mut seed = Seed::contoso().with_user(anna);
    seed.users.extend((0..COUNT).map(mailbox));
    seed
}

pub async fn a_namespace_with_a_thousand_mailboxes_is_deleted_without_a_call_to_exchange(
    world: &mut OnServer,
) {
    world.stop_operator().await;
    // Nothing is rechecked meanwhile.
    let mut tenant = with(tenant(), &json!({ "spec": { "drift": { "interval": "24h" } } }));
    tenant["spec"]["access"][0]["namespaces"]["names"] = json!([testkit::NAMESPACE, NAMESPACE]);
    world.apply(&tenant).await;
    world.ensure_namespace(NAMESPACE).await;
    let cluster = cluster_of(world).await;
    let all = futures::stream::iter(0..COUNT);
    all.for_each_concurrent(AT_ONCE, |number| create(world, &cluster, number))
        .await;
    world.tenant.clear_journal();
    world.start_operator();
    all_are_ready(world).await;
    assert_eq!(world.writes(), Vec::<String>::new(), "they are as declared");

    let mailboxes: Api<SharedMailbox> = Api::namespaced(world.client.clone(), NAMESPACE);
    let before = mailboxes.list(&ListParams::default()).await.unwrap();
    assert!(before.iter().all(|mailbox| mailbox.finalizers().is_empty()));
    nothing_is_asked_any_more(world).await;
    world.tenant.clear_journal();
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces
        .delete(NAMESPACE, &DeleteParams::default())
        .await
        .unwrap();
    let since = before.metadata.resource_version.unwrap();
    let gone = async {
        let names = all_deletions(&mailboxes, &since).await;
        while namespaces.get_opt(NAMESPACE).await.unwrap().is_some() {
            sleep(Duration::from_millis(200)).await;
        }
        names
    };
    let names = timeout(DELETED_WITHIN, gone)
        .await
        .expect("the namespace is gone within a minute");
    assert_eq!(names.len() as u128, COUNT);
    let members = all_released(world).await;
    assert_eq!(members as u128, COUNT / HAS_A_MEMBER, "the ledgers remember them");
    assert_eq!(world.tenant.journal(), [], "Exchange is asked nothing");
    for number in (0..COUNT).filter(has_a_member) {
        let view = world.tenant.mailbox(&address(number)).unwrap();
        assert_eq!(view.send_as, [MEMBER_ID], "{number}");
    }
}

/// Mailboxes of other namespaces are read at the start, too, and perhaps after the last one of ours.
async fn nothing_is_asked_any_more(world: &OnServer) {
    let mut last = world.tenant.journal().len();
    for _ in 0..60 {
        sleep(QUIET).await;
        let now = world.tenant.journal().len();
        if now == last {
            return;
        }
        last = now;
    }
    panic!("Exchange is asked again and again");
}

fn name(number: u128) -> String {
    format!("box{number}")
}

fn address(number: u128) -> String {
    format!("{}@contoso.com", name(number))
}

fn has_a_member(number: &u128) -> bool {
    number.is_multiple_of(HAS_A_MEMBER)
}

/// As markers and ledgers name the cluster.
async fn cluster_of(world: &OnServer) -> String {
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    let uid = namespaces.get("kube-system").await.unwrap().uid().unwrap();
    let tenant = world.tenant_resource().await;
    format!("{}/{}", tenant.spec.ownership.cluster_id, &uid[..8])
}

/// A SharedMailbox with its ledger, its marked mailbox and perhaps a member, as an operator leaves them.
async fn create(world: &OnServer, cluster: &str, number: u128) {
    let (name, address) = (name(number), address(number));
    let here = json!({ "metadata": { "namespace": NAMESPACE } });
    let api: Api<SharedMailbox> = Api::namespaced(world.client.clone(), NAMESPACE);
    let object: SharedMailbox = serde_json::from_value(with(mailbox(&name, &address), &here)).unwrap();
    let object = api.create(&PostParams::default(), &object).await.unwrap();
    let uid = object.uid().unwrap();
    let guid = world.tenant.mailbox(&address).unwrap().exchange_guid;
    let marker = format!(
        "Managed by shared-mailbox-operator v1; cluster={cluster}; resource={NAMESPACE}/{name}; uid={uid}; \
         mailbox={guid}; change the Kubernetes resource, not this mailbox"
    );
    let set = json!({ "Identity": address, "CustomAttribute15": marker });
    world.tenant.admin_cmdlet("Set-Mailbox", set).unwrap();

    let mut people = json!([]);
    if has_a_member(&number) {
        let team = with(permission(&name, &name, &[MEMBER], &["SendAs"]), &here);
        let team: MailboxPermission = serde_json::from_value(team).unwrap();
        let api: Api<MailboxPermission> = Api::namespaced(world.client.clone(), NAMESPACE);
        api.create(&PostParams::default(), &team).await.unwrap();
        let granted = json!({ "Identity": address, "Trustee": MEMBER, "AccessRights": ["SendAs"] });
        world
            .tenant
            .admin_cmdlet("Add-RecipientPermission", granted)
            .unwrap();
        people = json!([{
            "id": MEMBER_ID, "writtenAs": [MEMBER],
            "rights": { "SendAs": { "state": "Granted", "by": [0], "as": [0] } },
        }]);
    }
    let spec = json!({
        "cluster": cluster,
        "tenant": { "guid": tenant()["spec"]["tenantId"] },
        "resourceRef": { "namespace": NAMESPACE, "name": name, "uid": uid },
        "mailbox": { "guid": guid, "address": address },
        "permissions": [name],
        "people": [],
    });
    store_sealed(world, with(ledger(&uid), &json!({ "spec": spec })), people).await;
}

/// Only an object that has a uid can be sealed with people, so the first version lists nobody.
async fn store_sealed(world: &OnServer, manifest: Value, people: Value) {
    let ledgers: Api<MailboxLedger> = Api::all(world.client.clone());
    let params = PostParams::default();
    let empty: MailboxLedger = serde_json::from_value(manifest).unwrap();
    let mut ledger = ledgers.create(&params, &empty).await.unwrap();
    if people != json!([]) {
        ledger.spec.people = serde_json::from_value(people).unwrap();
        ledger.spec.seal = Some(shared_mailbox_operator::ledger::seal(Some(&ledger)));
        ledgers
            .replace(&ledger.name_any(), &params, &ledger)
            .await
            .unwrap();
    }
}

async fn all_are_ready(world: &OnServer) {
    let mailboxes: Api<SharedMailbox> = Api::namespaced(world.client.clone(), NAMESPACE);
    let permissions: Api<MailboxPermission> = Api::namespaced(world.client.clone(), NAMESPACE);
    let params = ListParams::default();
    wait_for(COUNT, async || {
        let list = mailboxes.list(&params).await.unwrap();
        list.iter().filter(|one| ready(*one, "True", "UpToDate")).count()
    })
    .await;
    wait_for(COUNT / HAS_A_MEMBER, async || {
        let list = permissions.list(&params).await.unwrap();
        list.iter().filter(|one| ready(*one, "True", "Granted")).count()
    })
    .await;
}

/// Waits until every ledger says so. How many of them remember their member.
async fn all_released(world: &OnServer) -> usize {
    let ledgers: Api<MailboxLedger> = Api::all(world.client.clone());
    let here = ListParams::default().fields(&format!("spec.resourceRef.namespace={NAMESPACE}"));
    wait_for(COUNT, async || {
        let list = ledgers.list(&here).await.unwrap();
        list.iter().filter(|ledger| is_released(ledger)).count()
    })
    .await;
    let list = ledgers.list(&here).await.unwrap();
    list.iter().filter(|ledger| remembers_the_member(ledger)).count()
}

/// Counts once a second: a list of a thousand is no small thing to ask for.
async fn wait_for(count: u128, counted: impl AsyncFn() -> usize) {
    let mut last = 0;
    for _ in 0..120 {
        last = counted().await;
        if last as u128 == count {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
    panic!("{last} of {count}");
}

/// The names of the objects that were deleted since, each at once: one that is held up is seen with a deletionTimestamp
/// before it is gone.
async fn all_deletions(api: &Api<SharedMailbox>, since: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut since = since.to_owned();
    while (names.len() as u128) < COUNT {
        let mut events = api.watch(&WatchParams::default(), &since).await.unwrap().boxed();
        while let Some(event) = events.try_next().await.unwrap() {
            let object = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    assert_eq!(object.metadata.deletion_timestamp, None, "{}", object.name_any());
                    object
                }
                WatchEvent::Deleted(object) => {
                    names.insert(object.name_any());
                    object
                }
                other => panic!("{other:?}"),
            };
            since = object.resource_version().unwrap();
            if names.len() as u128 == COUNT {
                break;
            }
        }
    }
    names
}

fn is_released(ledger: &MailboxLedger) -> bool {
    let is_intact = shared_mailbox_operator::ledger::is_intact(ledger);
    is_intact && ledger.spec.released_at.is_some() && ledger.spec.shown.state == "Released"
}

fn remembers_the_member(ledger: &MailboxLedger) -> bool {
    let people = ledger.spec.people.iter();
    let states = people.flat_map(|person| person.rights.values().map(|right| right.state));
    states.eq([GrantState::Granted])
}
