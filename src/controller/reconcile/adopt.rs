//! Taking over a mailbox that was there before its resource.
//!
//! What it is like is remembered first, acknowledged by the API server; then it is marked, and nothing else. Everything
//! else follows from the next reconcile, which reads the marker before it writes: where two take over the same mailbox,
//! the marker that stands says whose it is.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value as Json;

use super::applied::Applied;
use super::execution::{Execution, Refused};
use super::hold::WeighedPlan;
use super::observation::ObservedMailbox;
use super::outcome::{Outcome, Progress, Stall};
use super::task::Reconcile;
use super::validate::Judged;
use crate::api::condition::{cut, whole_seconds};
use crate::api::{LedgerBefore, LedgerGrantBefore};
use crate::ledger::Ledger;
use crate::mail::Right;
use crate::plan::{self, Account, FAMILIES, Observed, Plan, ShownSettings};
use crate::setting::{Value, Who};
use crate::words::counted;

/// So many bytes of JSON are kept of what a mailbox was like.
const KEPT: usize = 16 * 1024;
/// Longer values are left out: nobody puts them back by hand.
const LONGEST: usize = 4 * 1024;

impl Reconcile<'_> {
    pub(super) async fn adopt(
        &mut self,
        judged: Judged,
        seen: ObservedMailbox,
        plan: Plan,
    ) -> Result<Applied, Outcome> {
        if !judged.prepared.writes {
            return Ok(self.would_adopt(judged, seen, plan));
        }
        // When it was tried last: only so long after that may it count as never done.
        let ledger = Ledger {
            adopting: Some(judged.prepared.now),
            ..judged.prepared.ledger.clone()
        };
        let plan = plan.only_the_marker(&ledger);
        let (due, _) = plan.without(&judged.prepared.remembered.acknowledged);
        if due.is_empty() {
            let text = "the marker of the mailbox was acknowledged and is not shown yet".to_owned();
            let waiting = Outcome::Progressing(Progress::WaitingForExchange(text));
            let ledger = judged.prepared.ledger.clone();
            return Ok(judged.end(waiting, Some(ledger), seen, plan, Execution::default()));
        }
        self.remember_before(&judged, &seen.observed).await?;
        self.announce(&ledger).await?;
        let weighed = WeighedPlan {
            plan,
            held: None,
            unconfirmed: BTreeSet::new(),
            approved: BTreeSet::new(),
        };
        let mut execution = self.execute(&judged, &weighed, &due, &seen.observed).await;
        let outcome = match (execution.error.take(), execution.refused.first()) {
            (Some(error), _) => Outcome::of_error(&error),
            (None, Some(Refused { why, .. })) => Outcome::Stalled(Stall::AdoptionRefused(format!(
                "the mailbox {} is not taken over, because its marker can't be written: {why}",
                seen.observed.guid
            ))),
            (None, None) => self.adopted(&seen.observed).await,
        };
        // The event says it, and better.
        execution.done.clear();
        Ok(judged.end(outcome, Some(ledger), seen, weighed.plan, execution))
    }

    async fn adopted(&self, observed: &Observed) -> Outcome {
        let note = format!(
            "took over the mailbox {} with ExchangeGuid {guid}: it keeps what no manifest declares. What it was like before \
             stands in spec.before of its MailboxLedger ({})",
            observed.primary,
            self.ledger_name_now(),
            guid = observed.guid,
        );
        self.publish(false, "Adopted", "Adopt", &note).await;
        Outcome::Progressing(Progress::Applying(
            "the mailbox is marked as that of this resource; what is declared follows once a read shows it"
                .to_owned(),
        ))
    }

    /// What would be done, and what would stay.
    fn would_adopt(&self, judged: Judged, seen: ObservedMailbox, plan: Plan) -> Applied {
        let foreign = plan::foreign(&judged.desired, &seen.observed, &judged.prepared.ledger);
        let foreign = foreign.iter().filter(|row| row.removed_for.is_none()).count();
        let first = format!(
            "take over the shared mailbox {} with ExchangeGuid {}, which keeps {} and {} that no manifest declares",
            seen.observed.primary,
            seen.observed.guid,
            counted(seen.observed.addresses.len(), "address", "addresses"),
            counted(foreign, "permission", "permissions"),
        );
        let mut applied = self.only_observe(judged, seen, plan);
        if let Outcome::Drift(steps) = &mut applied.outcome {
            steps.insert(0, first);
        }
        applied
    }

    /// Once: a crash in between leaves what the first reconcile saw. What can't be read now and may soon be is waited for.
    async fn remember_before(&mut self, judged: &Judged, observed: &Observed) -> Result<(), Outcome> {
        let is_known = self.ledger.draft().is_some_and(|draft| draft.before.is_some());
        if is_known {
            return Ok(());
        }
        let settings = self
            .reads(&judged.prepared)
            .every_setting(observed.guid, observed.object_id)
            .await;
        let mut unread = settings.values().filter_map(|values| values.as_ref().err());
        let unread = unread.find(|unread| unread.may_pass);
        let mut rights = observed.unread.values();
        if let Some(unread) = unread.or_else(|| rights.find(|unread| unread.may_pass)) {
            return Err(Outcome::Progressing(Progress::WaitingForExchange(format!(
                "before the mailbox is taken over, what it is like is read and remembered, and some of it can't be read: {}",
                unread.why
            ))));
        }
        let at = whole_seconds(self.context.clock.now());
        let before = before(observed, &settings, at);
        if let Some(draft) = self.ledger.draft_mut() {
            draft.before = Some(Box::new(before));
        }
        Ok(())
    }
}

