//! Intervals and limits of an ExchangeTenant, parsed.

use std::time::Duration;

use crate::api::{ExchangeTenantSpec, Safety};
use crate::controller::state::breaker::Limits;

/// How often, how soon and how much.
pub struct Timing {
    /// How often each mailbox is rechecked.
    pub interval: Duration,
    /// After how long people may use what Exchange was asked to grant.
    pub propagation: Duration,
    /// How much may be taken away at once.
    pub safety: Limits,
}

impl Timing {
    /// `Err`: which field can't be used, and how to write it.
    pub fn of(spec: &ExchangeTenantSpec) -> Result<Self, String> {
        let Safety {
            max_revocations,
            max_revocation_percent,
            period,
        } = &spec.safety;
        Ok(Self {
            interval: parse_interval(&spec.drift.interval)
                .ok_or("spec.drift.interval: write at least 10s, as in 10m or 1h30m")?,
            propagation: parse_duration(&spec.limits.propagation)
                .ok_or("spec.limits.propagation: write it as in 60m or 1h30m")?,
            safety: Limits {
                most: usize::try_from(*max_revocations).unwrap_or_default(),
                percent: usize::try_from(*max_revocation_percent).unwrap_or_default(),
                period: parse_interval(period)
                    .ok_or("spec.safety.period: write at least 10s, as in 30m or 1h")?,
            },
        })
    }
}

/// At least ten seconds.
fn parse_interval(text: &str) -> Option<Duration> {
    parse_duration(text).filter(|duration| *duration >= Duration::from_secs(10))
}

/// Admission has checked the form and the bounds; an object from before that is refused here.
fn parse_duration(text: &str) -> Option<Duration> {
    let duration: kube::core::Duration = text.parse().ok().filter(|_| !text.is_empty())?;
    (!duration.is_negative()).then(|| duration.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_hours_minutes_and_seconds_of_at_least_ten_seconds() {
        for (text, seconds) in [
            ("10m", Some(600)),
            ("1h30m", Some(5400)),
            ("10s", Some(10)),
            ("9s", None),
            ("", None),
            ("10", None),
            ("m", None),
        ] {
            assert_eq!(parse_interval(text).map(|d| d.as_secs()), seconds, "{text:?}");
        }
    }
}
