//! Microsoft Graph: people (sign-in, licences), groups and who is in them, and `$batch`.

mod batch;
mod groups;
mod reply;
mod single;
mod users;

use crate::wire::{Delivery, Http};
use crate::world::World;

/// Answers everything below `/v1.0/`.
pub fn answer(world: &mut World, http: &Http) -> Delivery {
    if http.route() == ["v1.0", "$batch"] {
        return batch::answer(world, http);
    }
    let (reply, fault) = single::one(world, http);
    single::deliver(reply, fault.as_ref())
}
