//! The life of a ledger, and whether it is as the operator wrote it.

use kube::core::ObjectMeta;

use crate::api::{MailboxLedger, MailboxLedgerSpec, Seal};

/// Whether the object is as we wrote it last.
pub fn is_intact(object: &MailboxLedger) -> bool {
    let spec = &object.spec;
    is_sealed(spec.seal.as_ref(), &object.metadata, spec.people.is_empty())
}

/// Whether we wrote this version, and no copy of one that listed nobody was made since.
pub fn is_our_version(object: &MailboxLedger) -> bool {
    let has_uid = object.spec.seal.as_ref().is_some_and(|seal| !seal.uid.is_empty());
    has_uid && is_intact(object)
}

/// Whether a seal is that of this very version. The write that creates the object has no uid to seal yet, so it counts
/// as long as it lists nobody.
pub fn is_sealed(seal: Option<&Seal>, metadata: &ObjectMeta, lists_nobody: bool) -> bool {
    seal.is_some_and(|Seal { uid, generation }| {
        let is_own = if uid.is_empty() {
            lists_nobody && *generation == 1
        } else {
            metadata.uid.as_ref() == Some(uid)
        };
        is_own && metadata.generation == Some(*generation)
    })
}

/// The seal of the next write of this object; of the write that creates it, without one.
pub fn seal(before: Option<&MailboxLedger>) -> Seal {
    match before {
        None => Seal {
            uid: String::new(),
            generation: 1,
        },
        Some(object) => Seal {
            uid: object.metadata.uid.clone().unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or_default().saturating_add(1),
        },
    }
}

pub const TAKING_UP: &str = "TakingUp";
pub const FOREIGN_MARKER: &str = "ForeignMarker";

/// The state for people, derived from what is known; `is_foreign`: the mailbox carries somebody else's marker; `waits`:
/// rights wait since a take-up for the permissions that declared them.
pub fn lifecycle(spec: &MailboxLedgerSpec, is_foreign: bool, waits: bool) -> &'static str {
    let is_released = spec.released_at.is_some();
    if spec.gone_at.is_some() {
        "Gone"
    } else if is_foreign {
        FOREIGN_MARKER
    } else if (spec.intent.is_some() || spec.adopting.is_some()) && is_released {
        "Finishing"
    } else if spec.adopting.is_some() {
        "Adopting"
    } else if spec.intent.is_some() {
        "Creating"
    } else if is_released {
        "Released"
    } else if waits {
        TAKING_UP
    } else {
        "Serving"
    }
}
