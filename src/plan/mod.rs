//! Desired × observed × ledger → ordered steps. Plain functions on values: no client, no clock, no await.

mod account;
#[cfg(test)]
mod cases;
mod change;
mod desired;
mod families;
mod foreign;
mod grants;
mod hold;
mod observed;
mod ownership;
mod part;
#[cfg(test)]
mod properties;
mod reads;
mod removal;
mod removed;
mod settings;
#[cfg(test)]
mod settings_cases;
#[cfg(test)]
mod settings_tests;
mod sign_in;
mod standing;
mod step;
#[cfg(test)]
mod testing;

use std::collections::BTreeSet;

pub use crate::ledger::SHOWN_BY_THEN;
pub use account::{Account, Attempt, SignInAttempts, SignInStanding};
pub use change::{Acknowledged, Change, ChangeKind};
pub use desired::{Desired, GrantPolicy, People, Purpose, TakeUp, WantedGrant};
pub use families::{
    Company, Dropped, FAMILIES, Family, Feature, Move, Need, Repairs, of_defaults, reference, shown_by,
};
pub use foreign::{Foreign, foreign};
pub use hold::{Held, Weighed, sudden, weigh};
pub use observed::{Asked, Creation, Entry, Holders, Identity, Observed, OnBehalf, Presence};
pub use ownership::{NotOurs, Ownership, ownership};
pub use reads::{NEEDS, Promise, Read, UnreadReads};
pub use removal::{FoundIn, VETOES};
pub use removed::{confirm_removed, may_be_untied, reopen, unproven};
pub use settings::unlicensed;
pub use standing::{Answer, Earlier, ShownSettings, Standing, Unread};
pub use step::{Cause, Eviction, Plan, Step, parts};

use crate::api::{SignIn, SignInControl};
use crate::ledger::Ledger;
use crate::mail::{Right, SmtpAddress};
use crate::setting::Call;
use settings::OnBehalfChanges;

/// The steps that turn `observed` into `desired`, as far as its purpose allows, and the ledger before and after them.
///
/// `observed` must be a mailbox that is ours (see [`ownership`]).
pub fn plan(desired: &Desired, observed: &Observed, ledger: &Ledger) -> Plan {
    let whole = whole(desired, observed, ledger);
    match desired.purpose {
        Purpose::Keep => whole,
        Purpose::OnlyRemove => whole.only_taking_away(ledger),
        Purpose::Protect => whole.only_what_protects(ledger),
        purpose @ (Purpose::Released | Purpose::HeldUp | Purpose::Revoking) => {
            whole.only_what_outlives(ledger, purpose)
        }
        Purpose::HandedBack => {
            let owes = owes_something(&whole, desired, observed, ledger);
            let rest = whole.only_what_outlives(ledger, desired.purpose);
            if owes || !rest.is_empty() {
                rest
            } else {
                rest.withdrawing_the_marker(desired.marker_attribute)
            }
        }
    }
}

/// Whether a removal is still owed that nobody could carry out without the marker: one that waits, was announced, may have
/// been forgotten by Exchange, or whose row can't be read.
fn owes_something(whole: &Plan, desired: &Desired, observed: &Observed, ledger: &Ledger) -> bool {
    let mut grants = ledger.grants.iter();
    ledger.may_hide_a_right(desired.now)
        || ledger.intent.is_some()
        || ledger.adopting.is_some()
        || ledger.held.is_some()
        || !whole.due.is_empty()
        || grants.any(|grant| grant.remapping || ledger.announces(&grant.right_of()))
        || [Right::FullAccess, Right::SendAs]
            .into_iter()
            .any(|right| observed.is_unread(right))
}

/// What a plan would be if its purpose stopped nothing.
pub fn whole(desired: &Desired, observed: &Observed, ledger: &Ledger) -> Plan {
    let grants = grants::plan(desired, observed, ledger);
    let on_behalf = OnBehalfChanges {
        add: grants.add_on_behalf,
        remove: grants.remove_on_behalf,
    };
    let sign_in = sign_in::standing(desired, observed);
    let owes_sign_out = sign_in::owes_sign_out(desired, observed, ledger, &sign_in);
    let is_closed = observed.account == Account::Blocked;
    let signs_out = owes_sign_out && (is_closed || matches!(sign_in, SignInStanding::Differs(_)));
    let settings = settings::plan(desired, observed, ledger, &on_behalf, &sign_in);
    let opened = settings::opened(desired, &settings.standings);
    let sign_in_undecided = sign_in::stays_undecided(desired, observed);
    let announced = Ledger {
        intent: ledger.intent.clone(),
        // It carries our marker.
        adopting: None,
        sign_in_undecided,
        addresses: addresses_to_remember(desired, observed, ledger),
        defaults: ledger.defaults,
        opened: ledger.opened.union(&opened).cloned().collect(),
        grants: grants.announced,
        removed: ledger.removed.clone(),
        weighed: ledger.weighed.clone(),
        held: ledger.held.clone(),
        sign_out_owed: owes_sign_out,
    };
    let settled = Ledger {
        intent: None,
        adopting: None,
        sign_in_undecided,
        addresses: if desired.doubts_the_ledger() {
            addresses_to_remember(desired, observed, ledger)
        } else {
            desired.aliases.iter().cloned().collect()
        },
        defaults: settings::defaults_afterwards(ledger.defaults, desired, &settings.standings),
        opened: ledger
            .opened
            .iter()
            .filter(|name| settings::stays_opened(name, desired))
            .chain(&opened)
            .cloned()
            .collect(),
        grants: grants.settled,
        removed: ledger.removed.clone(),
        weighed: Vec::new(),
        held: None,
        sign_out_owed: owes_sign_out && !signs_out,
    };
    let mut steps = grants.revocations;
    steps.extend(grants.interrupted);
    if !settings.core.is_empty() {
        steps.push(Step::Set {
            call: Call::Mailbox,
            changes: settings.core,
        });
    }
    if sign_in == SignInStanding::Differs(SignInControl::Graph) {
        steps.push(Step::SetDirectorySignIn {
            allowed: desired.sign_in == SignIn::Allowed,
        });
    }
    if signs_out {
        steps.push(Step::SignOut);
    }
    steps.extend(settings.withdrawals);
    steps.extend(grants.remappings);
    steps.extend(grants.additions);
    // Last: nothing waits for them.
    steps.extend(settings.alone);
    Plan {
        steps,
        causes: grants.causes,
        due: grants.due,
        unread: grants.unread,
        before: settings.before,
        standings: settings.standings,
        sign_in,
        announced,
        settled,
    }
}

/// What was declared before and what is declared now. The primary address is never ours to take away: it
/// stays as an address when another becomes primary, unless it is declared as one of the further addresses.
fn addresses_to_remember(desired: &Desired, observed: &Observed, ledger: &Ledger) -> Vec<SmtpAddress> {
    let before = ledger
        .addresses
        .iter()
        .filter(|address| **address != observed.primary);
    let both: BTreeSet<SmtpAddress> = before.chain(&desired.aliases).cloned().collect();
    both.into_iter().collect()
}
