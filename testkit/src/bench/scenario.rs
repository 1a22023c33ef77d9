//! A tenant of a given size and what happens in it: scenario R1k and smaller or larger ones of the same shape.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use simulator::{Delay, Faults, Seed, SeedUser, SendAsRow};
use tokio::time::Instant;

use super::tally::Tally;
use crate::manifests::{mailbox, permission, tenant, with};
use crate::world::World;

/// Mailboxes of one namespace: as many as a rule admits that does not say.
const IN_NAMESPACE: usize = 50;
/// Members with Full Access and Send As.
pub const MEMBERS: usize = 5;
/// Send As entries of others for each mailbox: 50,000 at ten thousand.
const FOREIGN_ROWS: usize = 5;
/// Created together.
const TOGETHER: usize = 100;
/// Longer than the budget of writes makes anything wait.
const PATIENCE: Duration = Duration::from_hours(2);
/// `drift.interval` of an ExchangeTenant that does not say.
const INTERVAL: Duration = Duration::from_mins(10);

/// So many mailboxes, each with five members that hold Full Access and Send As and one that holds Send on Behalf, in two
/// MailboxPermissions. The tenant holds as many mailboxes of people besides, and five times as many entries for Send As that
/// nobody declares.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub mailboxes: usize,
    /// `limits.writesPerMinute` of the ExchangeTenant.
    pub writes_per_minute: u32,
}

/// What one phase cost.
#[derive(Clone, Debug)]
pub struct Phase {
    /// Mailboxes that it was about.
    pub mailboxes: usize,
    pub tally: Tally,
    /// Simulated time until all was as declared; of a pass, its length.
    pub took: Duration,
}

/// What all phases cost.
#[derive(Clone, Debug)]
pub struct Phases {
    /// One mailbox, in a tenant that was used before.
    pub create_one: Phase,
    /// A hundred that are declared at the same time, or as many as there are.
    pub create_together: Phase,
    /// All the others.
    pub create_rest: Phase,
    /// One interval in which nothing happens.
    pub pass: Phase,
    /// One member more, with two rights.
    pub edit: Phase,
}

impl Scenario {
    pub fn of(mailboxes: usize) -> Self {
        Self {
            mailboxes,
            writes_per_minute: 6000,
        }
    }

    /// All phases, one after the other, in one world.
    pub async fn run(&self) -> Phases {
        let world = self.world().await;
        let mut bench = Bench {
            world,
            people: self.people(),
        };
        // What the first one costs besides is found out about the tenant once.
        bench.create(0..1).await;
        let together = TOGETHER.min(self.mailboxes.saturating_sub(2));
        let create_one = bench.create(1..2).await;
        let create_together = bench.create(2..2 + together).await;
        let create_rest = bench.create(2 + together..self.mailboxes).await;
        let pass = bench.pass(self.mailboxes).await;
        let edit = bench.edit().await;
        bench.world.stop_operator().await;
        Phases {
            create_one,
            create_together,
            create_rest,
            pass,
            edit,
        }
    }

    /// People of the tenant who have a mailbox.
    fn people(&self) -> usize {
        self.mailboxes.max(2 * MEMBERS)
    }

    async fn world(&self) -> World {
        let people = self.people();
        let mut seed = Seed::contoso();
        seed.users
            .extend((0..people).map(|number| SeedUser::person(&person(number), &format!("Person {number}"))));
        let mut world = World::without_operator(seed).await;
        for number in 0..self.mailboxes * FOREIGN_ROWS {
            let (target, trustee) = (person(number % people), person((number * 7 + 1) % people));
            world
                .tenant
                .inject_send_as(&target, &SendAsRow::of(&trustee))
                .unwrap();
        }
        world.tenant.set_faults(Faults {
            latency: Delay::spread(600, 1800, 3000),
            ..Faults::default()
        });
        let namespaces: BTreeSet<String> = (0..self.mailboxes).map(namespace).collect();
        for name in &namespaces {
            world.ensure_namespace(name).await;
        }
        let mut manifest = with(
            tenant(),
            &json!({ "spec": { "limits": { "writesPerMinute": self.writes_per_minute } } }),
        );
        manifest["spec"]["access"][0]["namespaces"] = json!({ "names": namespaces });
        world.apply(&manifest).await;
        world.concurrency = 64;
        world.start_operator();
        world.wait_tenant("True", "Connected").await;
        world
    }
}

