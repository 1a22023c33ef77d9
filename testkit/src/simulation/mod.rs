//! Deterministic simulation: a [`World`] whose operator may die at any moment, actions of people and faults, and oracles
//! that say whether what came of them is right. See docs/simulation.md.

mod action;
mod crash;
mod day;
mod expectations;
mod ledgers;
mod life;
mod line;
mod model;
mod oracle;
mod pauses;
mod rights;
mod schedule;
mod secrets;
mod sent;
mod sequence;
mod settings;
mod slips;
mod snapshot;
mod standing;
mod wire;
mod wishes;
mod written;

use std::time::Duration;

use serde_json::{Value, json};
use shared_mailbox_operator::api::{MailboxPermission, SharedMailbox};
use simulator::{Faults, Seed};
use tokio::time::Instant;
use tracing::subscriber::DefaultGuard;

pub use action::{Action, Actions};
pub use crash::{Scenario, crash_everywhere, replay_crash};
pub use day::replay_day;
pub use line::{replay_line, with_profile};
pub use oracle::Patience;
pub use schedule::{replay_schedule, schedules, trace_schedule};
pub use secrets::Secrets;
pub use sequence::{ABOUT_LEDGERS, ABOUT_PEOPLE, STORY, actions_of, replay_sequence};
pub use wire::Phase;

use self::expectations::Expectations;
use self::ledgers::Versions;
use self::life::Supervisor;
use self::slips::Slips;
use self::wire::Wire;
use crate::manifests::{tenant, with};
use crate::world::{START, World};

/// The drift interval of the usual tenant.
pub const INTERVAL: Duration = Duration::from_mins(10);
const OBSERVE_EVERY: Duration = Duration::from_secs(15);

/// A world, its operator and everything that watches over it.
pub struct Simulation {
    pub world: World,
    pub wire: Wire,
    expected: Expectations,
    versions: Versions,
    slips: Slips,
    supervisor: Supervisor,
    /// How often the oracles observe while time passes.
    observe_every: Duration,
    _logs: DefaultGuard,
}

impl Simulation {
    /// The usual world with a running operator.
    pub async fn start() -> Self {
        Self::of(Seed::contoso()).await
    }

    pub async fn of(seed: Seed) -> Self {
        Self::under(seed, &tenant()).await
    }

    /// With another ExchangeTenant than the usual one.
    pub async fn under(seed: Seed, tenant: &Value) -> Self {
        // Both sides show the same wall time.
        let seed = Seed {
            start: START.parse().ok(),
            ..seed
        };
        let wire = Wire::default();
        let logs = wire.secrets.watch_logs();
        let world = World::without_operator(seed).await;
        world.apply(tenant).await;
        let supervisor = Supervisor::start(&world, &wire);
        let expected = Expectations::open(&world.tenant);
        Self {
            world,
            wire,
            expected,
            versions: Versions::default(),
            slips: Slips::default(),
            supervisor,
            observe_every: OBSERVE_EVERY,
            _logs: logs,
        }
    }

