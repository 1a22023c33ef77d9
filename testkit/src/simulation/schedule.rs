//! Faults by seed: what may go wrong between the operator, the API server and Exchange, all at once.
//!
//! One number is a whole schedule: which scenario runs, how fast, and every fault on the way. While faults last
//! nothing need be right but the oracles of every run; after them everything must become right.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use simulator::{Delay, Fault, FaultRule, Faults, Lag, Profile, Seed, Surface};

use super::crash::on_paused_time;
use super::line::with_profile;
use super::oracle::MEMORY_HOLDS;
use super::settings::in_profile;
use super::{Action, Actions, Patience, Scenario, Simulation};
use crate::api_server::{Call, Disturbance, Staleness, Verb};
use crate::rng::Rng;

/// Faults of Kubernetes.
#[derive(Debug)]
struct ClusterFaults {
    /// Of a hundred requests, so many are disturbed.
    disturbed: u64,
    events_late: [u64; 3],
    events_twice: bool,
    cut_every: Option<Duration>,
    compacts: bool,
    stale: Staleness,
}

#[derive(Debug)]
struct Schedule {
    actions: Actions,
    exchange: Faults,
    cluster: ClusterFaults,
    /// How long faults last after the actions.
    lasts: Duration,
    crashes: u64,
}

const KINDS: [&str; 3] = ["sharedmailboxes", "mailboxpermissions", "exchangetenants"];

/// A schedule that failed.
struct Failure {
    /// Replays it.
    line: String,
    /// For people.
    schedule: String,
    why: String,
}

/// Runs the schedules of these seeds: each scenario in its turn.
///
/// # Panics
/// With the line that replays each schedule that failed.
pub fn schedules(scenarios: &[Scenario], seeds: impl Iterator<Item = u64>) -> usize {
    let mut failures = Vec::new();
    let mut count = 0;
    for seed in seeds {
        count += 1;
        let index = usize::try_from(Rng::seeded(seed).below(scenarios.len() as u64)).unwrap();
        let scenario = &scenarios[index];
        let profile = Profile::drawn(seed);
        if let Err(why) = replay_schedule(scenario, seed, profile) {
            let line = with_profile(format!("schedule {} {seed}", scenario.name), profile);
            eprintln!(
                "{line} fails: {}",
                why.lines().take(4).collect::<Vec<_>>().join("\n")
            );
            failures.push(Failure {
                line,
                schedule: described(scenario, seed),
                why,
            });
        }
    }
    if let Some(Failure { line, schedule, why }) = failures.first() {
        let lines: Vec<&str> = failures.iter().map(|failure| failure.line.as_str()).collect();
        panic!(
            "{} of {count} schedules fail: {lines:?}\nthe first, again with `SMO_SIMULATION_LINE='{line}' cargo test --test \
             flows one_line`, for ever with `cargo xtask regression NAME '{line}'`:\n{schedule}\n{why}",
            failures.len(),
        );
    }
    count
}

/// One schedule, in a tenant of this kind.
pub fn replay_schedule(scenario: &Scenario, seed: u64, profile: Option<Profile>) -> Result<(), String> {
    on_paused_time(async {
        let mut simulation = Simulation::of(in_profile(Seed::contoso(), profile)).await;
        run(&mut simulation, scenario, seed).await
    })
}

/// Everything that was asked of either side in one schedule, to the last id.
pub fn trace_schedule(scenario: &Scenario, seed: u64) -> String {
    on_paused_time(async {
        let mut simulation = Simulation::start().await;
        let end = run(&mut simulation, scenario, seed).await;
        format!("{}\n{end:?}", simulation.trace())
    })
}

/// Actions and faults as people read them.
fn described(scenario: &Scenario, seed: u64) -> String {
    let Schedule {
        actions,
        exchange,
        cluster,
        lasts,
        crashes,
    } = Schedule::of(scenario, &mut Rng::seeded(seed));
    let actions: Vec<String> = actions.iter().map(|action| format!("  {action:?}")).collect();
    format!(
        "{}\nwith {exchange:#?} and {cluster:#?} for {lasts:?} more, and {crashes} crashes",
        actions.join("\n")
    )
}

