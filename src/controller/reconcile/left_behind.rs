//! A mailbox that a resource had and has no more, because another one was created in its place: what outlives a resource
//! is done for it, should it come back, and its ledger ends like any other.

use kube::ResourceExt;

use super::ledger::LedgerFile;
use super::stand_in;
use super::task::{Reconcile, Standing};
use crate::api::MailboxLedger;
use crate::api::condition::whole_seconds;
use crate::controller::context::Context;
use crate::controller::state::key::MailboxKey;
use crate::lane::Lane;

/// Under which a process remembers what it does there: no resource has such a name, and what is remembered of the
/// resource's own mailbox is not mixed up with it.
pub(super) fn key(of: &MailboxKey, ledger: &MailboxLedger) -> MailboxKey {
    MailboxKey {
        namespace: of.namespace.clone(),
        name: format!("{}/{}", of.name, ledger.name_any()),
    }
}

impl<'a> Reconcile<'a> {
    /// `of`: the resource that had it.
    pub(super) fn of_left_behind(
        context: &'a Context,
        of: &MailboxKey,
        (key, lane): (&'a MailboxKey, Lane),
        ledger: MailboxLedger,
    ) -> Self {
        let now = whole_seconds(context.clock.now());
        let object = stand_in::of_ledger(of, &ledger.spec);
        let mut ledger = LedgerFile::of(ledger);
        if let Some(draft) = ledger.draft_mut() {
            draft.released_at.get_or_insert(now);
        }
        Self {
            context,
            key,
            lane,
            object,
            standing: Standing::Gone,
            is_finalizer_owed: false,
            ledger,
            permissions: Vec::new(),
            last_word: None,
            restraint: None,
            seen_account: None,
            created: false,
            reattached: false,
        }
    }
}
