//! Which mail is taken and sent.

use super::{Family, size};
use crate::setting::{Call, Kind, Property, Value, Values};

pub const REQUIRE_SENDER_AUTHENTICATION: Family = flag!(
    "delivery.requireSenderAuthentication",
    Mailbox "RequireSenderAuthenticationEnabled", usually false,
    |spec| spec.delivery.require_sender_authentication
);

pub const MAX_SEND_SIZE: Family = Family {
    name: "delivery.maxSendSize",
    properties: &[Property::new("delivery.maxSendSize", "MaxSendSize", Kind::Size).off("35Mi")],
    declared: |spec| {
        let most = spec.delivery.max_send_size.as_deref();
        Ok(Values::of([("MaxSendSize", size("delivery.maxSendSize", most)?)]))
    },
    ..Family::PLAIN
};

pub const MAX_RECEIVE_SIZE: Family = Family {
    name: "delivery.maxReceiveSize",
    properties: &[Property::new("delivery.maxReceiveSize", "MaxReceiveSize", Kind::Size).off("36Mi")],
    declared: |spec| {
        let most = spec.delivery.max_receive_size.as_deref();
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
        let limit = spec.delivery.recipient_limit.map(count).transpose()?;
        Ok(Values::of([("RecipientLimits", limit)]))
    },
    ..Family::PLAIN
};
