//! How long what people delete is kept. To keep less of it than before needs a power.

use std::time::Duration;

use super::family::{Company, Family, Feature, Move, Need};
use crate::api::Power;
use crate::setting::{Call, Kind, Property, Value, Values};

const KEPT_FOR: &str = "RetainDeletedItemsFor";

pub const DELETED_ITEM_RETENTION: Family = Family {
    name: "deletedItemRetention",
    properties: &[Property::new("deletedItemRetention", KEPT_FOR, Kind::Span).off("14d")],
    declared: |spec| {
        let days = days(
            "deletedItemRetention",
            spec.plain.deleted_item_retention.as_deref(),
        )?;
        Ok(Values::of([(KEPT_FOR, days)]))
    },
    demands: "less than the mailbox has: power `Retention`",
    needs: |step| {
        if is_shorter(step, KEPT_FOR) {
            vec![Need::Power(Power::Retention)]
        } else {
            Vec::new()
        }
    },
    ..Family::PLAIN
};

pub const SINGLE_ITEM_RECOVERY: Family = Family {
    demands: "`false`: power `Retention`",
    needs: |step| match step.wish.get("SingleItemRecoveryEnabled") {
        Some(Value::Flag(false)) => vec![Need::Power(Power::Retention)],
        _ => Vec::new(),
    },
    ..flag!(
        "singleItemRecovery",
        Mailbox "SingleItemRecoveryEnabled", usually true,
        |spec| spec.plain.single_item_recovery
    )
};

pub const RETENTION_POLICY: Family = Family {
    name: "retentionPolicy",
    company: Company::Alone,
    properties: &[Property::new("retentionPolicy", "RetentionPolicy", Kind::Name).off("\"\"")],
    declared: |spec| {
        let policy = spec.retention_policy.as_deref().map(Value::name);
        Ok(Values::of([("RetentionPolicy", policy)]))
    },
    demands: "power `Retention`; the policy exists",
    needs: |_| vec![Need::Power(Power::Retention)],
    ..Family::PLAIN
};

const HELD: &str = "LitigationHoldEnabled";
const HELD_FOR: &str = "LitigationHoldDuration";

pub const LITIGATION_HOLD: Family = Family {
    name: "litigationHold",
    company: Company::Alone,
    properties: &[
        Property::new("litigationHold.enabled", HELD, Kind::Flag).off("false"),
        Property::new("litigationHold.duration", HELD_FOR, Kind::Days).off("Unlimited"),
    ],
    declared: |spec| {
        let Some(hold) = &spec.litigation_hold else {
            return Ok(Values::default());
        };
        let duration = days("litigationHold.duration", hold.duration.as_deref())?;
        Ok(Values::of([
            (HELD, Some(Value::Flag(hold.enabled))),
            (HELD_FOR, duration),
        ]))
    },
    demands: "Exchange Online Plan 2, or Plan 1 with archiving; the role *Legal Hold*; to end or shorten it: power `Hold`",
    needs: |step| {
        let is_held = |values: &Values| values.get(HELD) == Some(&Value::Flag(true));
        let ends = is_held(step.shown) && !is_held(step.wish);
        if ends || (is_held(step.shown) && is_shorter(step, HELD_FOR)) {
            vec![Need::Power(Power::Hold)]
        } else if is_held(step.wish) {
            vec![Need::Licence(Feature::Hold)]
        } else {
            Vec::new()
        }
    },
    // "It may take up to 240 minutes" (page of Set-Mailbox).
    patience: Duration::from_hours(4),
    ..Family::PLAIN
};

fn is_shorter(step: &Move<'_>, parameter: &str) -> bool {
    let time = |values: &Values| values.get(parameter).and_then(Value::bound);
    time(step.wish).is_some_and(|wish| time(step.shown).is_some_and(|shown| wish < shown))
}

fn days(field: &str, text: Option<&str>) -> Result<Option<Value>, String> {
    let parse = |text: &str| {
        Value::days(text).ok_or_else(|| format!("spec.{field}: {text:?} is not a number of days such as 30d"))
    };
    text.map(parse).transpose()
}
