//! The kind of tenant that all worlds of a test run have, unless they choose one themselves.

use std::sync::LazyLock;

use simulator::{Profile, Quirks, Seed};

/// Names the profile. The whole run is under it.
pub const VARIABLE: &str = "SMO_PROFILE";

static PROFILE: LazyLock<Option<Profile>> = LazyLock::new(|| {
    let name = std::env::var(VARIABLE).ok().filter(|name| !name.is_empty())?;
    Some(name.parse().unwrap_or_else(|error| panic!("{VARIABLE}: {error}")))
});

/// The profile of this run; None: tenants behave as is likeliest.
pub fn profile() -> Option<Profile> {
    *PROFILE
}

/// A tenant that was given no quirks of its own has those of the run's profile.
pub(crate) fn in_this_run(mut seed: Seed) -> Seed {
    if let Some(profile) = profile().filter(|_| seed.quirks == Quirks::default()) {
        profile.apply(&mut seed);
    }
    seed
}