fn person(number: usize) -> String {
    format!("person{number}@contoso.com")
}

fn namespace(number: usize) -> String {
    format!("bench-{}", number / IN_NAMESPACE)
}

fn name(number: usize) -> String {
    format!("box{number}")
}

fn in_namespace(manifest: Value, number: usize) -> Value {
    with(
        manifest,
        &json!({ "metadata": { "namespace": namespace(number) } }),
    )
}

/// Whether Ready is True for the newest spec.
fn is_ready(object: &Value) -> bool {
    let is_reported = object["status"]["observedGeneration"] == object["metadata"]["generation"];
    let conditions = object["status"]["conditions"].as_array();
    let is_ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    is_reported && conditions.is_some_and(|all| all.iter().any(is_ready))
}

struct Bench {
    world: World,
    people: usize,
}

impl Bench {
    async fn create(&mut self, numbers: std::ops::Range<usize>) -> Phase {
        let mailboxes = numbers.len();
        self.forget();
        let started = Instant::now();
        for number in numbers.clone() {
            for manifest in self.manifests(number) {
                self.world.apply(&in_namespace(manifest, number)).await;
            }
        }
        let took = self.until_ready(numbers.end, started).await;
        // Events and statuses that follow.
        self.world.sleep(30).await;
        self.phase(mailboxes, took)
    }

    fn manifests(&self, number: usize) -> [Value; 3] {
        let members: Vec<String> = (0..MEMBERS)
            .map(|at| person((number + at) % self.people))
            .collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let name = name(number);
        [
            mailbox(&name, &format!("{name}@contoso.com")),
            permission(
                &format!("{name}-team"),
                &name,
                &members,
                &["FullAccess", "SendAs"],
            ),
            permission(&format!("{name}-lead"), &name, &members[..1], &["SendOnBehalf"]),
        ]
    }

    async fn until_ready(&self, expected: usize, started: Instant) -> Duration {
        while started.elapsed() < PATIENCE {
            let all = self
                .world
                .server
                .objects("sharedmailbox.dev", "sharedmailboxes", None);
            let done = all.iter().filter(|object| is_ready(object)).count();
            let permissions = self
                .world
                .server
                .objects("sharedmailbox.dev", "mailboxpermissions", None);
            let granted = permissions.iter().filter(|object| is_ready(object)).count();
            if done >= expected && granted >= 2 * expected {
                return started.elapsed();
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let all = ["sharedmailboxes", "mailboxpermissions"];
        let objects = all.map(|plural| self.world.server.objects("sharedmailbox.dev", plural, None));
        let left = objects.iter().flatten().find(|object| !is_ready(object));
        panic!("not all of {expected} mailboxes became Ready: {left:#?}");
    }

    async fn pass(&mut self, mailboxes: usize) -> Phase {
        // What was granted a moment ago is rechecked sooner for a while.
        self.world.sleep(2 * 3600).await;
        self.forget();
        let took = INTERVAL;
        tokio::time::sleep(took).await;
        self.phase(mailboxes, took)
    }

    async fn edit(&mut self) -> Phase {
        self.forget();
        let started = Instant::now();
        let mut manifest = self.manifests(0)[1].clone();
        let members = manifest["spec"]["members"].as_array_mut().unwrap();
        members.push(json!({ "user": person(MEMBERS) }));
        self.world.apply(&in_namespace(manifest, 0)).await;
        self.world.sleep(1).await;
        let took = self.until_ready(0, started).await;
        self.world.sleep(30).await;
        self.phase(1, took)
    }

    fn forget(&self) {
        self.world.tenant.clear_journal();
        self.world.server.forget_requests();
    }

    fn phase(&self, mailboxes: usize, took: Duration) -> Phase {
        let tally = Tally::of(&self.world.tenant.journal(), &self.world.server.requests());
        Phase {
            mailboxes,
            tally,
            took,
        }
    }
}
