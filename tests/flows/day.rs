//! Whole days of a hundred mailboxes. `SMO_SIMULATION_DAYS=7 cargo test --test flows days` runs more of them.

use simulator::Profile;
use testkit::simulation::{replay_day, with_profile};

#[test]
fn days_of_a_hundred_mailboxes_end_well() {
    let days = std::env::var("SMO_SIMULATION_DAYS")
        .ok()
        .and_then(|text| text.parse().ok());
    for day in 1..=days.unwrap_or(1) {
        #[cfg(target_os = "linux")]
        let before = cpu_time();
        let profile = Profile::drawn(day);
        if let Err(why) = replay_day(day, profile) {
            panic!(
                "{} ends wrong: {why}",
                with_profile(format!("day {day}"), profile)
            );
        }
        #[cfg(target_os = "linux")]
        {
            let took = cpu_time().saturating_sub(before);
            eprintln!("day {day}: {} s of one core", took.as_secs_f64());
            let in_time = limit().is_none_or(|seconds| took.as_secs() < seconds);
            assert!(in_time, "day {day} took {took:?} of one core");
        }
    }
}

/// What a day may take of one core, for those who measure: `SMO_SIMULATION_SECONDS=30`, on optimised code.
#[cfg(target_os = "linux")]
fn limit() -> Option<u64> {
    std::env::var("SMO_SIMULATION_SECONDS").ok()?.parse().ok()
}

/// What this thread has used so far. Whatever else the machine does meanwhile does not count.
#[cfg(target_os = "linux")]
fn cpu_time() -> std::time::Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // After the name, which may hold anything: utime and stime are the 14th and 15th field, in hundredths.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let hundredths = |at: usize| fields[at].parse::<u64>().unwrap() * 10;
    std::time::Duration::from_millis(hundredths(11) + hundredths(12))
}
