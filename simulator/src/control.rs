//! What happens in the tenant behind a client's back: the admin's hand, faults, the journal.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::cmdlets::{self, Call, CmdletError};
use crate::directory::{Seen, View};
use crate::faults::{FaultRule, Faults, Origin};
use crate::journal::{Actor, JournalEntry, JournalKind, Outcome};
use crate::row::Select;
use crate::seed::{SeedGroup, SeedUser};
use crate::simulator::Simulator;
use crate::view::MailboxView;
use crate::world::{AppGrants, World};

/// A handle for tests and operators of the simulator. Calls take effect at once and never fail by
/// a fault rule; what they change reaches readers after the lag in force.
#[derive(Clone, Debug)]
pub struct Control {
    simulator: Simulator,
}

/// Nothing in the directory goes by this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownObject(pub String);

impl fmt::Display for UnknownObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing in the directory is called {:?}", self.0)
    }
}

impl std::error::Error for UnknownObject {}

/// New names for a person; what is left out stays. Object id and SID always stay.
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
    pub(crate) fn new(simulator: Simulator) -> Self {
        Self { simulator }
    }

    fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.simulator.world();
        world.expire();
        act(&mut world)
    }

    /// Runs a cmdlet as an admin would at a console: questions are answered with yes, and the newest
    /// state is seen. `parameters` is an object; anything else counts as none.
    pub fn admin_cmdlet(&self, name: &str, parameters: Value) -> Result<Vec<Value>, CmdletError> {
        let parameters = match parameters {
            Value::Object(parameters) => parameters,
            _ => Map::new(),
        };
        self.with(|world| {
            let mut call = Call {
                world,
                view: View::Newest,
                origin: Origin::Exchange,
                select: Select::all(),
            };
            let result = cmdlets::run(&mut call, name, &parameters, true);
            let outcome = match &result {
                Ok(done) => Outcome {
                    status: 200,
                    changed: done.changed,
                    ..Outcome::default()
                },
                Err(error) => Outcome {
                    status: error.status,
                    exception: Some(error.exception.clone()),
                    ..Outcome::default()
                },
            };
            let kind = JournalKind::Cmdlet {
                name: name.to_owned(),
                parameters: parameters.into(),
                batch_item: None,
            };
            world.record(Actor::Admin, None, kind, outcome);
            result.map(|done| done.rows)
        })
    }

    /// Blocks or unblocks sign-in in Entra.
    pub fn set_account_enabled(&self, user: &str, enabled: bool) -> Result<(), UnknownObject> {
        self.on_directory(user, "accountEnabled", enabled.into(), |world, seen| {
            world.set_account_enabled(seen.handle, enabled, Origin::Directory)
        })
    }

    /// Adds a person or a mailbox to the directory and answers the object id.
    pub fn add_user(&self, user: &SeedUser) -> Uuid {
        self.with(|world| {
            let now = world.elapsed();
            let visibility = world.faults.visibility(Origin::Directory, true, now);
            let handle = world.add_user(user, visibility);
            record_directory(world, "POST", "/v1.0/users", None);
            world
                .directory
                .seen(handle, View::Newest)
                .map_or_else(Uuid::nil, |seen| seen.id)
        })
    }

    /// Adds a group and answers the object id.
    pub fn add_group(&self, group: &SeedGroup) -> Uuid {
        self.with(|world| {
            let now = world.elapsed();
            let visibility = world.faults.visibility(Origin::Directory, true, now);
            let handle = world.add_group(group, visibility);
            record_directory(world, "POST", "/v1.0/groups", None);
            world
                .directory
                .seen(handle, View::Newest)
                .map_or_else(Uuid::nil, |seen| seen.id)
        })
    }

    /// Deletes a person or group: with a mailbox so that it can be restored, else for good.
    pub fn delete_user(&self, user: &str) -> Result<(), UnknownObject> {
        self.on_directory(user, "deleted", true.into(), |world, seen| {
            if seen.mailbox.is_some() {
                world.soft_delete(seen.handle, Origin::Directory)
            } else {
                world.purge(seen.handle, Origin::Directory);
                true
            }
        })
    }

    /// Gives a person new names. Permission rows show the new ones; object id and SID stay.
    pub fn rename_user(&self, user: &str, rename: &Rename) -> Result<(), UnknownObject> {
        let body = serde_json::to_value(rename).unwrap_or_default();
        self.on_directory(user, "rename", body, |world, seen| {
            world.update(seen.handle, Origin::Directory, |object| {
                if let Some(upn) = &rename.upn {
                    object.upn = Some(upn.clone());
                }
                if let Some(name) = &rename.display_name {
                    object.display_name.clone_from(name);
                }
                if let Some(address) = &rename.address {
                    let old = object.primary_address().map(|old| format!("smtp:{old}"));
                    object.set_primary_address(address);
                    if rename.drop_old_address {
                        object.addresses.retain(|own| Some(own) != old.as_ref());
                    }
                }
            })
        })
    }

    fn on_directory(
        &self,
        user: &str,
        what: &str,
        value: Value,
        act: impl FnOnce(&mut World, &Seen) -> bool,
    ) -> Result<(), UnknownObject> {
        self.with(|world| {
            let seen = find(world, user).ok_or_else(|| UnknownObject(user.to_owned()))?;
            let changed = act(world, &seen);
            let kind = JournalKind::Graph {
                method: "PATCH".to_owned(),
                path: format!("/v1.0/users/{}", seen.id),
                body: Some(Map::from_iter([(what.to_owned(), value)]).into()),
            };
            let outcome = Outcome {
                status: 204,
                changed,
                ..Outcome::default()
            };
            world.record(Actor::Admin, None, kind, outcome);
            Ok(())
        })
    }

    /// What the app has been granted.
    pub fn grants(&self) -> AppGrants {
        self.with(|world| world.grants)
    }

    /// Grants or withdraws roles. A withdrawal holds at once; a grant needs a new token.
    pub fn set_grants(&self, grants: AppGrants) {
        self.with(|world| world.grants = grants);
    }

    /// Grants or withdraws the app role `Exchange.ManageAsApp`.
    pub fn set_exchange_app_role(&self, granted: bool) {
        self.with(|world| world.grants.exchange_app_role = granted);
    }

    /// Grants or withdraws the app's directory role.
    pub fn set_directory_role(&self, granted: bool) {
        self.with(|world| world.grants.directory_role = granted);
    }

    /// Grants or withdraws `User.Read.All`. Whoever may write users may read them too.
    pub fn set_graph_user_read(&self, granted: bool) {
        self.with(|world| world.grants.graph_user_read = granted);
    }

    /// Grants or withdraws `User.EnableDisableAccount.All`.
    pub fn set_graph_user_write(&self, granted: bool) {
        self.with(|world| world.grants.graph_user_write = granted);
    }

    /// Replaces the app's secret. Tokens issued before go on working.
    pub fn set_client_secret(&self, secret: &str) {
        self.with(|world| world.tokens.set_secret(secret.to_owned()));
    }

    /// Every token issued so far is refused from now on.
    pub fn revoke_tokens(&self) {
        self.with(|world| world.tokens.revoke_all());
    }

    /// The tenant answers as another one from now on (`tid` of new tokens), also under its old id.
    pub fn set_tenant_id(&self, id: Uuid) {
        self.with(|world| {
            let former = std::mem::replace(&mut world.tenant.id, id);
            world.tenant.former_ids.push(former);
        });
    }

    /// Replaces all faults; seeded choices start over.
    pub fn set_faults(&self, faults: Faults) {
        self.with(|world| world.faults.set(faults));
    }

    /// Adds a rule after those in force.
    pub fn add_fault(&self, rule: FaultRule) {
        self.with(|world| world.faults.add(rule));
    }

    /// The faults in force, with the strikes that are left.
    pub fn faults(&self) -> Faults {
        self.with(|world| world.faults.current().clone())
    }

    /// How often each kind of fault struck since the start.
    pub fn fault_counts(&self) -> BTreeMap<&'static str, u64> {
        self.with(|world| world.faults.counts().clone())
    }

    /// Everything that was asked, oldest first.
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.with(|world| world.journal.entries())
    }

    /// What was asked after the entry with this sequence number.
    pub fn journal_since(&self, sequence: u64) -> Vec<JournalEntry> {
        self.with(|world| world.journal.since(sequence))
    }

    pub fn clear_journal(&self) {
        self.with(|world| world.journal.clear());
    }

    /// The whole tenant as it is now.
    pub fn state(&self) -> Value {
        self.with(|world| world.dump())
    }

    /// The mailbox that has this address, GUID, name or other identity; the first when several do.
    pub fn mailbox(&self, identity: &str) -> Option<MailboxView> {
        self.find_mailbox(identity, false)
    }

    /// A deleted mailbox that can still be restored.
    pub fn deleted_mailbox(&self, identity: &str) -> Option<MailboxView> {
        self.find_mailbox(identity, true)
    }

    fn find_mailbox(&self, identity: &str, deleted: bool) -> Option<MailboxView> {
        self.with(|world| {
            let found = world.directory.matching(identity, View::Newest);
            found
                .iter()
                .filter(|seen| seen.is_live() != deleted)
                .find_map(MailboxView::of)
        })
    }

    /// Every mailbox that is not deleted, in the order of creation.
    pub fn mailboxes(&self) -> Vec<MailboxView> {
        self.with(|world| {
            let all = world.directory.all(View::Newest);
            all.filter(|seen| seen.is_live())
                .filter_map(|seen| MailboxView::of(&seen))
                .collect()
        })
    }

    /// The object id of a person, mailbox or group.
    pub fn object_id(&self, identity: &str) -> Option<Uuid> {
        self.with(|world| find(world, identity).map(|seen| seen.id))
    }

    /// The security identifier of a person, mailbox or group.
    pub fn sid(&self, identity: &str) -> Option<String> {
        self.with(|world| find(world, identity).map(|seen| seen.sid.clone()))
    }

    /// Entra's `accountEnabled` of a person or mailbox.
    pub fn account_enabled(&self, identity: &str) -> Option<bool> {
        self.with(|world| find(world, identity).map(|seen| seen.account_enabled))
    }
}

fn find(world: &World, identity: &str) -> Option<Seen> {
    world
        .directory
        .matching(identity, View::Newest)
        .into_iter()
        .find(|seen| seen.is_live())
}

fn record_directory(world: &mut World, method: &str, path: &str, body: Option<Value>) {
    let kind = JournalKind::Graph {
        method: method.to_owned(),
        path: path.to_owned(),
        body,
    };
    let outcome = Outcome {
        status: 201,
        changed: true,
        ..Outcome::default()
    };
    world.record(Actor::Admin, None, kind, outcome);
}
