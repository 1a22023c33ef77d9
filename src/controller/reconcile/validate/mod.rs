//! From what people wrote and what was read to values that can be planned with. Plain functions: no client, no await.
//!
//! Judged twice: [`admit`] takes the manifests as written, before any look-up; [`resolve`] takes the members as the
//! directory knows them, and [`validate`] the mailbox as Exchange shows it.

mod admitted;
mod adoption;
mod bench;
mod claims;
mod judge;
mod judged;
mod members;
mod recipients;
mod wanted;
mod written;

pub use admitted::{Admitted, AdmittedMember, AdmittedPermission, Refusal, Refused, Surroundings};
pub use bench::Directory;
pub use claims::{JUDGED, Rival, Rivals, preferred};
pub use judge::{Planned, Validated, validate};
pub use judged::{Judged, desired};
pub use members::{MemberVerdict, PersonVerdict};
pub use wanted::{Wanted, resolve};
pub use written::{admit, admitted_sign_in, declared_settings, judged_addresses};
