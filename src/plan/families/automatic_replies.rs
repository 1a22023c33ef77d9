//! What the mailbox answers by itself. Whoever uses the mailbox can change it in Outlook.

use jiff::Timestamp;

use super::family::{Dropped, Family, Repairs};
use crate::api::{AutomaticReplies, ReplyAudience, ReplyState};
use crate::setting::{Call, Kind, Property, Value, Values};

const STATE: &str = "AutoReplyState";
const INTERNAL: &str = "InternalMessage";
const EXTERNAL: &str = "ExternalMessage";
const AUDIENCE: &str = "ExternalAudience";
const START: &str = "StartTime";
const END: &str = "EndTime";

pub const AUTOMATIC_REPLIES: Family = Family {
    name: "automaticReplies",
    call: Call::AutoReply,
    properties: &[
        Property::new(
            "automaticReplies.state",
            STATE,
            Kind::Word(&["Disabled", "Enabled", "Scheduled"]),
        )
        .off("Disabled"),
        Property::new("automaticReplies.internal", INTERNAL, Kind::Html),
        Property::new("automaticReplies.external", EXTERNAL, Kind::Html),
        Property::new(
            "automaticReplies.audience",
            AUDIENCE,
            Kind::Word(&["None", "Known", "All"]),
        )
        .off("All"),
        Property::new("automaticReplies.start", START, Kind::Minute),
        Property::new("automaticReplies.end", END, Kind::Minute),
    ],
    declared: |spec| {
        let Some(AutomaticReplies {
            state,
            internal,
            external,
            audience,
            start,
            end,
        }) = &spec.automatic_replies
        else {
            return Ok(Values::default());
        };
        let audience = audience.unwrap_or_default();
        let state_word = (STATE, Some(Value::name(state.as_str())));
        // What a disabled row holds besides means nothing.
        if *state == ReplyState::Disabled {
            return Ok(Values::of([state_word]));
        }
        if internal.is_none() || (external.is_none() && audience != ReplyAudience::None) {
            return Err(
                "spec.automaticReplies needs `internal`, and `external` unless audience is None".to_owned(),
            );
        }
        let scheduled = |time: &Option<_>| -> Option<Value> {
            let time: Option<Timestamp> = time
                .as_ref()
                .map(|time: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Time| time.0);
            time.filter(|_| *state == ReplyState::Scheduled)
                .map(Value::minute)
        };
        let (start, end) = (scheduled(start), scheduled(end));
        if *state == ReplyState::Scheduled && (start.is_none() || start >= end) {
            return Err(
                "spec.automaticReplies needs `start` before `end` while state is Scheduled".to_owned(),
            );
        }
        Ok(Values::of([
            state_word,
            (INTERNAL, internal.as_deref().map(Value::html)),
            (EXTERNAL, external.as_deref().map(Value::html)),
            (AUDIENCE, Some(Value::name(audience.as_str()))),
            (START, start),
            (END, end),
        ]))
    },
    // The service judges them together.
    sends: |step, _| step.wish.clone(),
    rests: |wish, now| {
        let end = wish.get(END);
        end.is_some_and(|end| *end <= Value::minute(now))
    },
    dropped: Dropped::Withdrawn(|| Values::of([(STATE, Some(Value::name("Disabled")))])),
    repairs: Repairs::Once,
    ..Family::PLAIN
};
