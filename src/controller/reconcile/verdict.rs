//! How a reconcile ends, given what a read still finds to do.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;

use super::execution::{Execution, Refused};
use super::outcome::{Outcome, Progress, Stall};
use super::prepared::Remembered;
use super::report::{Names, first_of};
use super::task::Reconcile;
use super::validate::Wanted;
use crate::api::{APPROVE, ForeignState};
use crate::controller::state::key::MailboxKey;
use crate::ledger::Ledger;
use crate::mail::{ObjectId, Right};
use crate::plan::{
    self, Acknowledged, Change, Desired, Held, Observed, Plan, SignInStanding, Standing, Unread,
};
use crate::words::counted;

/// After a plan was carried out: what is left of it may be refused, or not shown yet. None: nothing is left.
pub(super) fn after(
    rest: &Plan,
    execution: &Execution,
    remembered: &Remembered,
    contested: &Acknowledged,
    unread: Option<&Outcome>,
    names: &Names,
) -> Option<Outcome> {
    if !execution.refused.is_empty() {
        let refused = execution.refused.iter().map(Refused::to_string);
        let refused: Vec<String> = refused.map(|text| names.in_text(&text)).collect();
        return Some(Outcome::Stalled(Stall::SettingRefused(refused.join("; "))));
    }
    if let Some(error) = &execution.setting_error {
        // The rest was read and is reported, so this is no outage that leaves everything as it was.
        return Some(Outcome::of_error(error).of_unreported());
    }
    let is_refused = |change: &Change| {
        change
            .granted()
            .is_some_and(|grant| execution.refused_grants.contains_key(&grant))
    };
    let (rest, _) = rest.keeping(|change| !is_refused(change));
    if rest.is_empty() {
        return None;
    }
    let (others, has_unverified) = rest.keeping(|change| !is_unverified(change, &remembered.unverified));
    if others.is_empty() && has_unverified {
        return Some(unverified(&rest, &remembered.unverified, names));
    }
    let acknowledged = &remembered.acknowledged;
    let is_sent = |change: &Change| execution.acknowledged.contains(change) || acknowledged.contains(change);
    let (unsent, _) = rest.keeping(|change| !is_sent(change));
    let is_contested = |change: &Change| contested.iter().any(|other| change.is_contested_with(other));
    let (unsent, is_contest) = unsent.keeping(|change| !is_contested(change));
    if unsent.is_empty() && is_contest {
        return Some(contest(&rest, names));
    }
    if let (true, Some(unread)) = (unsent.is_empty(), unread) {
        return Some(unread.clone());
    }
    if unsent.is_empty() {
        let text = format!(
            "Exchange acknowledged the changes and does not show all of them yet: {}",
            named(&rest, names)
        );
        return Some(Outcome::Progressing(Progress::WaitingForExchange(text)));
    }
    Some(Outcome::Progressing(Progress::Applying(format!(
        "still to do: {}",
        named(&unsent, names)
    ))))
}

/// The steps, with addresses in the place of ids.
fn named(plan: &Plan, names: &Names) -> String {
    let steps: Vec<String> = plan.describe().iter().map(|step| names.in_text(step)).collect();
    steps.join("; ")
}

fn is_unverified(change: &Change, unverified: &BTreeSet<(ObjectId, Right)>) -> bool {
    change.granted().is_some_and(|grant| unverified.contains(&grant))
}

/// Exchange acknowledged grants, and no read shows them although every replica would by now.
pub(super) fn unverified(plan: &Plan, unverified: &BTreeSet<(ObjectId, Right)>, names: &Names) -> Outcome {
    let (unverified, _) = plan.keeping(|change| is_unverified(change, unverified));
    let steps = unverified.describe();
    let steps = steps.iter().map(|step| names.in_text(step));
    Outcome::Stalled(Stall::GrantUnverified(format!(
        "Exchange acknowledged rights and shows no entry that is theirs: {}; nobody knows whether they hold them. They are \
         granted again once an hour. Examine the permissions of the mailbox in Exchange",
        first_of(steps)
    )))
}

