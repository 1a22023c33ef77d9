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
use crate::controller::state::memory::Memory;
use crate::ledger::{Ledger, RecordedGrant};

/// `kubectl delete -f` deletes what a file holds one by one: what belongs together is gone within this time.
const TOGETHER: Duration = Duration::from_secs(2);

/// Whether permissions are gone because everything around them is being deleted.
pub enum CascadingDeletion {
    /// Nothing is being deleted, or only the permissions themselves.
    No,
    /// Too early to know: to be checked again after `wait`. Some permission or other has been missing for as long as `since`
    /// without a break: whoever deletes and creates in turn keeps it so.
    Unknown { wait: Duration, since: Duration },
    /// Everything is being deleted, and has been for so long: nobody loses a right by it.
    UnderWay(Duration),
}

/// Asks the API server only when the ledger names permissions that are not there any more.
pub async fn cascading_deletion(
    context: &Context,
    key: &MailboxKey,
    ledger: Option<&Ledger>,
    permissions: &[Arc<MailboxPermission>],
) -> Result<CascadingDeletion, kube::Error> {
    let lost = lost_permissions(ledger, permissions);
    let now = context.clock.instant();
    // One that is lost for long, because somebody is protected, says nothing of the others.
    let newest = context.state.remember(key, |memory| {
        memory.lost.retain(|name, _| lost.contains(name));
        for name in lost {
            memory.lost.entry(name).or_insert(now);
        }
        memory.lost.values().max().copied()
    });
    let waited = newest.map(|newest| now.saturating_duration_since(newest));
    if let Some(waited) = waited.filter(|waited| *waited < TOGETHER) {
        let unsettled = |memory: &mut Memory| *memory.unsettled_since.get_or_insert(now);
        return Ok(CascadingDeletion::Unknown {
            wait: TOGETHER.saturating_sub(waited),
            since: now.saturating_duration_since(context.state.remember(key, unsettled)),
        });
    }
    context
        .state
        .remember(key, |memory| memory.unsettled_since = None);
    if waited.is_none() {
        context.state.remember(key, |memory| memory.deleting_since = None);
        return Ok(CascadingDeletion::No);
    }
    let namespaces: Api<Namespace> = Api::all(context.client.clone());
    let namespace = namespaces.get_opt(&key.namespace).await?;
    let kinds: Api<CustomResourceDefinition> = Api::all(context.client.clone());
    let kind = kinds.get_opt(MailboxPermission::crd_name()).await?;
    let uid = kind.as_ref().and_then(ResourceExt::uid);
    context.state.set_permissions_crd_uid(uid);
    let stays = namespace.is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_none())
        && kind.is_some_and(|kind| kind.metadata.deletion_timestamp.is_none());
    Ok(context.state.remember(key, |memory| {
        if stays {
            memory.deleting_since = None;
            return CascadingDeletion::No;
        }
        let since = *memory.deleting_since.get_or_insert(now);
        CascadingDeletion::UnderWay(now.saturating_duration_since(since))
    }))
}

/// Permissions that are gone and that alone declared something.
fn lost_permissions(ledger: Option<&Ledger>, permissions: &[Arc<MailboxPermission>]) -> BTreeSet<String> {
    let there: BTreeSet<String> = permissions
        .iter()
        .map(|permission| permission.name_any())
        .collect();
    let is_lost = |grant: &&RecordedGrant| grant.by.iter().all(|name| !there.contains(name));
    let grants = ledger.into_iter().flat_map(|ledger| &ledger.grants);
    grants
        .filter(is_lost)
        .flat_map(|grant| grant.by.clone())
        .collect()
}
