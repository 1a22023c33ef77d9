//! Flows of the whole operator, in process, on paused time: API server double, simulated tenant, operator.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests, where a panic is a failure"
)]

/// Most of what these tests do is make and drop small values.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod adoption;
mod adoption_observed;
mod adoption_refused;
mod architecture;
mod automapping;
mod batches;
mod breaker;
mod capabilities;
mod claims;
mod clock;
mod contested;
mod crash;
mod create;
mod credentials;
mod day;
mod defaults;
mod deletion;
mod departed;
mod doctor;
mod drift;
mod edits;
mod ends;
mod entries;
mod exact;
mod exclusive;
mod families;
mod families_alone;
mod grants;
mod groups;
mod groups_that_change;
mod handed_back;
mod held_back;
mod hostile;
mod judged_as_it_is;
mod kit;
mod kstatus;
mod lanes;
mod lease;
mod ledger;
mod left;
mod let_go;
mod many;
mod matrix;
mod metrics;
mod new_mailbox;
mod openings;
mod other_cluster;
mod outages;
mod over_limit;
mod ownership;
mod panics;
mod protection;
mod recovery;
mod recreated;
mod refused_mailboxes;
mod refused_members;
mod refused_removals;
mod refused_tenants;
mod regressions;
mod remembered;
mod removals;
mod requests;
mod restore;
mod restored;
mod schedules;
mod sequences;
mod served_by;
mod settings;
mod shares;
mod sign_in;
mod stages;
mod take_up;
mod unkind;
mod wanted_reads;
mod wiped;
mod without_resource;
