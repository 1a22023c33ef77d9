//! The admin's hand in the directory: people, contacts, groups and who is in them.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::handle::{Control, UnknownObject, find, find_deleted};
use crate::directory::{Handle, ObjectView, SignInStore, View, Visibility};
use crate::faults::Origin;
use crate::journal::{Actor, JournalKind, Outcome};
use crate::seed::{GroupKind, SeedContact, SeedGroup, SeedUser};
use crate::world::World;

/// New names for a person or group; what is left out stays. Object id and SID always stay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Rename {
    pub upn: Option<String>,
    /// The new primary address. The old one stays as a further address unless `drop_old_address`.
    pub address: Option<String>,
    pub display_name: Option<String>,
    pub drop_old_address: bool,
}

impl Control {
    /// Blocks or unblocks sign-in in Entra.
    pub fn set_account_enabled(&self, user: &str, enabled: bool) -> Result<(), UnknownObject> {
        self.on_directory(user, json!({"accountEnabled": enabled}), |world, seen| {
            world.set_account_enabled(seen.handle, SignInStore::Entra, enabled, Origin::Directory)
        })
    }

    /// Lets Exchange and Entra say different things of an account, whatever writes carry over.
    pub fn set_apart(
        &self,
        user: &str,
        entra_enabled: bool,
        exchange_disabled: bool,
    ) -> Result<(), UnknownObject> {
        let body = json!({"accountEnabled": entra_enabled, "accountDisabled": exchange_disabled});
        self.on_directory(user, body, |world, seen| {
            let entra =
                world.write_sign_in(seen.handle, SignInStore::Entra, entra_enabled, Origin::Directory);
            let exchange = world.write_sign_in(
                seen.handle,
                SignInStore::Exchange,
                !exchange_disabled,
                Origin::Directory,
            );
            entra || exchange
        })
    }

    /// Adds a person or a mailbox to the directory and answers the object id.
    pub fn add_user(&self, user: &SeedUser) -> Uuid {
        self.add("/v1.0/users", |world, visibility| {
            world.add_user(user, visibility)
        })
    }

    /// Adds a mail contact and answers the object id.
    pub fn add_contact(&self, contact: &SeedContact) -> Uuid {
        self.add("/v1.0/contacts", |world, visibility| {
            world.add_contact(contact, visibility)
        })
    }

    /// Adds a group and answers the object id. Its members must be there already.
    pub fn add_group(&self, group: &SeedGroup) -> Uuid {
        self.add("/v1.0/groups", |world, visibility| {
            world.add_group(group, visibility)
        })
    }

    /// Puts a person, contact or group into a group; nothing changes when it is in there.
    pub fn add_group_member(&self, group: &str, member: &str) -> Result<(), UnknownObject> {
        self.change_members(group, member, |members, id| {
            if !members.contains(&id) {
                members.push(id);
            }
        })
    }

    /// Hides who is in a group, or shows it again.
    pub fn set_hidden_membership(&self, group: &str, hidden: bool) -> Result<(), UnknownObject> {
        self.on_directory(group, json!({"hiddenMembership": hidden}), |world, seen| {
            world.update(seen.handle, Origin::Directory, |object| {
                if let Some(group) = &mut object.group {
                    group.hidden_membership = hidden;
                }
            })
        })
    }

    /// Takes somebody out of a group, also somebody who was deleted.
    pub fn remove_group_member(&self, group: &str, member: &str) -> Result<(), UnknownObject> {
        self.change_members(group, member, |members, id| members.retain(|own| *own != id))
    }

    /// Deletes people and Microsoft 365 groups so that they can be restored for 30 days; other groups
    /// and contacts for good.
    pub fn delete_user(&self, user: &str) -> Result<(), UnknownObject> {
        self.on_directory(user, json!({"deleted": true}), |world, seen| {
            let recoverable = match &seen.group {
                Some(group) => group.kind == GroupKind::Microsoft365,
                None => seen.is_user(),
            };
            if recoverable {
                world.soft_delete(seen.handle, Origin::Directory)
            } else {
                world.purge(seen.handle, Origin::Directory);
                true
            }
        })
    }

    /// Brings back who was deleted, with object id, SID, memberships and grants.
    pub fn restore_user(&self, user: &str) -> Result<(), UnknownObject> {
        self.with(|world| {
            let seen = find_deleted(world, user).ok_or_else(|| UnknownObject(user.to_owned()))?;
            let changed = world.restore(seen.handle, Origin::Directory);
            record_change(world, &seen, json!({"deleted": false}), changed);
            Ok(())
        })
    }

    /// Removes somebody or something for good, whether deleted before or not.
    pub fn purge_user(&self, user: &str) -> Result<(), UnknownObject> {
        self.with(|world| {
            let seen = find(world, user)
                .or_else(|| find_deleted(world, user))
                .ok_or_else(|| UnknownObject(user.to_owned()))?;
            world.purge(seen.handle, Origin::Directory);
            record_change(world, &seen, json!({"purged": true}), true);
            Ok(())
        })
    }