impl Schedule {
    /// What is drawn, and in which order, decides what every kept seed means.
    fn of(scenario: &Scenario, rng: &mut Rng) -> Self {
        Self {
            actions: paced(scenario, rng),
            exchange: exchange(rng),
            cluster: ClusterFaults {
                disturbed: if rng.percent(60) { rng.between(1, 15) } else { 0 },
                events_late: [0; 3].map(|_: u64| {
                    if rng.percent(40) {
                        rng.between(100, 40_000)
                    } else {
                        0
                    }
                }),
                events_twice: rng.percent(30),
                cut_every: rng.percent(40).then(|| Duration::from_secs(rng.between(5, 120))),
                compacts: rng.percent(40),
                // A read that names no revision is a quorum read and never stale; caches get old through late events.
                stale: if rng.percent(50) {
                    Staleness::WhereAllowed(rng.between(1, 30))
                } else {
                    Staleness::Fresh
                },
            },
            lasts: Duration::from_secs(rng.between(30, 2_400)),
            crashes: if rng.percent(35) { rng.between(1, 3) } else { 0 },
        }
    }
}

/// The scenario's actions with pauses of any length between them, without its faults.
fn paced(scenario: &Scenario, rng: &mut Rng) -> Actions {
    let unhurried = rng.percent(50);
    let all = scenario.before.iter().chain(&scenario.actions);
    let without_faults = all.filter(|action| !matches!(action, Action::Faults(_)));
    let paced = without_faults.flat_map(|action| {
        let pause = match (action, unhurried) {
            (Action::Settle, true) => Duration::from_secs(rng.between(60, 900)),
            (Action::Settle, false) => Duration::from_millis(rng.between(0, 20_000)),
            _ => Duration::from_millis(rng.below(3_000)),
        };
        let action = Some(action.clone()).filter(|action| !matches!(action, Action::Settle));
        action.into_iter().chain([Action::Wait(pause)])
    });
    paced.collect()
}

fn exchange(rng: &mut Rng) -> Faults {
    let mut rules = Vec::new();
    let exception = |name: &str| Fault::ServerError {
        status: 500,
        exception: Some(name.to_owned()),
        message: None,
    };
    let plain = |status| Fault::ServerError {
        status,
        exception: None,
        message: None,
    };
    let possible = [
        Fault::Throttled {
            retry_after_seconds: Some(rng.between(1, 90)),
        },
        Fault::Throttled {
            retry_after_seconds: None,
        },
        Fault::TenantConcurrency,
        exception("Microsoft.Exchange.Data.Directory.ServerBusyException"),
        exception("Microsoft.Exchange.Configuration.Tasks.UnableToWriteToAadException"),
        plain(500),
        plain(503),
        plain(504),
        Fault::LostRequest,
        Fault::LostAnswer,
        Fault::CutAnswer,
        Fault::Unauthorized,
    ];
    for fault in possible {
        if rng.percent(25) {
            let rate = f64::from(u32::try_from(rng.between(1, 12)).unwrap()) / 100.0;
            let rule = FaultRule::at_rate(rate, fault);
            rules.push(match rng.below(6) {
                0 => rule.on(&["New-Mailbox", "Set-Mailbox"]),
                1 => rule.on(&["*Permission"]),
                2 => rule.on(&["Get-*"]),
                3 => rule.at(Surface::Graph),
                _ => rule,
            });
        }
    }
    let lag = match rng.below(4) {
        0 => Delay::default(),
        1 => Delay::spread(500, 5_000, 30_000),
        // Half within two seconds, one of twenty above a minute, some half an hour.
        _ => Delay::spread(2_000, 60_000, 1_800_000),
    };
    let faults = Faults {
        seed: rng.draw(),
        latency: *rng.pick(&[
            Delay::default(),
            Delay::fixed(300),
            Delay::spread(400, 3_000, 70_000),
        ]),
        answer_delay: *rng.pick(&[
            Delay::default(),
            Delay::fixed(200),
            Delay::spread(300, 2_000, 30_000),
        ]),
        rules,
        lag: Lag {
            delay: lag,
            replicas: u8::try_from(rng.between(1, 3)).unwrap(),
        },
        not_found_after_create_ms: if rng.percent(50) { rng.below(90_000) } else { 0 },
        directory_to_exchange_ms: if rng.percent(30) { rng.below(300_000) } else { 0 },
        exchange_to_directory_ms: if rng.percent(30) { rng.below(60_000) } else { 0 },
        max_concurrent_requests: rng.percent(20).then(|| u32::try_from(rng.between(1, 4)).unwrap()),
        enforce_retry_after: rng.percent(50),
        next_link_base: None,
    };
    forgetting(faults)
}

