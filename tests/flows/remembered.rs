//! Sentences about what the operator remembers that several flows share.

use std::sync::{Arc, Mutex};

use super::kit::*;
use jiff::Timestamp;
use serde_json::json;
use shared_mailbox_operator::api::{GrantState, MailboxLedger};
use simulator::{Fault, FaultRule};
use testkit::{World, permission, tenant, with};

pub const HOUR: u64 = 3600;

pub async fn delete_sales(world: &World) {
    world.delete_mailbox("sales").await;
    released(world).await;
}

pub async fn released(world: &World) {
    let is_released = async || {
        let ledgers = world.ledgers().await;
        ledgers
            .iter()
            .all(|ledger| ledger.spec.released_at.is_some())
            .then_some(())
    };
    world.wait("the ledger is Released", is_released).await;
}

/// How many people hold each right on the mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holders {
    pub full_access: usize,
    pub send_as: usize,
}

pub fn held(full_access: usize, send_as: usize) -> Holders {
    Holders { full_access, send_as }
}

pub fn holders(world: &World) -> Holders {
    let view = view(world);
    held(view.full_access.len(), view.send_as.len())
}

/// Who holds how much until the hour of grace is over, and afterwards.
pub async fn only_after_the_hour(world: &World, before: Holders, after: Holders, of: &str) {
    world.sleep(50 * 60).await;
    assert_eq!(holders(world), before, "the hour is not over: {of}");
    world.sleep(25 * 60).await;
    assert_eq!(holders(world), after, "the hour is over: {of}");
}

/// The states of the rights in a ledger.
pub fn states(ledger: &MailboxLedger) -> Vec<GrantState> {
    let people = ledger.spec.people.iter();
    people
        .flat_map(|person| person.rights.values())
        .map(|right| right.state)
        .collect()
}

pub async fn events_of(world: &World, reason: &str) -> usize {
    let all = events_about(world, "sales").await;
    all.iter().filter(|event| event.starts_with(reason)).count()
}

/// The ExchangeTenant says that somebody has left.
pub async fn depart(world: &World, who: &str) {
    let departed = json!({ "spec": { "departed": [who] } });
    world.apply(&with(tenant(), &departed)).await;
}

/// Somebody may send as the mailbox until then.
pub async fn guest_until(world: &World, end: Timestamp) {
    let ends = json!({ "spec": { "expiresAt": format!("{end:.0}") } });
    let guest = permission("guest", "sales", &[SECOND], &["SendAs"]);
    world.apply(&with(guest, &ends)).await;
    world.wait_permission("guest", "True", "Granted").await;
}

/// Exchange takes no removal for now.
pub fn throttle(world: &World, cmdlets: &[&str]) {
    let throttled = FaultRule::always(Fault::Throttled {
        retry_after_seconds: Some(30),
    });
    world.tenant.add_fault(throttled.on(cmdlets));
}

pub fn throttle_removals(world: &World) {
    throttle(world, &["Remove-RecipientPermission", "Remove-MailboxPermission"]);
}

pub async fn until_removing(world: &World) {
    let announced = async || {
        let states = states(&world.ledger().await);
        states.contains(&GrantState::Removing).then_some(())
    };
    world.wait("the removal is announced", announced).await;
}

pub async fn until_marked_and_blocked(world: &World) {
    let done = || {
        let view = world.tenant.mailbox(SALES);
        view.is_some_and(|view| view.account_disabled && !view.custom_attributes.is_empty())
    };
    until(world, "it is marked and blocked", done).await;
}

/// What is logged while it lives.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is logged until this is done.
pub async fn logged(what: impl Future<Output = ()>) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    let subscriber = tracing::Dispatch::new(subscriber.finish());
    // With one subscriber alone, a test on another thread may switch the line off for all threads.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let guard = tracing::dispatcher::set_default(&subscriber);
    what.await;
    drop(guard);
    String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
}

/// Writes of the operator to ledgers, and to statuses of mailboxes and of permissions.
#[derive(Clone, Copy, Debug)]
pub struct Writes {
    pub ledgers: usize,
    pub mailboxes: usize,
    pub permissions: usize,
}

pub fn counted_writes(world: &World) -> Writes {
    let writes = world.kubernetes_writes();
    let count = |plural: &str| writes.iter().filter(|write| write.contains(plural)).count();
    Writes {
        ledgers: count("mailboxledgers"),
        mailboxes: count("sharedmailboxes"),
        permissions: count("mailboxpermissions"),
    }
}
