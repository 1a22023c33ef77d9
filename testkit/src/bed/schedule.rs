//! Bad weather by seed: what may go wrong between the operator, the API server and Exchange, all at once.
//!
//! One number is a whole schedule: which story is told, how fast, and everything that befalls it. While the
//! weather lasts nothing need be right but the oracles of every run; after it everything must become right.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use simulator::{Delay, Fault, FaultRule, Faults, Lag, Surface};

use super::crash::on_paused_time;
use super::dice::Dice;
use super::oracle::MEMORY_HOLDS;
use super::{Act, Bed, Patience, Scenario, Story};
use crate::api_server::{Call, Disturbance, Staleness, Verb};

/// What befalls Kubernetes.
#[derive(Debug)]
struct Cluster {
    /// Of a hundred requests, so many are disturbed.
    disturbed: u64,
    events_late: [u64; 3],
    events_twice: bool,
    cut_every: Option<Duration>,
    compacts: bool,
    stale: Staleness,
}

#[derive(Debug)]
struct Weather {
    exchange: Faults,
    cluster: Cluster,
    /// How long it lasts after the story.
    lasts: Duration,
    crashes: u64,
}

const KINDS: [&str; 3] = ["sharedmailboxes", "mailboxpermissions", "exchangetenants"];

/// Runs the schedules of these seeds: each scenario in its turn.
///
/// # Panics
/// With the line that replays each schedule that failed.
pub fn schedules(scenarios: &[Scenario], seeds: impl Iterator<Item = u64>) -> usize {
    let mut failures = Vec::new();
    let mut count = 0;
    for seed in seeds {
        count += 1;
        let index = usize::try_from(Dice::of(seed).below(scenarios.len() as u64)).unwrap();
        let scenario = &scenarios[index];
        if let Err(why) = replay_schedule(scenario, seed) {
            let line = format!("schedule {} {seed}", scenario.name);
            eprintln!(
                "{line} fails: {}",
                why.lines().take(4).collect::<Vec<_>>().join("\n")
            );
            failures.push((line, told(scenario, seed), why));
        }
    }
    if let Some((line, told, why)) = failures.first() {
        let lines: Vec<&str> = failures.iter().map(|(line, _, _)| line.as_str()).collect();
        panic!(
            "{} of {count} schedules fail: {lines:?}\nthe first, again with `SMO_BED_LINE='{line}' cargo test --test \
             flows one_line`, for ever with `cargo xtask regression NAME '{line}'`:\n{told}\n{why}",
            failures.len(),
        );
    }
    count
}

/// One schedule.
pub fn replay_schedule(scenario: &Scenario, seed: u64) -> Result<(), String> {
    on_paused_time(async { run(&mut Bed::start().await, scenario, seed).await })
}

/// Everything that was asked of either side in one schedule, to the last id.
pub fn trace_schedule(scenario: &Scenario, seed: u64) -> String {
    on_paused_time(async {
        let mut bed = Bed::start().await;
        let end = run(&mut bed, scenario, seed).await;
        format!("{}\n{end:?}", bed.trace())
    })
}

/// The story and the weather as people read them.
fn told(scenario: &Scenario, seed: u64) -> String {
    let mut dice = Dice::of(seed);
    let story = story(scenario, &mut dice);
    let weather = weather(&mut dice);
    let acts: Vec<String> = story.iter().map(|act| format!("  {act:?}")).collect();
    format!("{}\nin {weather:#?}", acts.join("\n"))
}

fn story(scenario: &Scenario, dice: &mut Dice) -> Story {
    let unhurried = dice.percent(50);
    let told = scenario.before.iter().chain(&scenario.story);
    let acts = told.filter(|act| !matches!(act, Act::Faults(_))).flat_map(|act| {
        let pause = match (act, unhurried) {
            (Act::Settle, true) => Duration::from_secs(dice.between(60, 900)),
            (Act::Settle, false) => Duration::from_millis(dice.between(0, 20_000)),
            _ => Duration::from_millis(dice.below(3_000)),
        };
        let act = Some(act.clone()).filter(|act| !matches!(act, Act::Settle));
        act.into_iter().chain([Act::Wait(pause)])
    });
    acts.collect()
}

fn weather(dice: &mut Dice) -> Weather {
    Weather {
        exchange: exchange(dice),
        cluster: Cluster {
            disturbed: if dice.percent(60) { dice.between(1, 15) } else { 0 },
            events_late: [0; 3].map(|_: u64| {
                if dice.percent(40) {
                    dice.between(100, 40_000)
                } else {
                    0
                }
            }),
            events_twice: dice.percent(30),
            cut_every: dice
                .percent(40)
                .then(|| Duration::from_secs(dice.between(5, 120))),
            compacts: dice.percent(40),
            // A read that names no revision is a quorum read and never stale; views get old through late events.
            stale: if dice.percent(50) {
                Staleness::WhereAllowed(dice.between(1, 30))
            } else {
                Staleness::Fresh
            },
        },
        lasts: Duration::from_secs(dice.between(30, 2_400)),
        crashes: if dice.percent(35) { dice.between(1, 3) } else { 0 },
    }
}

