//! Where mail goes instead, or besides.

use super::family::{Company, Dropped, Family, Need};
use crate::api::{Forwarding, ForwardingMode, Power};
use crate::setting::{Kind, Property, Value, Values};

const INSIDE: &str = "ForwardingAddress";
const OUTSIDE: &str = "ForwardingSmtpAddress";
const KEEPS_COPY: &str = "DeliverToMailboxAndForward";

pub const FORWARDING: Family = Family {
    name: "forwarding",
    company: Company::Alone,
    properties: &[
        Property::new("forwarding.to", INSIDE, Kind::Recipient),
        Property::new("forwarding.externalAddress", OUTSIDE, Kind::Address),
        Property::new("forwarding.keepCopy", KEEPS_COPY, Kind::Flag),
    ],
    choice: Some(("forwarding.mode", "None")),
    declared: |spec| {
        let Some(Forwarding {
            mode,
            to,
            external_address,
            keep_copy,
        }) = &spec.forwarding
        else {
            return Ok(Values::default());
        };
        let address = |field: &str, text: &Option<String>| match text {
            None => Err(format!("spec.forwarding needs `{field}` while mode is {mode:?}")),
            Some(text) => text
                .parse()
                .map_err(|error| format!("spec.forwarding.{field}: {error}")),
        };
        let (inside, outside) = match mode {
            ForwardingMode::None => (Value::Nothing, Value::Nothing),
            ForwardingMode::Internal => (Value::recipients([address("to", to)?]), Value::Nothing),
            ForwardingMode::External => (
                Value::Nothing,
                Value::Address(address("externalAddress", external_address)?),
            ),
        };
        // Without forwarding mail is kept whatever it says.
        let keeps_copy = (*mode != ForwardingMode::None).then_some(Value::Flag(keep_copy.unwrap_or(true)));
        Ok(Values::of([
            (INSIDE, Some(inside)),
            (OUTSIDE, Some(outside)),
            (KEEPS_COPY, keeps_copy),
        ]))
    },
    demands: "`to`: an access rule that admits it as a member; outside the organisation: power `ForwardExternally`",
    needs: |step| match step.wish.get(OUTSIDE) {
        Some(Value::Address(_)) => vec![Need::Power(Power::ForwardExternally)],
        _ => Vec::new(),
    },
    // One of them outranks the other, so each is sent, also to clear it.
    sends: |step, _| step.wish.clone(),
    dropped: Dropped::Withdrawn(|| {
        Values::of([
            (INSIDE, Some(Value::Nothing)),
            (OUTSIDE, Some(Value::Nothing)),
            (KEEPS_COPY, Some(Value::Flag(false))),
        ])
    }),
    ..Family::PLAIN
};
