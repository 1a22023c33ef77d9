//! The handle for tests and operators of the simulator: roles, faults, the journal, and what truly is there.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::cmdlets::{self, Call};
use crate::credentials::Federation;
use crate::directory::{ObjectView, View};
use crate::error::CmdletError;
use crate::faults::{FaultRule, Faults, Origin};
use crate::grants::{AppGrants, ParameterRule};
use crate::journal::{Actor, JournalEntry, JournalKind, Outcome};
use crate::quirks::Quirks;
use crate::row::Select;
use crate::settings;
use crate::shared::SharedWorld;
use crate::view::MailboxView;
use crate::world::World;

/// A handle for tests and operators of the simulator. Calls take effect at once and never fail by
/// a fault rule; what they change reaches readers after the lag in force.
#[derive(Clone, Debug)]
pub struct Control {
    world: SharedWorld,
}

/// Nothing in the directory has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownObject(pub String);

impl fmt::Display for UnknownObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing in the directory is called {:?}", self.0)
    }
}

impl std::error::Error for UnknownObject {}

impl Control {
    pub(crate) fn new(world: SharedWorld) -> Self {
        Self { world }
    }

    pub(super) fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.lock();
        world.expire();
        act(&mut world)
    }

    /// Runs a cmdlet as an admin would at a console: questions are answered with yes, and the newest
    /// state is seen. `parameters` is an object; anything else counts as none.
    pub fn admin_cmdlet(&self, name: &str, parameters: Value) -> Result<Vec<Value>, CmdletError> {
        let parameters = match parameters {
            Value::Object(parameters) => parameters,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Map::new()
            }
        };
        self.with(|world| {
            let mut call = Call {
                world,
                actor: Actor::Admin,
                view: View::Newest,
                origin: Origin::Exchange,
                select: Select::all(),
            };
            let result = cmdlets::run(&mut call, name, &parameters);
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

    /// Changes one setting of a mailbox, as an admin would with the Set- cmdlet that has it. Several that belong
    /// together go through [`Self::admin_cmdlet`].
    pub fn set_setting(&self, mailbox: &str, name: &str, value: &Value) -> Result<(), CmdletError> {
        let pair = settings::pair_of(name).ok_or_else(|| CmdletError::unknown_parameter(name))?;
        self.admin_cmdlet(pair.set, json!({"Identity": mailbox, name: value}))?;
        Ok(())
    }

    /// What the app has been granted.
    pub fn grants(&self) -> AppGrants {
        self.with(|world| world.grants)
    }

    /// Grants or withdraws roles. A withdrawal holds at once; a grant needs a new token.
    pub fn set_grants(&self, grants: AppGrants) {
        self.with(|world| world.grants = grants);
    }

    /// Takes a parameter of a cmdlet out of the app's role, has its values refused, or accepts it again.
    pub fn set_parameter_rule(&self, cmdlet: &str, parameter: &str, rule: ParameterRule) {
        self.with(|world| world.parameter_rules.set(cmdlet, parameter, rule));
    }

    /// Takes a cmdlet out of the app's role, or puts it in again.
    pub fn set_cmdlet_in_role(&self, cmdlet: &str, present: bool) {
        let rule = if present {
            ParameterRule::Accepted
        } else {
            ParameterRule::NotInRole
        };
        self.with(|world| world.parameter_rules.set(cmdlet, cmdlets::WHOLE_CMDLET, rule));
    }

    /// How the tenant answers where nobody knows what the real service does.
    pub fn quirks(&self) -> Quirks {
        self.with(|world| world.quirks.clone())
    }

    /// Replaces all quirks.
    pub fn set_quirks(&self, quirks: Quirks) {
        self.with(|world| world.quirks = quirks);
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

    /// Grants or withdraws `User.RevokeSessions.All`.
    pub fn set_graph_sign_out(&self, granted: bool) {
        self.with(|world| world.grants.graph_sign_out = granted);
    }

    /// Grants or withdraws `GroupMember.Read.All`.
    pub fn set_graph_group_read(&self, granted: bool) {
        self.with(|world| world.grants.graph_group_read = granted);
    }

    /// Replaces the app's secret. Tokens issued before keep working.
    pub fn set_client_secret(&self, secret: &str) {
        self.with(|world| world.tokens.credentials_mut().set_secret(secret.to_owned()));
    }

    /// Replaces the certificates that the app registration knows, each in DER. Tokens issued before keep working.
    pub fn set_certificates(&self, certificates: &[Vec<u8>]) {
        self.with(|world| world.tokens.credentials_mut().set_certificates(certificates));
    }

    /// Replaces the app's federated credential. Tokens issued before keep working.
    pub fn set_federation(&self, federation: Option<Federation>) {
        self.with(|world| world.tokens.credentials_mut().set_federation(federation));
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

    /// Grows with every change of the directory, so that whoever reads often need read only what is new.
    pub fn revision(&self) -> u64 {
        self.with(|world| world.directory.writes())
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
                .find_map(|seen| MailboxView::of(seen, &world.quirks))
        })
    }

    /// Every mailbox that is not deleted, in the order of creation.
    pub fn mailboxes(&self) -> Vec<MailboxView> {
        self.with(|world| {
            let all = world.directory.all(View::Newest);
            all.filter(|seen| seen.is_live())
                .filter_map(|seen| MailboxView::of(&seen, &world.quirks))
                .collect()
        })
    }

    /// The object id of a person, mailbox or group; also by the SID that their entries carry.
    pub fn object_id(&self, identity: &str) -> Option<Uuid> {
        self.with(|world| {
            let named = find(world, identity);
            let by_entry = || {
                let mut all = world.directory.all(View::Newest);
                all.find(|seen| seen.entry_sid() == identity)
            };
            named.or_else(by_entry).map(|seen| seen.id)
        })
    }

    /// The security identifier of a person, mailbox or group.
    pub fn sid(&self, identity: &str) -> Option<String> {
        self.with(|world| find(world, identity).map(|seen| seen.sid.clone()))
    }

    /// Object ids of a group's direct members, deleted ones included.
    pub fn group_members(&self, group: &str) -> Option<Vec<Uuid>> {
        self.with(|world| {
            find(world, group)?
                .group
                .as_ref()
                .map(|group| group.members.clone())
        })
    }

    /// Whether somebody of this name was deleted and can still be restored.
    pub fn is_deleted(&self, identity: &str) -> bool {
        self.with(|world| find_deleted(world, identity).is_some())
    }

    /// Entra's `accountEnabled` of a person or mailbox.
    pub fn account_enabled(&self, identity: &str) -> Option<bool> {
        self.with(|world| find(world, identity).map(|seen| seen.account_enabled))
    }
}

pub fn find(world: &World, identity: &str) -> Option<ObjectView> {
    world
        .directory
        .matching(identity, View::Newest)
        .into_iter()
        .find(|seen| seen.is_live())
}

pub fn find_deleted(world: &World, identity: &str) -> Option<ObjectView> {
    let found = world.directory.matching(identity, View::Newest);
    found.into_iter().find(|seen| !seen.is_live())
}
