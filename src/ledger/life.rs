//! The life of a ledger, and whether it is as the operator wrote it.

use super::decode;
use crate::api::{GrantState, MailboxLedger, MailboxLedgerSpec, Seal};

/// Whether the object is as we wrote it last. One that only announces a create is so as long as it lists nobody: it
/// was written before it had a uid.
pub fn is_intact(object: &MailboxLedger) -> bool {
    let Some(seal) = &object.spec.seal else {
        return false;
    };
    if object.metadata.generation != Some(seal.generation) {
        return false;
    }
    if seal.uid.is_empty() {
        return object.spec.people.is_empty() && seal.generation == 1;
    }
    object.metadata.uid.as_deref() == Some(seal.uid.as_str())
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

/// The state for people, derived from what is known; `is_foreign`: the mailbox carries somebody else's marker.
pub fn lifecycle(spec: &MailboxLedgerSpec, is_foreign: bool) -> &'static str {
    let is_released = spec.released_at.is_some();
    if spec.gone_at.is_some() {
        "Gone"
    } else if is_foreign {
        "ForeignMarker"
    } else if spec.intent.is_some() && is_released {
        "Finishing"
    } else if spec.intent.is_some() {
        "Creating"
    } else if is_released {
        "Released"
    } else {
        "Serving"
    }
}

/// How many rights a read has shown and nothing takes away.
pub fn granted(spec: &MailboxLedgerSpec) -> usize {
    let rights = spec.people.iter().flat_map(|person| person.rights.values());
    rights.filter(|right| right.state == GrantState::Granted).count()
}

/// Whether the ledger can be read at all.
pub fn is_readable(spec: &MailboxLedgerSpec) -> bool {
    decode::read(spec).is_ok()
}
