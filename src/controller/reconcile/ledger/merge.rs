//! Two ledgers of one mailbox, as after a restore beside a living one, become one.

use jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};

use super::delete;
use crate::api::MailboxLedger;
use crate::ledger;

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
    let api: Api<MailboxLedger> = Api::all(client.clone());
    let mut next = winner.clone();
    next.spec = ledger::merge(&winner, &loser, now);
    let winner = if next.spec == winner.spec {
        winner
    } else {
        // Never sealed anew here: a broken seal is seen by the take-up that follows.
        if ledger::is_intact(&winner) {
            next.spec.seal = Some(ledger::seal(Some(&winner)));
        }
        api.replace(&winner.name_any(), &PostParams::default(), &next)
            .await?
    };
    delete(client, &loser).await?;
    tracing::info!(
        ledger = %winner.name_any(),
        merged = %loser.name_any(),
        "two ledgers of one mailbox were merged"
    );
    Ok(winner)
}