fn exchange(dice: &mut Dice) -> Faults {
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
            retry_after_seconds: Some(dice.between(1, 90)),
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
        if dice.percent(25) {
            let rate = f64::from(u32::try_from(dice.between(1, 12)).unwrap()) / 100.0;
            let rule = FaultRule::at_rate(rate, fault);
            rules.push(match dice.below(6) {
                0 => rule.on(&["New-Mailbox", "Set-Mailbox"]),
                1 => rule.on(&["*Permission"]),
                2 => rule.on(&["Get-*"]),
                3 => rule.at(Surface::Graph),
                _ => rule,
            });
        }
    }
    let lag = match dice.below(4) {
        0 => Delay::default(),
        1 => Delay::spread(500, 5_000, 30_000),
        // Half within two seconds, one of twenty above a minute, some half an hour.
        _ => Delay::spread(2_000, 60_000, 1_800_000),
    };
    let faults = Faults {
        seed: dice.next(),
        latency: *dice.pick(&[
            Delay::default(),
            Delay::fixed(300),
            Delay::spread(400, 3_000, 70_000),
        ]),
        answer_delay: *dice.pick(&[
            Delay::default(),
            Delay::fixed(200),
            Delay::spread(300, 2_000, 30_000),
        ]),
        rules,
        lag: Lag {
            delay: lag,
            replicas: u8::try_from(dice.between(1, 3)).unwrap(),
        },
        not_found_after_create_ms: if dice.percent(50) { dice.below(90_000) } else { 0 },
        directory_to_exchange_ms: if dice.percent(30) { dice.below(300_000) } else { 0 },
        exchange_to_directory_ms: if dice.percent(30) { dice.below(60_000) } else { 0 },
        max_concurrent_requests: dice
            .percent(20)
            .then(|| u32::try_from(dice.between(1, 4)).unwrap()),
        enforce_retry_after: dice.percent(50),
        next_link_base: None,
    };
    forgetting(faults)
}

/// With writes that are acknowledged and forgotten, at times. The dice are others, so that older lines keep the rest of
/// their weather.
fn forgetting(mut faults: Faults) -> Faults {
    let mut dice = Dice::of(faults.seed ^ 0xf0);
    if dice.percent(60) {
        let rate = f64::from(u32::try_from(dice.between(2, 15)).unwrap()) / 100.0;
        let rule = FaultRule::at_rate(rate, Fault::Forgotten);
        let on_writes = rule.on(&["Set-Mailbox", "Add-*Permission", "Remove-*Permission"]);
        faults.rules.push(on_writes);
    }
    faults
}

async fn run(bed: &mut Bed, scenario: &Scenario, seed: u64) -> Result<(), String> {
    let mut dice = Dice::of(seed);
    let story = story(scenario, &mut dice);
    let weather = weather(&mut dice);
    let server = bed.world.server.clone();
    bed.world.tenant.set_faults(weather.exchange.clone());
    let Cluster {
        disturbed,
        events_late,
        events_twice,
        cut_every,
        compacts,
        stale,
    } = weather.cluster;
    for (kind, milliseconds) in KINDS.iter().zip(events_late) {
        server.delay_events(kind, Duration::from_millis(milliseconds));
    }
    server.repeat_events(events_twice);
    server.read_from_the_past(stale);
    let luck = Arc::new(Mutex::new(Dice::of(seed ^ 0xabcd)));
    server.disturb_by(move |call| {
        let mut luck = luck.lock().unwrap_or_else(PoisonError::into_inner);
        (is_the_operators(call) && luck.percent(disturbed)).then(|| disturbance(call, &mut luck))
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
    bed.tell(&story).await?;
    for _ in 0..weather.crashes {
        bed.act(&Act::Crash).await?;
        bed.pass(Duration::from_millis(dice.below(30_000))).await;
    }
    bed.pass(weather.lasts).await;
    cutter.abort();
    bed.calm();
    finish(bed, Patience::long()).await
}

/// After the last fault: everything becomes right and stays so.
pub async fn finish(bed: &mut Bed, patience: Patience) -> Result<(), String> {
    bed.settle(patience).await?;
    bed.pass_all_ends().await;
    // What replicas still hide may come up once more, and so may a person's new address; what is over is forgotten.
    bed.pass(patience.untruth.max(MEMORY_HOLDS)).await;
    bed.settle(patience).await?;
    bed.stays().await?;
    bed.settle(Patience {
        convergence: Duration::ZERO,
        ..patience
    })
    .await?;
    let wrongs = bed.wrongs(patience);
    if wrongs.is_empty() {
        Ok(())
    } else {
        Err(format!("{}\n{}", wrongs.join("\n  "), bed.report().await))
    }
}

/// People apply under a name of their own, and nobody but people deletes.
pub fn is_the_operators(call: &Call) -> bool {
    call.manager() != "tests" && call.verb != Verb::Delete
}

pub fn disturbance(call: &Call, dice: &mut Dice) -> Disturbance {
    let write = call.is_write();
    match dice.below(if write { 9 } else { 6 }) {
        0 => Disturbance::refused_for(429, u32::try_from(dice.between(1, 20)).unwrap()),
        1 => Disturbance::refused(500),
        2 => Disturbance::refused(503),
        3 => Disturbance::lost(),
        4 => Disturbance::late(Duration::from_millis(dice.below(20_000))),
        5 => Disturbance::answered_late(Duration::from_millis(dice.below(20_000))),
        6 => Disturbance::refused(409),
        7 => Disturbance::done_but_refused(504),
        _ => Disturbance::answer_lost(),
    }
}