    /// Does one thing that people do, or lets faults begin.
    pub async fn run(&mut self, action: &Action) -> Result<(), String> {
        // What is there now was there, whoever takes it away.
        self.expected.observe(&self.world);
        match action {
            Action::Apply(manifest) => {
                // What admission refuses changes nothing.
                let _ = self.world.try_apply(manifest).await;
            }
            Action::Delete(kind, name) => {
                let namespace_objects = kube::api::DeleteParams::default();
                if *kind == "SharedMailbox" {
                    self.expected.release(&self.world, name);
                    self.slips.has_deleted = true;
                    let _ = self
                        .world
                        .api::<SharedMailbox>()
                        .delete(name, &namespace_objects)
                        .await;
                } else {
                    let _ = self
                        .world
                        .api::<MailboxPermission>()
                        .delete(name, &namespace_objects)
                        .await;
                }
            }
            Action::Admin(cmdlet, parameters) => {
                let _ = self.world.tenant.admin_cmdlet(cmdlet, parameters.clone());
                self.expected.admin_ran(&self.world, cmdlet, parameters);
            }
            Action::Purge(address) => {
                let tenant = &self.world.tenant;
                let once = json!({ "Identity": address, "Confirm": false });
                let _ = tenant.admin_cmdlet("Remove-Mailbox", once.clone());
                let for_good = with(once, &json!({ "PermanentlyDelete": true }));
                let _ = tenant.admin_cmdlet("Remove-Mailbox", for_good);
            }
            Action::SignIn(user, enabled) => {
                let _ = self.world.tenant.set_account_enabled(user, *enabled);
            }
            Action::Member(group, person, joins) => {
                let _ = if *joins {
                    self.world.tenant.add_group_member(group, person)
                } else {
                    self.world.tenant.remove_group_member(group, person)
                };
                self.expected.refresh(&self.world.tenant, group);
            }
            Action::Rename(user, rename) => {
                let _ = self.world.tenant.rename_user(user, rename);
                self.expected
                    .refresh(&self.world.tenant, rename.upn.as_deref().unwrap_or(user));
            }
            Action::Slip(slip) => Box::pin(self.slip(slip)).await?,
            Action::WipeStatus(name) => self.wipe_status(name).await,
            Action::Faults(faults) => self.world.tenant.set_faults(faults.clone()),
            Action::Crash => self.supervisor.kill(),
            Action::Wait(duration) => self.pass(*duration).await,
            Action::Settle => self.settle(Patience::usual()).await?,
        }
        self.expected.note(&self.world);
        self.versions.observe(&self.world);
        Ok(())
    }

    /// A status is a report: nothing is forgotten with it.
    async fn wipe_status(&mut self, name: &str) {
        let api = self.world.api::<SharedMailbox>();
        let Ok(Some(mut object)) = api.get_opt(name).await else {
            return;
        };
        object.status = None;
        let params = kube::api::PostParams {
            field_manager: Some("tests".to_owned()),
            ..kube::api::PostParams::default()
        };
        let _ = api.replace_status(name, &params, &object).await;
    }

    pub async fn run_all(&mut self, actions: &[Action]) -> Result<(), String> {
        for action in actions {
            self.run(action).await?;
        }
        Ok(())
    }

    /// Lets time pass, observed by the oracles.
    pub async fn pass(&mut self, duration: Duration) {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            tokio::time::sleep(self.observe_every.min(end - Instant::now())).await;
            self.expected.observe(&self.world);
            self.versions.observe(&self.world);
        }
    }

    /// Waits until no declared right is still to end.
    pub async fn pass_all_ends(&mut self) {
        let left = wishes::next_ends(&self.world);
        if let Some(last) = left.last() {
            let wait = last.duration_since(self.world.server.now());
            self.pass(wait.unsigned_abs()).await;
        }
    }

    /// The oracles observe only this often: for long runs with many mailboxes.
    pub fn observe_every(&mut self, interval: Duration) {
        self.observe_every = interval;
    }

    /// Ends all faults; what they did before may still be in the replicas.
    pub fn calm(&self) {
        self.world.server.calm();
        self.world.tenant.set_faults(Faults::default());
    }

    /// Waits until everything is as the manifests say.
    pub async fn settle(&mut self, patience: Patience) -> Result<(), String> {
        let grace = if patience.convergence.is_zero() {
            Duration::ZERO
        } else {
            self.grace()
        };
        let end = Instant::now() + patience.convergence + grace;
        let mut wait = Duration::from_secs(1);
        let mut seen = None;
        let mut differences = Vec::new();
        loop {
            let revisions = Some((self.world.server.revision(), self.world.tenant.revision()));
            if seen != revisions {
                seen = revisions;
                differences = model::differences(&self.world, &self.expected);
            }
            if differences.is_empty() {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(format!(
                    "not as declared after {:?}:\n  {}\n{}",
                    patience.convergence,
                    differences.join("\n  "),
                    self.report().await
                ));
            }
            self.pass(wait).await;
            wait = (wait * 2).min(Duration::from_secs(20));
        }
    }
}