/// Somebody else changes back what is declared.
pub(super) fn contest(plan: &Plan, names: &Names) -> Outcome {
    Outcome::Stalled(Stall::Contested(format!(
        "somebody else keeps changing what this resource declares: {}; it is repaired once an hour at most, and automatic \
         replies once for each edit of the manifest. Change the manifest, \
         or stop whoever changes the mailbox",
        named(plan, names)
    )))
}

/// When nothing is left that may be done now. `is_ready`: the status says so already, of these very manifests.
pub(super) fn settled(
    reconcile: &Reconcile<'_>,
    desired: &Desired,
    held: Option<&Held>,
    observed: &Observed,
    ledger: &Ledger,
    plan: &Plan,
    unread: Option<Outcome>,
) -> Outcome {
    if let Some(held) = held {
        let names = Names::with_foreign(desired, observed, ledger);
        return Outcome::Held(waits_for_approval(
            reconcile.key,
            held,
            &names,
            &held.id(observed.guid),
            reconcile.object.annotations().get(APPROVE).map(String::as_str),
        ));
    }
    if let Some(outcome) = sign_in(&plan.sign_in, observed, reconcile.is_reported_ready()) {
        return outcome;
    }
    if let Some(unread) = unread {
        return unread;
    }
    if let Some(outcome) = unsettled(&plan.standings, reconcile.is_reported_ready()) {
        return outcome;
    }
    let foreign = plan::foreign(desired, observed, ledger);
    let stuck = foreign.into_iter().filter(|row| row.state == ForeignState::Stuck);
    let stuck: Vec<String> = stuck
        .map(|row| format!("{} in the list of {}", row.shown, row.store))
        .collect();
    let names = Names::of(desired, ledger);
    let unproven: Vec<String> = plan::unproven(desired, ledger)
        .map(|grant| format!("{} of {}", grant.right, names.called(&grant.object_id)))
        .collect();
    let mut texts = Vec::new();
    if !stuck.is_empty() {
        texts.push(format!(
            "Exchange shows entries and says that they do not exist when they are to be removed: {}. Have Microsoft's support \
             remove them",
            stuck.join("; ")
        ));
    }
    if !unproven.is_empty() {
        texts.push(format!(
            "Exchange says that there is no entry to remove, and shows entries that can't be tied to anybody, of which one may \
             be theirs: {}. Examine the permissions of the mailbox in Exchange, and remove by hand what is theirs",
            unproven.join("; ")
        ));
    }
    if texts.is_empty() {
        return Outcome::UpToDate;
    }
    Outcome::Stalled(Stall::GrantStuck(format!(
        "{}; everything else is as declared",
        texts.join("; ").trim_end_matches('.')
    )))
}

/// Rights of which nobody knows whether they are as declared, because a read failed. What the role lacks stalls; what may
/// pass leaves what was reported.
pub(super) fn unread(wanted: &Wanted, observed: &Observed, plan: &Plan, is_ready: bool) -> Option<Outcome> {
    let removed = plan.changes();
    let mut removed = removed.iter().filter_map(Change::removed);
    let is_hidden = !plan.unread.is_empty() || removed.any(|(_, right)| observed.is_unread(right));
    let of_rights = if is_hidden {
        observed.why_rights_are_unread()
    } else {
        Vec::new()
    };
    let text = |unread: &Unread| {
        format!(
            "who holds which right can't be read, so nothing is granted: {}; everything else goes on",
            unread.why
        )
    };
    if let Some(denied) = of_rights.iter().find(|unread| !unread.may_pass) {
        return Some(Outcome::Stalled(Stall::NotAuthorized(text(denied))));
    }
    let members = wanted.unread();
    let mut passing = of_rights
        .into_iter()
        .chain(members.values().filter(|unread| unread.may_pass));
    let text = text(passing.next()?);
    Some(if is_ready {
        Outcome::Unavailable(text)
    } else {
        Outcome::Progressing(Progress::WaitingForExchange(text))
    })
}

