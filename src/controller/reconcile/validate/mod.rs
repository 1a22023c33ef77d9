//! From what people wrote and what was read to values that can be planned with. Plain functions: no client, no await.
//!
//! Judged twice: [`admit`] takes the manifests as written, before any look-up; [`resolve`] takes the members as the
//! directory knows them, and [`validate`] the mailbox as Exchange shows it.

mod admitted;
mod adoption;
mod claims;
mod judge;
mod members;
mod recipients;
mod wanted;
mod written;

pub use admitted::{Admitted, AdmittedMember, AdmittedPermission, Refusal, Refused, Surroundings};
pub use claims::{Rival, Rivals, is_older, preferred};
pub use judge::{Judged, Planned, Validated, desired, validate};
pub use members::{Directory, MEMBER_NOT_FOUND, MemberVerdict, NO_MAILBOX, PersonVerdict};
pub use wanted::{Wanted, resolve};
pub use written::{admit, admitted_sign_in, declared_settings, judged_addresses};
