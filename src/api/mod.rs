//! The custom resources of `sharedmailbox.dev/v1alpha1`: what a user writes and reads back.

#![allow(
    clippy::duplicated_attributes,
    reason = "each printcolumn of kube's derive repeats its keys"
)]

use std::collections::BTreeMap;

pub mod condition;
mod exchange_tenant;
mod exchange_tenant_status;
mod mailbox_ledger;
mod mailbox_permission;
mod mailbox_settings;
pub mod reason;
mod reference;
mod schema;
mod shared_mailbox;
#[cfg(test)]
mod tests;

pub use exchange_tenant::{
    AccessRule, CertificateRef, CloudName, Credentials, Drift, EndpointOverrides, ExchangeTenant,
    ExchangeTenantSpec, Limits, MarkerAttribute, NamespaceNames, Ownership, Power, Safety, SecretKeyRef,
    SignInControl, WorkloadIdentity,
};
pub use exchange_tenant_status::{
    BatchAfterError, ClockComparison, CredentialInUse, CredentialName, ExchangeTenantStatus, HiddenMembers,
    PagingAnchor, RoleKnowledge, SignInProof, TenantCapabilities,
};
pub use mailbox_ledger::{
    DISOWN, DefaultsState, FORGET, Format1, GrantState, HistoryLine, Intent, LedgerBefore, LedgerEviction,
    LedgerGrantBefore, LedgerHeld, LedgerMailbox, LedgerPerson, LedgerResource, LedgerRight, LedgerRightOf,
    LedgerShown, LedgerTenant, MailboxLedger, MailboxLedgerSpec, RemovedAddress, RemovedSetting, Seal,
};
pub use mailbox_permission::{
    MailboxPermission, MailboxPermissionSpec, MailboxPermissionStatus, Member, MemberStatus, Revoked,
    RightState, RightStatus,
};
pub use mailbox_settings::{
    Archive, AutomaticReplies, ClientAccess, Delivery, DeliveryLimits, Forwarding, ForwardingMode,
    LitigationHold, MailboxDefaults, PlainSettings, Quota, Regional, ReplyAudience, ReplyState, SentItems,
    SmtpAuth,
};
pub use reference::NamedRef;
pub use schema::all_crds;
pub use shared_mailbox::{
    Adoption, DeletionPolicy, ForeignGrant, ForeignState, HeldChanges, Management, PermissionsMode,
    PermissionsPolicy, SharedMailbox, SharedMailboxSpec, SharedMailboxStatus, SignIn,
};

/// On any of our custom resources, asks for a reconcile now; its value is echoed in `status.lastHandledReconcileAt`.
pub const RECONCILE_REQUESTED_AT: &str = "sharedmailbox.dev/reconcile-requested-at";

/// The same in Flux's words, for tools that know these.
pub const FLUX_REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";

/// Both requests for a reconcile, ours and Flux's, as they are written.
pub fn reconcile_requests(annotations: &BTreeMap<String, String>) -> [Option<&String>; 2] {
    [RECONCILE_REQUESTED_AT, FLUX_REQUESTED_AT].map(|key| annotations.get(key))
}

/// The one that a reconcile answers: times written alike sort alike, so the later of the two was asked for last.
pub fn last_reconcile_request(annotations: &BTreeMap<String, String>) -> Option<&String> {
    reconcile_requests(annotations).into_iter().flatten().max()
}

/// On a Secret with credentials: when they end, as a day or a time. For metrics and alerts only.
pub const EXPIRES_AT: &str = "sharedmailbox.dev/expires-at";

/// Approves the held changes with this id (`status.held.id`), and no others.
pub const APPROVE: &str = "sharedmailbox.dev/approve";

/// On a SharedMailbox that is being deleted, with its own uid: lets it go as under Retain, whatever its policy says.
pub const LET_GO: &str = "sharedmailbox.dev/let-go";

/// Holds a SharedMailbox whose deletion policy asks for something to be done before it goes.
pub const FINALIZER: &str = "sharedmailbox.dev/deletion";

/// On a SharedMailbox whose mailbox is gone, with the lost mailbox's GUID: creates a new and empty one in its place.
pub const RECREATE: &str = "sharedmailbox.dev/recreate";

/// Any new value removes grants of deleted accounts; it is echoed in `status.lastHandledOrphanRemoval`.
pub const REMOVE_ORPHANS: &str = "sharedmailbox.dev/remove-orphaned-grants";

/// An address as OpenAPI pattern: as CEL it breaks the cost budget. `mail::SmtpAddress` is stricter.
const ADDRESS_PATTERN: &str = r"^[A-Za-z0-9!#$%&+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$";

/// An address, or every address of a domain as `*@domain`.
const ADDRESS_PATTERN_OR_DOMAIN: &str = r"^(\*|[A-Za-z0-9!#$%&+/=?^_`{|}~.-]{1,64})@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$";

/// Hours, minutes and seconds as in `1h30m`: a part of what CEL's `duration()` and Go take. Both refuse the empty text.
const DURATION_PATTERN: &str = "^([0-9]{1,4}h)?([0-9]{1,5}m)?([0-9]{1,6}s)?$";

/// A time that we can read. The API server's own check takes any offset of four digits, and whatever comes after a second
/// `T`; an object with such a time could not be decoded, and its mailbox not be looked after. It does check days and hours.
pub const TIME_PATTERN: &str = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$";

const GUID_PATTERN: &str = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$";
