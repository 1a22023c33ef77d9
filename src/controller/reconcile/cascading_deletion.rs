//! Whether a permission was deleted by itself, or because everything around it is being deleted.
//!
//! While a SharedMailbox, its namespace or our CRDs are being deleted, only the mailbox's own deletionPolicy decides
//! about its grants. Kubernetes deletes in any order, and a permission may be gone before anything else shows what is
//! happening.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, CustomResourceExt, ResourceExt};

use crate::api::MailboxPermission;
use crate::controller::context::Context;
use crate::controller::state::key::MailboxKey;
use crate::ledger::{Ledger, RecordedGrant};

/// `kubectl delete -f` deletes what a file holds one by one: what belongs together is gone within this time.
const TOGETHER: Duration = Duration::from_secs(2);

/// Whether permissions are gone because everything around them is being deleted.
pub enum CascadingDeletion {
    /// Nothing is being deleted, or only the permissions themselves.
    No,
    /// Too early to know: to be checked again after this long.
    Unknown(Duration),
    /// Everything is being deleted: nobody loses a right by it.
    UnderWay,
}

/// Asks the API server only when the ledger names permissions that are not there any more.
pub async fn cascading_deletion(
    context: &Context,
    key: &MailboxKey,
    ledger: Option<&Ledger>,
    permissions: &[Arc<MailboxPermission>],
) -> Result<CascadingDeletion, kube::Error> {
    if !has_lost_permissions(ledger, permissions) {
        context.state.remember(key, |memory| memory.lost_since = None);
        return Ok(CascadingDeletion::No);
    }
    let now = context.clock.instant();
    let since = context
        .state
        .remember(key, |memory| *memory.lost_since.get_or_insert(now));
    let waited = now.saturating_duration_since(since);
    if waited < TOGETHER {
        return Ok(CascadingDeletion::Unknown(TOGETHER.saturating_sub(waited)));
    }
    let namespaces: Api<Namespace> = Api::all(context.client.clone());
    let namespace = namespaces.get_opt(&key.namespace).await?;
    let kinds: Api<CustomResourceDefinition> = Api::all(context.client.clone());
    let kind = kinds.get_opt(MailboxPermission::crd_name()).await?;
    let uid = kind.as_ref().and_then(ResourceExt::uid);
    context.state.set_permissions_crd_uid(uid);
    let stays = namespace.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_none())
        && kind.is_some_and(|kind| kind.metadata.deletion_timestamp.is_none());
    Ok(if stays {
        CascadingDeletion::No
    } else {
        CascadingDeletion::UnderWay
    })
}

fn has_lost_permissions(ledger: Option<&Ledger>, permissions: &[Arc<MailboxPermission>]) -> bool {
    let there: BTreeSet<String> = permissions
        .iter()
        .map(|permission| permission.name_any())
        .collect();
    let lost =
        |grant: &RecordedGrant| !grant.by.is_empty() && grant.by.iter().all(|name| !there.contains(name));
    ledger.is_some_and(|ledger| ledger.grants.iter().any(lost))
}