    /// Gives somebody new names. Permission rows show the new ones; object id and SID stay.
    pub fn rename_user(&self, user: &str, rename: &Rename) -> Result<(), UnknownObject> {
        let Rename {
            upn,
            address,
            display_name,
            drop_old_address,
        } = rename;
        self.on_directory(user, json!({"rename": rename}), |world, seen| {
            world.update(seen.handle, Origin::Directory, |object| {
                if let Some(upn) = upn {
                    object.upn = Some(upn.clone());
                }
                if let Some(name) = display_name {
                    object.display_name.clone_from(name);
                }
                if let Some(address) = address {
                    let old = object.primary_address().map(|old| format!("smtp:{old}"));
                    object.set_primary_address(address);
                    if *drop_old_address {
                        object.addresses.retain(|own| Some(own) != old.as_ref());
                    }
                }
            })
        })
    }

    /// Gives somebody another SID, as a move between forests does. Entries that are there keep the old one,
    /// which still leads to the account. Answers the new one.
    pub fn change_sid(&self, user: &str) -> Result<String, UnknownObject> {
        let new = self.with(World::new_sid);
        self.on_directory(user, json!({"sid": new}), |world, seen| {
            world.update(seen.handle, Origin::Directory, |object| {
                let old = std::mem::replace(&mut object.sid, new.clone());
                object.sid_history.push(old);
            })
        })?;
        Ok(new)
    }

    /// Has an object mastered on premises, or in the cloud.
    pub fn set_dir_synced(&self, user: &str, synced: bool) -> Result<(), UnknownObject> {
        self.on_directory(user, json!({"onPremisesSyncEnabled": synced}), |world, seen| {
            world.update(seen.handle, Origin::Directory, |object| {
                object.dir_synced = synced;
            })
        })
    }

    /// Gives somebody a licence or takes it away. The mailbox stays for the time that is simulated.
    pub fn set_licensed(&self, user: &str, licensed: bool) -> Result<(), UnknownObject> {
        self.on_directory(user, json!({"licensed": licensed}), |world, seen| {
            world.update(seen.handle, Origin::Directory, |object| {
                object.licensed = licensed;
            })
        })
    }

    fn add(&self, path: &str, make: impl FnOnce(&mut World, Visibility) -> Handle) -> Uuid {
        self.with(|world| {
            let now = world.elapsed();
            let visibility = world.faults.visibility(Origin::Directory, true, now);
            let handle = make(world, visibility);
            let outcome = Outcome {
                status: 201,
                changed: true,
                ..Outcome::default()
            };
            world.record(Actor::Admin, None, graph_call("POST", path, None), outcome);
            world
                .directory
                .seen(handle, View::Newest)
                .map_or_else(Uuid::nil, |seen| seen.id)
        })
    }

    fn change_members(
        &self,
        group: &str,
        member: &str,
        change: impl FnOnce(&mut Vec<Uuid>, Uuid),
    ) -> Result<(), UnknownObject> {
        let unknown = |name: &str| UnknownObject(name.to_owned());
        self.with(|world| {
            let seen = find(world, group).filter(|seen| seen.group.is_some());
            let seen = seen.ok_or_else(|| unknown(group))?;
            let who = find(world, member).or_else(|| find_deleted(world, member));
            let who = who.ok_or_else(|| unknown(member))?;
            let changed = world.update(seen.handle, Origin::Directory, |object| {
                if let Some(group) = &mut object.group {
                    change(&mut group.members, who.id);
                }
            });
            record_change(world, &seen, json!({"member": who.id}), changed);
            Ok(())
        })
    }

    fn on_directory(
        &self,
        user: &str,
        body: Value,
        act: impl FnOnce(&mut World, &ObjectView) -> bool,
    ) -> Result<(), UnknownObject> {
        self.with(|world| {
            let seen = find(world, user).ok_or_else(|| UnknownObject(user.to_owned()))?;
            let changed = act(world, &seen);
            record_change(world, &seen, body, changed);
            Ok(())
        })
    }
}

fn record_change(world: &mut World, seen: &ObjectView, body: Value, changed: bool) {
    let kind = if seen.group.is_some() { "groups" } else { "users" };
    let outcome = Outcome {
        status: 204,
        changed,
        ..Outcome::default()
    };
    let call = graph_call("PATCH", &format!("/v1.0/{kind}/{}", seen.id), Some(body));
    world.record(Actor::Admin, None, call, outcome);
}

fn graph_call(method: &str, path: &str, body: Option<Value>) -> JournalKind {
    JournalKind::Graph {
        method: method.to_owned(),
        path: path.to_owned(),
        body,
    }
}