/// Sign-in that is not as declared although nothing is to be written now. That nobody knows lowers nothing.
fn sign_in(standing: &SignInStanding, observed: &Observed, is_ready: bool) -> Option<Outcome> {
    match standing {
        SignInStanding::Undecided => Some(Outcome::Stalled(Stall::DecisionNeeded(decision_on_sign_in(
            observed,
        )))),
        SignInStanding::AsDeclared | SignInStanding::Differs(_) | SignInStanding::Unverified(_) => None,
        SignInStanding::Waiting => {
            let text = "the change of sign-in was acknowledged and is not shown yet";
            Some(Outcome::Progressing(Progress::WaitingForExchange(
                text.to_owned(),
            )))
        }
        SignInStanding::NotEffective(why) => Some(Outcome::Stalled(Stall::SignInNotEffective(format!(
            "whether people can sign in to the account behind the mailbox is not as declared: {why}; everything else is. \
             Change it in Entra by hand; the operator tries again once an hour"
        )))),
        SignInStanding::Propagating if is_ready => None,
        SignInStanding::Propagating => {
            let text =
                "Microsoft Graph does not know the account behind the new mailbox yet; this takes minutes";
            Some(Outcome::Progressing(Progress::WaitingForExchange(
                text.to_owned(),
            )))
        }
    }
}

/// What a team has to know before it says whether people may sign in to an adopted mailbox.
pub(super) fn decision_on_sign_in(observed: &Observed) -> String {
    let licence = match observed.sku_assigned {
        Some(true) => "; a licence is assigned to it, so perhaps somebody uses it",
        Some(false) => "; no licence is assigned to it",
        None => "",
    };
    format!(
        "the account behind the adopted mailbox can be signed in to{licence}: it is left so, because a scanner or another \
         program may use it. Write spec.signIn: Blocked, or Allowed, which needs the power AllowSignIn"
    )
}

/// Settings that are not as declared although nothing is to be written now, or of which that is not known and may soon be.
/// What nobody can read until somebody acts is an advisory.
pub(super) fn unsettled(standings: &BTreeMap<&'static str, Standing>, is_ready: bool) -> Option<Outcome> {
    let mut refused = Vec::new();
    let mut not_converging = Vec::new();
    let mut waiting = Vec::new();
    let mut unread = Vec::new();
    for (family, standing) in standings {
        match standing {
            Standing::Refused(why) => refused.push(format!("{family}: {why}")),
            Standing::NotConverging(why) => not_converging.push(why.clone()),
            Standing::Waiting => waiting.push(*family),
            Standing::Unread(found) if found.may_pass => unread.push(format!("{family}: {}", found.why)),
            Standing::Synced | Standing::Differs { .. } | Standing::Unread(_) => {}
        }
    }
    if !refused.is_empty() {
        return Some(Outcome::Stalled(Stall::SettingRefused(refused.join("; "))));
    }
    if !not_converging.is_empty() {
        return Some(Outcome::Stalled(Stall::NotConverging(format!(
            "Exchange acknowledges and shows something else: {}; it is written again once an hour at most. Write the \
             manifest as Exchange shows it",
            not_converging.join("; ")
        ))));
    }
    if !waiting.is_empty() {
        let text = format!(
            "Exchange acknowledged {} and does not show it yet",
            waiting.join(", ")
        );
        return Some(Outcome::Progressing(Progress::WaitingForExchange(text)));
    }
    if unread.is_empty() {
        return None;
    }
    let text = format!("settings could not be read yet: {}", unread.join("; "));
    Some(if is_ready {
        // What was reported stays, as in any outage.
        Outcome::Unavailable(text)
    } else {
        Outcome::Progressing(Progress::WaitingForExchange(text))
    })
}

/// `approved`: what the annotation names, which is something else.
fn waits_for_approval(
    key: &MailboxKey,
    held: &Held,
    names: &Names,
    id: &str,
    approved: Option<&str>,
) -> String {
    let changes = held.changes.iter().map(|change| names.in_change(change));
    let (namespace, name) = (&key.namespace, &key.name);
    let other = match approved {
        Some(other) if other != id => {
            let other = crate::api::condition::cut(other, 64);
            format!(". The approval {other:?} does not match")
        }
        Some(_) | None => String::new(),
    };
    format!(
        "{} for approval, because too much would change at once: {}. To let exactly these go on: kubectl annotate -n \
         {namespace} sharedmailbox/{name} {APPROVE}={id} --overwrite{other}",
        counted(held.changes.len(), "change waits", "changes wait"),
        first_of(changes)
    )
}
