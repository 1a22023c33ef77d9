//! How much may be taken away at once without somebody's approval.

use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::PostParams;
use kube::{Api, Client};
use parking_lot::Mutex;

use super::index::Index;
use crate::api::{ExchangeTenant, Revocations};
use crate::clock::Clock;

/// The larger of the two limits counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub most: usize,
    /// Of all grants of ours in the tenant.
    pub percent: usize,
    pub period: Duration,
}

impl Limits {
    fn allowed(&self, grants: usize) -> usize {
        self.most.max(grants.saturating_mul(self.percent) / 100)
    }
}

/// What was taken away lately, by tenant. The status of the ExchangeTenant remembers it over restarts.
#[derive(Default)]
pub struct Breaker {
    windows: tokio::sync::Mutex<HashMap<String, Vec<Revocations>>>,
}

/// Entries of a window; what happens closer together than this part of the period is one of them.
const PARTS: i32 = 30;
/// Somebody else writes the same status once in minutes.
const TRIES: u32 = 5;

/// Removals for which somebody asks the breaker.
pub struct Removals<'a> {
    pub tenant: &'a str,
    pub limits: Limits,
    pub count: usize,
    pub clock: Clock,
}

impl Breaker {
    /// Counts these removals and has the API server remember them first; false when they would be too many.
    pub async fn try_acquire(
        &self,
        client: &Client,
        index: &Mutex<Index>,
        removals: Removals<'_>,
    ) -> Result<bool, kube::Error> {
        let Removals {
            tenant,
            limits,
            count,
            clock,
        } = removals;
        let mut windows = self.windows.lock().await;
        let stored = || index.lock().tenant(tenant)?.status.clone();
        let window = windows
            .entry(tenant.to_owned())
            .or_insert_with(|| stored().map(|status| status.revocations).unwrap_or_default());
        let grants = index.lock().recorded_grants(tenant);
        let Some(next) = with(window, limits, grants, count, clock.now()) else {
            return Ok(false);
        };
        store(client, tenant, &next).await?;
        *window = next;
        Ok(true)
    }
}

/// Puts the window into the tenant's status, over whatever else is written to it meanwhile.
async fn store(client: &Client, tenant: &str, window: &[Revocations]) -> Result<(), kube::Error> {
    let api: Api<ExchangeTenant> = Api::all(client.clone());
    let mut tries = 0;
    loop {
        let mut object = api.get(tenant).await?;
        object.status.get_or_insert_default().revocations = window.to_vec();
        tries += 1;
        match api.replace_status(tenant, &PostParams::default(), &object).await {
            Err(kube::Error::Api(status)) if status.is_conflict() && tries < TRIES => {}
            other => return other.map(drop),
        }
    }
}

/// The window with `count` more removals at `now`; None when they are too many.
fn with(
    window: &[Revocations],
    limits: Limits,
    grants: usize,
    count: usize,
    now: Timestamp,
) -> Option<Vec<Revocations>> {
    let period = SignedDuration::try_from(limits.period).unwrap_or(SignedDuration::MAX);
    let mut next: Vec<Revocations> = window
        .iter()
        .filter(|entry| now.duration_since(entry.at.0) < period)
        .cloned()
        .collect();
    let used: usize = next
        .iter()
        .map(|entry| usize::try_from(entry.count).unwrap_or_default())
        .sum();
    if used.saturating_add(count) > limits.allowed(grants) {
        return None;
    }
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    let at = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    match next.last_mut() {
        // Merged into the later time: it counts longer, never shorter.
        Some(last) if now.duration_since(last.at.0) < period / PARTS => {
            last.at = at;
            last.count = last.count.saturating_add(count);
        }
        _ => next.push(Revocations { at, count }),
    }
    Some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        most: 50,
        percent: 30,
        period: Duration::from_mins(30),
    };

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute)
    }

    #[test]
    fn the_larger_of_count_and_percent_counts() {
        assert!(with(&[], LIMITS, 2, 50, at(0)).is_some());
        assert!(with(&[], LIMITS, 2, 51, at(0)).is_none());
        assert!(with(&[], LIMITS, 1000, 300, at(0)).is_some());
        assert!(with(&[], LIMITS, 1000, 301, at(0)).is_none());
    }

    #[test]
    fn what_was_taken_away_within_the_period_is_counted_and_then_forgotten() {
        let window = with(&[], LIMITS, 0, 40, at(0)).unwrap();
        assert!(with(&window, LIMITS, 0, 11, at(29)).is_none());
        let fuller = with(&window, LIMITS, 0, 10, at(29)).unwrap();
        assert_eq!(fuller.len(), 2);
        assert!(
            with(&fuller, LIMITS, 0, 40, at(31)).is_some(),
            "the first forty are forgotten"
        );
        assert!(with(&fuller, LIMITS, 0, 41, at(31)).is_none());
    }

    #[test]
    fn a_window_stays_small_and_never_forgets_too_early() {
        let mut window = Vec::new();
        for second in 0..1800 {
            let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
            let limits = Limits {
                most: 10_000,
                ..LIMITS
            };
            window = with(&window, limits, 0, 1, now).unwrap();
        }
        assert!(window.len() <= 31, "{}", window.len());
        assert_eq!(window.iter().map(|entry| entry.count).sum::<i32>(), 1800);
    }
}
