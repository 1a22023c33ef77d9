//! Changes of the mailbox itself: together as long as Exchange takes them, and apart so that one bad value holds nothing
//! hostage.

use super::encode::parameters;
use super::execution::Execution;
use super::executor::Executor;
use crate::exchange::{ExchangeError, Stage};
use crate::plan::{Change, Step, parts};
use crate::setting::Call;

impl Executor<'_> {
    /// All changes in one call. When Exchange refuses them together, the family that it names is left out; when it names
    /// none, each goes by itself, what protects first, so that the refused one holds nothing hostage. So does what failed
    /// several times in a row, for whatever reason.
    pub(super) async fn set(&self, call: Call, changes: &[Change], execution: &mut Execution) {
        if self.keep_failing(changes) {
            return self.set_apart(call, changes, execution).await;
        }
        let mut rest = changes.to_vec();
        let error = loop {
            if rest.is_empty() {
                return;
            }
            let error = match self.send(call, &rest, execution).await {
                Ok(()) => return,
                Err(error) => error,
            };
            let Some(named) = named_change(&error, &rest).cloned() else {
                break error;
            };
            if named.only_goes_along() {
                rest.retain(|change| *change != named);
                continue;
            }
            let family = named.family();
            let (refused, others): (Vec<Change>, Vec<Change>) =
                rest.into_iter().partition(|change| change.family() == family);
            execution.refuse(family, &refused, &error);
            rest = others;
        };
        if !is_refusal(&error, call) {
            execution.fail(error, &rest);
            return;
        }
        let parts = parts(&rest);
        if let [(name, part)] = parts.as_slice()
            && !part.iter().any(Change::is_marker)
        {
            let name = *name;
            execution.refuse(name, &rest, &error);
            return;
        }
        self.set_apart(call, &rest, execution).await;
    }

    /// A new mailbox keeps its one-time name until a read shows the marker: an acknowledged marker may be lost, and nothing
    /// else would say whose the mailbox is.
    async fn set_apart(&self, call: Call, changes: &[Change], execution: &mut Execution) {
        let is_unmarked = changes.iter().any(Change::is_marker);
        for (name, part) in parts(changes) {
            let is_name = part
                .iter()
                .any(|change| !change.is_marker() && change.names_a_new_mailbox());
            if is_unmarked && is_name {
                continue;
            }
            let Err(error) = self.send(call, &part, execution).await else {
                continue;
            };
            if part.iter().any(Change::is_marker) {
                // Nothing else says whose the mailbox is, once its one-time name is gone: without a marker nothing follows.
                if part.len() == 1 || !error.refuses_what_was_asked() {
                    execution.error.get_or_insert(error);
                    return;
                }
                Box::pin(self.set_one_by_one(call, &part, execution)).await;
            } else if is_refusal(&error, call) || named_change(&error, &part).is_some() {
                execution.refuse(name, &part, &error);
            } else if self.keep_failing(&part) && !error.class.is_throttling() {
                execution.refuse(name, &part, &error);
                execution.failed.extend(part);
            } else {
                execution.fail(error, &part);
            }
            if execution.error.is_some() {
                return;
            }
        }
    }

    /// The marker first; the sign-in block may be what is refused.
    async fn set_one_by_one(&self, call: Call, changes: &[Change], execution: &mut Execution) {
        for change in changes {
            let one = std::slice::from_ref(change);
            match self.send(call, one, execution).await {
                Ok(()) => {}
                Err(error) if !change.is_marker() && error.refuses_what_was_asked() => {
                    execution.refuse(change.family(), one, &error);
                }
                Err(error) => {
                    execution.error.get_or_insert(error);
                    return;
                }
            }
        }
    }

    /// One call, repeated without each delegate that Exchange says is gone.
    async fn send(
        &self,
        call: Call,
        changes: &[Change],
        execution: &mut Execution,
    ) -> Result<(), ExchangeError> {
        let mut changes = changes.to_vec();
        loop {
            let parameters = parameters(&changes);
            let error = match self.gateway.change(self.lane, call, self.guid, &parameters).await {
                Ok(receipt) => {
                    let step = Step::Set { call, changes };
                    execution.did(step.changes(), step.to_string(), &receipt);
                    return Ok(());
                }
                Err(error) => error,
            };
            let gone = changes
                .iter()
                .position(|change| change.delegate().is_some_and(|id| error.does_not_find(id)));
            let Some(gone) = gone else { return Err(error) };
            let change = changes.remove(gone);
            match change.granted() {
                Some(grant) => {
                    execution.not_found.insert(grant);
                }
                // The list holds objects that exist only: with its account a delegate has left it.
                None => execution.acknowledged.push(change),
            }
            if changes.is_empty() {
                return Ok(());
            }
        }
    }
}

/// The setting whose parameter the error names, or whose value it does not find.
fn named_change<'a>(error: &ExchangeError, changes: &'a [Change]) -> Option<&'a Change> {
    let is_parameter = |change: &&Change| {
        let named = error.parameter.as_deref();
        let own = change.parameter();
        named.is_some_and(|named| own.is_some_and(|own| own.eq_ignore_ascii_case(named)))
    };
    let is_value = |change: &&Change| {
        let mut texts = change.setting_texts().into_iter();
        texts.any(|text| error.does_not_find(text))
    };
    changes
        .iter()
        .find(is_parameter)
        .or_else(|| changes.iter().find(is_value))
}

/// True when a retry with the same values can't help. A call beside Set-Mailbox that is denied whole is one that the
/// role lacks: nothing but its own settings suffers.
fn is_refusal(error: &ExchangeError, call: Call) -> bool {
    match call {
        Call::Mailbox => error.refuses_what_was_asked(),
        Call::Cas | Call::Regional | Call::AutoReply | Call::Archive => {
            let lacks_role = error.class.is_denial() && error.stage == Stage::Exchange;
            error.refuses_what_was_asked() || lacks_role
        }
    }
}