/// Addresses first, then settings, then grants, as far as there is room.
fn before(observed: &Observed, shown: &ShownSettings, at: Timestamp) -> LedgerBefore {
    let mut room = Room {
        left: KEPT,
        left_out: 0,
    };
    let addresses = observed.addresses.iter();
    let addresses = addresses
        .filter(|one| room.has(one.as_str().len()))
        .cloned()
        .collect();
    let mut settings = BTreeMap::new();
    let rights = observed.unread.iter();
    let mut unread: Vec<String> = rights
        .map(|(read, why)| cut(&format!("{}: {}", read.source(), why.why), 512))
        .collect();
    for (source, values) in shown {
        match values {
            Err(why) => unread.push(cut(&format!("{}: {}", source.cmdlet(), why.why), 512)),
            Ok(values) => {
                let families = FAMILIES.iter().filter(|family| family.call.shown_by() == *source);
                for property in families.flat_map(|family| family.properties) {
                    let Some(value) = values.get(property.parameter) else {
                        continue;
                    };
                    let words = as_set(property.kind.write(value), value);
                    if words.len() <= LONGEST && room.has(property.parameter.len() + words.len()) {
                        settings.insert(property.parameter.to_owned(), words);
                    } else if words.len() > LONGEST {
                        room.left_out += 1;
                    }
                }
            }
        }
    }
    let mut grants: Vec<LedgerGrantBefore> = held(observed);
    grants.sort();
    grants.retain(|grant| room.has(grant.shown.len() + grant.holder.as_ref().map_or(0, String::len) + 60));
    LedgerBefore {
        at,
        sign_in: match observed.account {
            Account::Open => "Open",
            Account::Blocked => "Blocked",
            Account::NotShown | Account::Denied(_) | Account::Unread(_) => "Unknown",
        }
        .to_owned(),
        primary: observed.primary.clone(),
        addresses,
        unread,
        settings,
        grants,
        left_out: room.left_out,
    }
}

/// As the cmdlet takes it that sets it.
fn as_set(written: Option<Json>, value: &Value) -> String {
    match (written, value.as_recipients()) {
        (Some(Json::String(text)), _) => text,
        (Some(Json::Null), _) => String::new(),
        (Some(other @ (Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_))), _) => {
            other.to_string()
        }
        (None, Some(recipients)) => {
            let names = recipients.iter().map(|who| match who {
                Who::Written(address) => address.to_string(),
                Who::Id(id) => id.to_string(),
                Who::Shown(name) => name.clone(),
            });
            names.collect::<Vec<_>>().join(", ")
        }
        (None, None) => value.to_string(),
    }
}

fn held(observed: &Observed) -> Vec<LedgerGrantBefore> {
    let rows = [&observed.full_access, &observed.send_as]
        .into_iter()
        .flat_map(|store| &store.entries);
    let rows = rows.map(|entry| {
        let rights = entry.rights.iter().map(|right| {
            if entry.denies {
                format!("Deny {right}")
            } else {
                right.clone()
            }
        });
        LedgerGrantBefore {
            holder: entry.sid.as_ref().map(ToString::to_string),
            shown: cut(&entry.shown, 256),
            rights: rights.take(10).collect(),
        }
    });
    let delegates = observed.on_behalf.ids.iter().map(|id| LedgerGrantBefore {
        holder: Some(id.to_string()),
        shown: id.to_string(),
        rights: vec![Right::SendOnBehalf.to_string()],
    });
    rows.chain(delegates).collect()
}

/// What still fits.
struct Room {
    left: usize,
    left_out: i32,
}

impl Room {
    /// `bytes`: without punctuation.
    fn has(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes + 8);
        self.left = left.unwrap_or(self.left);
        self.left_out += i32::from(left.is_none());
        left.is_some()
    }
}
