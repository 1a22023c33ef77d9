//! The gateway against a scripted tenant, on paused time.

mod batching;
mod failures;
mod gathering;
mod lists;

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use crate::exchange::testing::{Call, LATENCY, Reaction, SECRET, TENANT, Tenant};
use crate::exchange::{
    Connection, ErrorClass, Gateway, GatewayMetrics, NewMailbox, Parameters, RecipientQuery, Stage,
};
use crate::lane::Lane;
use crate::leadership::Leadership;
use crate::mail::{Holder, MailboxGuid, ObjectId, OneTimeName};
use crate::setting::Call as Cmdlet;

fn mailbox(number: u128) -> MailboxGuid {
    uuid::Uuid::from_u128(number).to_string().parse().unwrap()
}

fn member(number: u128) -> ObjectId {
    uuid::Uuid::from_u128(0xabc_0000 + number)
        .to_string()
        .parse()
        .unwrap()
}

fn new_mailbox() -> NewMailbox {
    NewMailbox {
        name: "smo-sales".to_owned(),
        display_name: OneTimeName::from_random_bits(7),
        alias: "sales".parse().unwrap(),
        primary: "sales@contoso.com".parse().unwrap(),
    }
}

fn quiet() -> Tenant {
    Tenant::new(Tenant::default_reaction)
}

/// `first` for the first call of `name`, the default afterwards.
fn once(name: &'static str, first: Reaction) -> Tenant {
    Tenant::new(move |call: &Call| {
        if call.name == name && call.earlier == 0 {
            first.clone()
        } else {
            Tenant::default_reaction(call)
        }
    })
}

async fn read(gateway: &Gateway, lane: Lane, number: u128) -> Result<(), crate::exchange::ExchangeError> {
    gateway.full_access(lane, mailbox(number), None).await.map(drop)
}
