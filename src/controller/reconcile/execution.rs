//! What came of the steps of a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::api::SignInControl;
use crate::exchange::{Concerns, ExchangeError, Receipt};
use crate::mail::{Holder, ObjectId, Right, Sid};
use crate::plan::{Change, Plan};

/// What came of the steps of a plan.
#[derive(Default)]
pub struct Execution {
    /// What Exchange acknowledged.
    pub acknowledged: Vec<Change>,
    /// Each write that Exchange acknowledged.
    pub writes: Vec<Write>,
    /// Steps that were done, as people read them.
    pub done: Vec<String>,
    /// What Exchange refuses for good, grants to members aside.
    pub refused: Vec<Refused>,
    /// Grants that Exchange refuses for good, and why.
    pub refused_grants: BTreeMap<(ObjectId, Right), String>,
    /// Grants that were not added because Exchange does not find the member: its look-up is out of date.
    pub not_found: BTreeSet<(ObjectId, Right)>,
    /// Grants that Exchange said were there already, whatever a replica shows.
    pub proven: BTreeSet<(ObjectId, Right)>,
    /// Rows whose removal Exchange answered with "doesn't exist".
    pub undeletable: BTreeSet<(Holder, Right)>,
    /// The first error that may go away; what depended on it was not tried.
    pub error: Option<ExchangeError>,
    /// What failed for a reason that may pass.
    pub failed: Vec<Change>,
    /// The SIDs in the entries that were added.
    pub learned: BTreeMap<ObjectId, Sid>,
    /// The first such error of a setting, on which nothing depends.
    pub setting_error: Option<ExchangeError>,
    /// Through which API a change of sign-in was refused, whether it was to allow it, and why: the other one is tried.
    pub sign_in_refused: BTreeMap<SignInControl, (bool, String)>,
    /// Sessions can't be revoked: why.
    pub sign_out_refused: Option<String>,
}

/// One request that changed something.
#[derive(Clone, Debug)]
pub struct Write {
    pub changes: Vec<Change>,
    /// By which Microsoft's support finds the request.
    pub request_id: Option<String>,
    /// Exchange said that all of it was so before.
    pub said_equal: bool,
}

/// Something that a retry with the same values can't bring about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The family, or the step, for people.
    pub what: String,
    /// The families of settings among it.
    pub families: BTreeSet<&'static str>,
    pub why: String,
    /// It depends on a role, which may be given.
    pub may_pass: bool,
    /// Nothing speaks against the values: the service fails at them again and again.
    pub keeps_failing: bool,
}

impl Refused {
    pub(super) fn of(what: &impl ToString, changes: &[Change], why: &ExchangeError) -> Self {
        Self {
            what: what.to_string(),
            families: families(changes).collect(),
            why: match why.class.concerns() {
                Concerns::Service => format!("Exchange keeps failing at it: {why}"),
                Concerns::Call | Concerns::App => {
                    format!(
                        "Exchange refuses it: {why}{}",
                        addresses_in_question(changes, why)
                    )
                }
            },
            may_pass: !why.class.is_permanent(),
            keeps_failing: why.class.concerns() == Concerns::Service,
        }
    }
}

/// Which of the addresses that the manifest itself declares are taken: those that Exchange names, or all of them. Whatever
/// else it says names their holder, who is nobody else's business.
fn addresses_in_question(changes: &[Change], why: &ExchangeError) -> String {
    let declared: Vec<&str> = changes
        .iter()
        .filter_map(|change| {
            if let Change::Primary(address) | Change::AddressAdded(address) = change {
                Some(address.as_str())
            } else {
                None
            }
        })
        .collect();
    if !why.class.is_clash() || declared.is_empty() {
        return String::new();
    }
    let said = why.message.to_lowercase();
    let named: Vec<&str> = declared
        .iter()
        .copied()
        .filter(|address| said.contains(*address))
        .collect();
    let taken = if named.is_empty() { declared } else { named };
    format!("; it is one of: {}", taken.join(", "))
}

fn families(changes: &[Change]) -> impl Iterator<Item = &'static str> {
    changes.iter().filter_map(Change::setting)
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl Execution {
    /// Each family of settings that was written, with its write.
    pub fn written_families(&self) -> impl Iterator<Item = (&'static str, &Write)> {
        self.writes.iter().flat_map(|write| {
            let families: BTreeSet<&'static str> = families(&write.changes).collect();
            families.into_iter().map(move |family| (family, write))
        })
    }

    pub fn did(&mut self, changes: Vec<Change>, words: String, receipt: &Receipt) {
        if receipt.say_already_present() {
            self.proven.extend(changes.iter().filter_map(Change::granted));
        }
        self.writes.push(Write {
            changes: changes.clone(),
            request_id: receipt.request_id.clone(),
            said_equal: receipt.say_no_change(),
        });
        self.acknowledged.extend(changes);
        self.done.push(words);
    }

    pub fn refuse(&mut self, name: &str, changes: &[Change], error: &ExchangeError) {
        if let [Change::SignIn { allowed, through }] = changes {
            self.sign_in_refused
                .insert(*through, (*allowed, error.to_string()));
        } else {
            self.refused.push(Refused::of(&name, changes, error));
        }
    }

    /// An error that may go away. Nothing waits for a setting, or for sign-in.
    pub fn fail(&mut self, error: ExchangeError, changes: &[Change]) {
        if let [Change::SignIn { .. }] = changes
            && is_refused(&error)
        {
            return self.refuse("signIn", changes, &error);
        }
        let only_settings = changes.iter().all(|change| {
            matches!(
                change,
                Change::Set { .. } | Change::SignIn { .. } | Change::SignedOut
            )
        });
        self.note_failed(&error, changes);
        let slot = if only_settings {
            &mut self.setting_error
        } else {
            &mut self.error
        };
        slot.get_or_insert(error);
    }

    /// It counts as one more failure of these changes, unless only the time was wrong.
    pub(super) fn note_failed(&mut self, error: &ExchangeError, changes: &[Change]) {
        if !error.class.is_throttling() {
            self.failed.extend(changes.iter().cloned());
        }
    }

    /// Whether sessions may be revoked: while an account is open they would be back at once.
    pub(super) fn has_closed(&self, plan: &Plan) -> bool {
        let closes = |change: &Change| matches!(change, Change::SignIn { allowed: false, .. });
        !plan.changes().iter().any(closes) || self.acknowledged.iter().any(closes)
    }

    pub(super) fn absorb(&mut self, other: Self) {
        let Self {
            acknowledged,
            writes,
            done,
            refused,
            refused_grants,
            not_found,
            proven,
            undeletable,
            error,
            failed,
            learned,
            setting_error,
            sign_in_refused,
            sign_out_refused,
        } = other;
        self.failed.extend(failed);
        self.learned.extend(learned);
        self.acknowledged.extend(acknowledged);
        self.writes.extend(writes);
        self.proven.extend(proven);
        self.undeletable.extend(undeletable);
        self.done.extend(done);
        self.refused.extend(refused);
        self.refused_grants.extend(refused_grants);
        self.not_found.extend(not_found);
        self.error = self.error.take().or(error);
        self.setting_error = self.setting_error.take().or(setting_error);
        self.sign_in_refused.extend(sign_in_refused);
        self.sign_out_refused = self.sign_out_refused.take().or(sign_out_refused);
    }
}

/// Whether a retry by the same app with the same values is of no use.
pub(super) fn is_refused(error: &ExchangeError) -> bool {
    error.class.concerns() != Concerns::Service || error.parameter.is_some()
}
