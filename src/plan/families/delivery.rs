//! Which mail is taken and sent.

use super::family::{Company, Family, size};
use crate::mail::SmtpAddress;
use crate::setting::{Call, Kind, Property, Value, Values};

pub const REQUIRE_SENDER_AUTHENTICATION: Family = flag!(
    "delivery.requireSenderAuthentication",
    Mailbox "RequireSenderAuthenticationEnabled", usually false,
    |spec| spec.delivery.limits.require_sender_authentication
);

pub const MAX_SEND_SIZE: Family = Family {
    name: "delivery.maxSendSize",
    properties: &[Property::new("delivery.maxSendSize", "MaxSendSize", Kind::Size).off("35Mi")],
    declared: |spec| {
        let most = spec.delivery.limits.max_send_size.as_deref();
        Ok(Values::of([("MaxSendSize", size("delivery.maxSendSize", most)?)]))
    },
    ..Family::PLAIN
};

pub const MAX_RECEIVE_SIZE: Family = Family {
    name: "delivery.maxReceiveSize",
    properties: &[Property::new("delivery.maxReceiveSize", "MaxReceiveSize", Kind::Size).off("36Mi")],
    declared: |spec| {
        let most = spec.delivery.limits.max_receive_size.as_deref();
        Ok(Values::of([(
            "MaxReceiveSize",
            size("delivery.maxReceiveSize", most)?,
        )]))
    },
    ..Family::PLAIN
};

pub const RECIPIENT_LIMIT: Family = Family {
    name: "delivery.recipientLimit",
    properties: &[Property::new("delivery.recipientLimit", "RecipientLimits", Kind::Count).off("500")],
    declared: |spec| {
        let count = |limit: i32| {
            let limit = u32::try_from(limit)
                .ok()
                .filter(|limit| (1..=1000).contains(limit));
            limit
                .map(Value::Count)
                .ok_or("spec.delivery.recipientLimit is 1 to 1000")
        };
        let limit = spec.delivery.limits.recipient_limit.map(count).transpose()?;
        Ok(Values::of([("RecipientLimits", limit)]))
    },
    ..Family::PLAIN
};

pub const ACCEPT_FROM: Family = Family {
    name: "delivery.acceptFrom",
    company: Company::Alone,
    properties: &[Property::new(
        "delivery.acceptFrom",
        "AcceptMessagesOnlyFromSendersOrMembers",
        Kind::Recipients,
    )
    .off("[]")],
    declared: |spec| {
        let senders = senders("acceptFrom", spec.delivery.accept_from.as_deref())?;
        Ok(Values::of([("AcceptMessagesOnlyFromSendersOrMembers", senders)]))
    },
    demands: "an access rule that admits each of them as a member",
    ..Family::PLAIN
};

pub const REJECT_FROM: Family = Family {
    name: "delivery.rejectFrom",
    company: Company::Alone,
    properties: &[Property::new(
        "delivery.rejectFrom",
        "RejectMessagesFromSendersOrMembers",
        Kind::Recipients,
    )
    .off("[]")],
    declared: |spec| {
        let senders = senders("rejectFrom", spec.delivery.reject_from.as_deref())?;
        Ok(Values::of([("RejectMessagesFromSendersOrMembers", senders)]))
    },
    demands: "an access rule that admits each of them as a member",
    ..Family::PLAIN
};

fn senders(field: &str, texts: Option<&[String]>) -> Result<Option<Value>, String> {
    let parse = |(position, text): (usize, &String)| {
        text.parse::<SmtpAddress>()
            .map_err(|error| format!("spec.delivery.{field}[{position}]: {error}"))
    };
    let all = |texts: &[String]| -> Result<Value, String> {
        let addresses: Vec<SmtpAddress> = texts.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        Ok(Value::recipients(addresses))
    };
    texts.map(all).transpose()
}
