//! What stands for a resource that is gone: as much of it as its ledger knows.

use crate::api::{MailboxLedgerSpec, NamedRef, SharedMailbox, SharedMailboxSpec};
use crate::controller::state::key::MailboxKey;

/// What stands for a resource that is gone, until its ledger is found.
pub fn nameless(key: &MailboxKey) -> SharedMailbox {
    stand_in(key, SharedMailboxSpec::default())
}

fn stand_in(key: &MailboxKey, spec: SharedMailboxSpec) -> SharedMailbox {
    let mut object = SharedMailbox::new(&key.name, spec);
    object.metadata.namespace = Some(key.namespace.clone());
    object
}

/// What the ledger knows of a resource that is gone.
pub fn of_ledger(key: &MailboxKey, spec: &MailboxLedgerSpec) -> SharedMailbox {
    let read = spec.mailbox.as_ref().and_then(|mailbox| mailbox.address.clone());
    let announced = spec.intent.as_ref();
    let address = read.or(announced.map(|intent| intent.address.clone()));
    let address = address.map(|address| address.to_string()).unwrap_or_default();
    let name = announced
        .map(|intent| intent.display_name.clone())
        .unwrap_or_default();
    let name = if name.is_empty() { address.clone() } else { name };
    let tenant_ref = NamedRef {
        name: spec.tenant.name.clone(),
    };
    let mut object = stand_in(
        key,
        SharedMailboxSpec {
            tenant_ref,
            display_name: name,
            email_address: address,
            ..SharedMailboxSpec::default()
        },
    );
    object.metadata.uid = Some(spec.resource_ref.uid.clone());
    object
}
