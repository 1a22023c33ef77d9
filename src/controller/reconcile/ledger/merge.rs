//! Two ledgers of one mailbox, as after a restore beside a living one, become one.

use jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};

use super::delete;
use crate::api::{DISOWN, MailboxLedger, MailboxLedgerSpec};
use crate::ledger;

/// The same ledger with this in it. A broken seal is never made whole here: the take-up that follows sees it.
pub(super) async fn rewritten(
    client: &Client,
    before: MailboxLedger,
    spec: MailboxLedgerSpec,
) -> Result<MailboxLedger, kube::Error> {
    let seal = if ledger::is_intact(&before) {
        Some(ledger::seal(Some(&before)))
    } else {
        before.spec.seal.clone()
    };
    let is_ours = ledger::is_our_version(&before);
    let mut next = MailboxLedger {
        spec: MailboxLedgerSpec { seal, ..spec },
        ..before
    };
    if !is_ours {
        // What somebody asks of a ledger that they made is not asked of the one that this becomes.
        next.annotations_mut().remove(DISOWN);
    }
    let api: Api<MailboxLedger> = Api::all(client.clone());
    api.replace(&next.name_any(), &PostParams::default(), &next).await
}

/// The one that wins, with what the other remembers besides; the other is deleted. An intact seal wins, then the newer
/// entry, then the smaller name.
pub(super) async fn merged(
    client: &Client,
    one: MailboxLedger,
    other: MailboxLedger,
    now: Timestamp,
) -> Result<MailboxLedger, kube::Error> {
    let (winner, loser) = if ledger::wins(&one, &other) {
        (one, other)
    } else {
        (other, one)
    };
    let spec = ledger::merge(&winner, &loser, now);
    let winner = if spec == winner.spec {
        winner
    } else {
        rewritten(client, winner, spec).await?
    };
    delete(client, &loser).await?;
    tracing::info!(
        ledger = %winner.name_any(),
        merged = %loser.name_any(),
        "two ledgers of one mailbox were merged"
    );
    Ok(winner)
}
