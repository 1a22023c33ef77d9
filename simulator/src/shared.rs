//! The tenant behind its lock, for the two that reach into it: clients and the admin.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::world::World;

/// A handle to the tenant. Clones lead to the same one.
#[derive(Clone, Debug)]
pub struct SharedWorld(Arc<Mutex<World>>);

impl SharedWorld {
    pub fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    /// The tenant, locked. A panic elsewhere leaves nothing half-written: versions are pushed whole.
    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock()
    }
}