/// With writes that are acknowledged and forgotten, at times. They are drawn from another generator, so that older lines
/// keep the rest of their faults.
fn forgetting(mut faults: Faults) -> Faults {
    let mut rng = Rng::seeded(faults.seed ^ 0xf0);
    if rng.percent(60) {
        let rate = f64::from(u32::try_from(rng.between(2, 15)).unwrap()) / 100.0;
        let rule = FaultRule::at_rate(rate, Fault::Forgotten);
        let on_writes = rule.on(&["Set-Mailbox", "Add-*Permission", "Remove-*Permission"]);
        faults.rules.push(on_writes);
    }
    faults
}

/// How late the watch of ledgers is; drawn from another generator, too.
fn ledgers_late(seed: u64) -> Duration {
    let mut rng = Rng::seeded(seed ^ 0x1ed6);
    let milliseconds = if rng.percent(40) {
        rng.between(100, 40_000)
    } else {
        0
    };
    Duration::from_millis(milliseconds)
}

async fn run(simulation: &mut Simulation, scenario: &Scenario, seed: u64) -> Result<(), String> {
    let mut rng = Rng::seeded(seed);
    let Schedule {
        actions,
        exchange,
        cluster,
        lasts,
        crashes,
    } = Schedule::of(scenario, &mut rng);
    let ClusterFaults {
        disturbed,
        events_late,
        events_twice,
        cut_every,
        compacts,
        stale,
    } = cluster;
    let server = simulation.world.server.clone();
    server.delay_events("mailboxledgers", ledgers_late(exchange.seed));
    simulation.world.tenant.set_faults(exchange);
    for (kind, milliseconds) in KINDS.iter().zip(events_late) {
        server.delay_events(kind, Duration::from_millis(milliseconds));
    }
    server.repeat_events(events_twice);
    server.read_from_the_past(stale);
    let fault_rng = Arc::new(Mutex::new(Rng::seeded(seed ^ 0xabcd)));
    server.disturb_by(move |call| {
        let mut rng = fault_rng.lock();
        (is_the_operators(call) && rng.percent(disturbed)).then(|| disturbance(call, &mut rng))
    });
    let cutter = tokio::spawn(async move {
        while let Some(every) = cut_every {
            tokio::time::sleep(every).await;
            if compacts {
                server.compact();
            }
            server.cut_watches();
        }
    });
    simulation.run_all(&actions).await?;
    for _ in 0..crashes {
        simulation.run(&Action::Crash).await?;
        simulation.pass(Duration::from_millis(rng.below(30_000))).await;
    }
    simulation.pass(lasts).await;
    cutter.abort();
    simulation.calm();
    finish(simulation, Patience::long()).await
}

/// After the last fault: everything becomes right and stays so.
pub async fn finish(simulation: &mut Simulation, patience: Patience) -> Result<(), String> {
    let end = Box::pin(come_to_rest(simulation, patience)).await;
    let wrongs = match end {
        Ok(()) => simulation.wrongs(patience),
        // What is wrong with a request for itself is wrong at any time, and may be why.
        Err(why) => [simulation.wire.wrongs(), vec![why]].concat(),
    };
    if wrongs.is_empty() {
        return Ok(());
    }
    Err(format!("{}\n{}", wrongs.join("\n  "), simulation.report().await))
}

async fn come_to_rest(simulation: &mut Simulation, patience: Patience) -> Result<(), String> {
    simulation.settle(patience).await?;
    simulation.pass_all_ends().await;
    simulation.pass(simulation.grace()).await;
    // What replicas still hide may come up once more, and so may a person's new address; what is over is forgotten.
    simulation.pass(patience.untruth.max(MEMORY_HOLDS)).await;
    simulation.settle(patience).await?;
    simulation.stays().await?;
    simulation.settle(patience.at_once()).await
}

/// People apply under a name of their own. What they delete has no such name; of ledgers only the operator deletes any in
/// runs with such faults.
pub fn is_the_operators(call: &Call) -> bool {
    call.manager() != "tests" && (call.verb != Verb::Delete || call.plural == "mailboxledgers")
}

pub fn disturbance(call: &Call, rng: &mut Rng) -> Disturbance {
    let write = call.is_write();
    match rng.below(if write { 9 } else { 6 }) {
        0 => Disturbance::refused_for(429, u32::try_from(rng.between(1, 20)).unwrap()),
        1 => Disturbance::refused(500),
        2 => Disturbance::refused(503),
        3 => Disturbance::lost(),
        4 => Disturbance::late(Duration::from_millis(rng.below(20_000))),
        5 => Disturbance::answered_late(Duration::from_millis(rng.below(20_000))),
        6 => Disturbance::refused(409),
        7 => Disturbance::done_but_refused(504),
        _ => Disturbance::answer_lost(),
    }
}
