//! How much the mailbox may hold.

use super::family::{Company, Family, Feature, Need, size};
use crate::api::Quota;
use crate::setting::{Kind, Property, Value, Values};

const WARNING: &str = "IssueWarningQuota";
const SEND: &str = "ProhibitSendQuota";
const RECEIVE: &str = "ProhibitSendReceiveQuota";

/// Above this size a mailbox needs a licence of its own (Exchange Online limits, storage limits of shared mailboxes).
const UNLICENSED: u64 = 50 << 30;

pub const QUOTA: Family = Family {
    name: "quota",
    company: Company::Alone,
    properties: &[
        Property::new("quota.warning", WARNING, Kind::Size),
        Property::new("quota.prohibitSend", SEND, Kind::Size),
        Property::new("quota.prohibitSendReceive", RECEIVE, Kind::Size),
    ],
    declared: |spec| {
        let Quota {
            warning,
            prohibit_send,
            prohibit_send_receive,
        } = &spec.plain.quota;
        Ok(Values::of([
            (WARNING, size("quota.warning", warning.as_deref())?),
            (SEND, size("quota.prohibitSend", prohibit_send.as_deref())?),
            (
                RECEIVE,
                size("quota.prohibitSendReceive", prohibit_send_receive.as_deref())?,
            ),
        ]))
    },
    demands: "above 50 GB: Exchange Online Plan 2",
    needs: |step| {
        let bytes = |values: &Values| values.get(RECEIVE).and_then(Value::bound);
        let is_raised = bytes(step.wish) > bytes(step.shown) && bytes(step.wish) > Some(UNLICENSED);
        if is_raised {
            vec![Need::Licence(Feature::LargeMailbox)]
        } else {
            Vec::new()
        }
    },
    check: |step| {
        let merged = step.wish.over(step.shown);
        let bytes = |name| merged.get(name).and_then(Value::bound);
        // A size that is not shown is the service's to judge.
        let is_above =
            |name| matches!((bytes(name), bytes(RECEIVE)), (Some(size), Some(most)) if size > most);
        if is_above(WARNING) || is_above(SEND) {
            return Err(
                "quota.warning and quota.prohibitSend must not be above quota.prohibitSendReceive; a size that is \
                 left out counts as the mailbox has it"
                    .to_owned(),
            );
        }
        Ok(())
    },
    ..Family::PLAIN
};
