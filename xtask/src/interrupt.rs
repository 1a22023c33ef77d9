//! Ctrl-c and SIGTERM: noted here, and checked by everything in this crate that waits.
//!
//! Without [`install`] the signals keep their usual effect and [`requested`] stays false.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

static REQUESTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// The exit code that shells use for a program ended by ctrl-c.
pub const EXIT_CODE: u8 = 130;

/// Someone asked us to stop.
#[derive(Debug)]
pub struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// From now on the first signal asks for an orderly end, and a second one ends this process at once.
pub fn install() -> Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the shutdown checks the flag before the registration after it sets it.
        signal_hook::flag::register_conditional_shutdown(signal, EXIT_CODE.into(), Arc::clone(&REQUESTED))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&REQUESTED)))
            .context("can't listen for ctrl-c")?;
    }
    Ok(())
}

/// Asks everything that waits to stop, as the signals do.
pub fn request() {
    REQUESTED.store(true, Ordering::Relaxed);
}

/// Whether someone asked us to stop.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// An [`Interrupted`] error when someone asked us to stop.
pub fn check() -> Result<()> {
    if requested() {
        Err(Interrupted.into())
    } else {
        Ok(())
    }
}
