//! Takes a ledger away, and only the version that was read.

use kube::api::{DeleteParams, Preconditions};
use kube::{Api, Client, ResourceExt};

use crate::api::MailboxLedger;

/// That somebody else has deleted it already is as good; a newer version is a conflict.
pub async fn delete(client: &Client, ledger: &MailboxLedger) -> Result<(), kube::Error> {
    let api: Api<MailboxLedger> = Api::all(client.clone());
    let only_that = DeleteParams {
        preconditions: Some(Preconditions {
            uid: ledger.uid(),
            resource_version: ledger.resource_version(),
        }),
        ..DeleteParams::default()
    };
    match api.delete(&ledger.name_any(), &only_that).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}
