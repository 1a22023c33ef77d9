//! Faults on demand: slowness, throttling, server errors, lost answers, and replicas that lag.
//!
//! Everything reads from JSON, so that a script can set it while the simulator runs. Durations are
//! milliseconds of simulated time.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::directory::Visibility;
use crate::filter::wildcard;
use crate::random::Random;

/// All faults in force. The default is a tenant without any.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Faults {
    /// Seeds every random choice below.
    pub seed: u64,
    /// Wait before a request is handled.
    pub latency: Delay,
    /// Wait between doing what was asked and answering.
    pub answer_delay: Delay,
    /// Tried in order; the first that fires decides.
    pub rules: Vec<FaultRule>,
    /// How long replicas of Exchange show the state before a write.
    pub lag: Lag,
    /// How long Exchange does not know an object that was just created, in milliseconds.
    pub not_found_after_create_ms: u64,
    /// Extra time until Exchange shows what was changed in Entra, in milliseconds.
    pub directory_to_exchange_ms: u64,
    /// Extra time until Graph shows what was changed in Exchange, in milliseconds.
    pub exchange_to_directory_ms: u64,
    /// Requests to the admin API in flight at a time; one more is answered with the tenant concurrency text.
    pub max_concurrent_requests: Option<u32>,
    /// Answers 429 again to whoever comes back to the admin API before a `Retry-After` has passed.
    /// Such calls are counted as `beforeRetryAfter` in any case.
    pub enforce_retry_after: bool,
    /// Scheme and host that `@odata.nextLink` points to instead of the one that was called.
    pub next_link_base: Option<String>,
}

/// A duration drawn from a distribution given by four of its points, with straight lines between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Delay {
    pub min_ms: u64,
    pub p50_ms: u64,
    pub p95_ms: u64,
    pub max_ms: u64,
}

impl Delay {
    /// Always the same.
    pub fn fixed(milliseconds: u64) -> Self {
        Self {
            min_ms: milliseconds,
            p50_ms: milliseconds,
            p95_ms: milliseconds,
            max_ms: milliseconds,
        }
    }

    /// Half of the draws up to `p50_ms`, 19 of 20 up to `p95_ms`, none above `max_ms`.
    pub fn spread(p50_ms: u64, p95_ms: u64, max_ms: u64) -> Self {
        Self {
            min_ms: 0,
            p50_ms,
            p95_ms,
            max_ms,
        }
    }

    pub(crate) fn draw(self, random: &mut Random) -> Duration {
        if self.max_ms.max(self.p95_ms).max(self.p50_ms).max(self.min_ms) == 0 {
            return Duration::ZERO;
        }
        let at = random.fraction();
        let (low, high, share) = if at < 0.5 {
            (self.min_ms, self.p50_ms, at / 0.5)
        } else if at < 0.95 {
            (self.p50_ms, self.p95_ms, (at - 0.5) / 0.45)
        } else {
            (self.p95_ms, self.max_ms, (at - 0.95) / 0.05)
        };
        let low = Duration::from_millis(low);
        low + Duration::from_millis(high).saturating_sub(low).mul_f64(share)
    }
}

/// Replication behind the admin API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Lag {
    /// Drawn anew for each write and each replica.
    pub delay: Delay,
    /// With one replica (0 counts as one) a change that was seen stays seen. With more, each cmdlet is
    /// answered by a random one, so that reads can go back in time.
    pub replicas: u8,
}

/// One kind of fault, and when it strikes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    pub fault: Fault,
    #[serde(default)]
    pub surface: Surface,
    /// Names of cmdlets, `*` allowed. Empty: the whole HTTP request, whatever is in it.
    #[serde(default)]
    pub cmdlets: Vec<String>,
    /// Only calls with this parameter, whatever its value. It narrows `cmdlets`.
    #[serde(default)]
    pub parameter: Option<String>,
    /// Lets this many matches pass first.
    #[serde(default)]
    pub skip: u64,
    /// Strikes at most this often; without a bound when left out.
    #[serde(default)]
    pub times: Option<u64>,
    /// Probability for each match, 0 to 1; always when left out.
    #[serde(default)]
    pub rate: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Surface {
    #[default]
    Exchange,
    Token,
    Graph,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind", deny_unknown_fields)]
pub enum Fault {
    /// 429, with `Retry-After` when seconds are given.
    #[serde(rename_all = "camelCase")]
    Throttled {
        #[serde(default)]
        retry_after_seconds: Option<u64>,
    },
    /// The plain text about too many concurrent requests of the tenant, status 429.
    TenantConcurrency,
    /// An error of the server. Status 500 with `exception` one of the types that Exchange uses
    /// when it is busy (`ServerBusyException`, `DCOverloadedException`, `StorageTransientException`,
    /// `UnableToWriteToAadException` and the like), or 503 and 504 without one.
    #[serde(rename_all = "camelCase")]
    ServerError {
        status: u16,
        #[serde(default)]
        exception: Option<String>,
        #[serde(default)]
        message: Option<String>,
    },
    /// 200 with the error in the body.
    ErrorInBody { exception: String, message: String },
    /// 302 to this address.
    Redirect { location: String },
    /// 403 with a body of NUL bytes, as while a role is still propagating.
    Denied,
    /// 401, as for a token that was revoked.
    Unauthorized,
    /// The request never arrives: nothing is done and no answer comes.
    LostRequest,
    /// All is done, but the answer never comes.
    LostAnswer,
    /// All is done, and half of the answer's body comes.
    CutAnswer,
    /// Answered as if all were done, and nothing of it stays: the server that took it died before it replicated to the others.
    /// The admin API only, and not for cmdlets that make or delete objects.
    Forgotten,
    /// Nothing is done, and the connection stays open without an answer. Graph only.
    Silent,
}

/// What comes of the answer to a disturbed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Whole,
    Cut,
    Never,
    /// The connection stays open.
    Silent,
}

impl Fault {
    pub(crate) fn arrival(&self) -> Arrival {
        match self {
            Self::LostRequest | Self::LostAnswer => Arrival::Never,
            Self::CutAnswer => Arrival::Cut,
            Self::Silent => Arrival::Silent,
            Self::Throttled { .. }
            | Self::TenantConcurrency
            | Self::ServerError { .. }
            | Self::ErrorInBody { .. }
            | Self::Redirect { .. }
            | Self::Denied
            | Self::Unauthorized
            | Self::Forgotten => Arrival::Whole,
        }
    }

    /// The name under which it is counted.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Throttled {
                retry_after_seconds: Some(_),
            } => "throttledWithRetryAfter",
            Self::Throttled {
                retry_after_seconds: None,
            } => "throttled",
            Self::TenantConcurrency => "tenantConcurrency",
            Self::ServerError { .. } => "serverError",
            Self::ErrorInBody { .. } => "errorInBody",
            Self::Redirect { .. } => "redirect",
            Self::Denied => "denied",
            Self::Unauthorized => "unauthorized",
            Self::LostRequest => "lostRequest",
            Self::LostAnswer => "lostAnswer",
            Self::CutAnswer => "cutAnswer",
            Self::Forgotten => "forgotten",
            Self::Silent => "silent",
        }
    }
}

impl FaultRule {
    /// The next `times` requests to the admin API.
    pub fn next(times: u64, fault: Fault) -> Self {
        Self {
            times: Some(times),
            ..Self::always(fault)
        }
    }

    /// Every request to the admin API.
    pub fn always(fault: Fault) -> Self {
        Self {
            fault,
            surface: Surface::Exchange,
            cmdlets: Vec::new(),
            parameter: None,
            skip: 0,
            times: None,
            rate: None,
        }
    }

    /// A share of the requests to the admin API, 0 to 1.
    pub fn at_rate(rate: f64, fault: Fault) -> Self {
        Self {
            rate: Some(rate),
            ..Self::always(fault)
        }
    }

    /// Only these cmdlets; in a batch, only their items.
    pub fn on(mut self, cmdlets: &[&str]) -> Self {
        self.cmdlets = cmdlets.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Only calls with this parameter.
    pub fn naming(mut self, parameter: &str) -> Self {
        self.parameter = Some(parameter.to_owned());
        self
    }

    /// The token endpoint or Graph instead of the admin API.
    pub fn at(mut self, surface: Surface) -> Self {
        self.surface = surface;
        self
    }

    /// Lets the first `matches` pass.
    pub fn after(mut self, matches: u64) -> Self {
        self.skip = matches;
        self
    }

    fn names(&self, cmdlet: &str, parameters: &Map<String, Value>) -> bool {
        let cmdlet = cmdlet.to_lowercase();
        let is_named = self
            .cmdlets
            .iter()
            .any(|pattern| wildcard(&cmdlet, &pattern.to_lowercase()));
        let has_parameter = self.parameter.as_ref().is_none_or(|wanted| {
            let mut names = parameters.keys();
            names.any(|name| name.eq_ignore_ascii_case(wanted))
        });
        is_named && has_parameter
    }

    fn strikes(&mut self, random: &mut Random) -> bool {
        if self.times == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if self.rate.is_some_and(|rate| random.fraction() >= rate) {
            return false;
        }
        self.times = self.times.map(|left| left.saturating_sub(1));
        true
    }
}

impl Faults {
    /// No faults but these.
    pub fn rules(rules: impl IntoIterator<Item = FaultRule>) -> Self {
        Self {
            rules: rules.into_iter().collect(),
            ..Self::default()
        }
    }
}

/// Where a change came from; the other side may hear of it later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Exchange,
    Directory,
}

/// The faults in force with their random state and counts.
#[derive(Debug)]
pub struct FaultEngine {
    faults: Faults,
    random: Random,
    counts: BTreeMap<&'static str, u64>,
    /// When the last `Retry-After` is over.
    throttled_until: Duration,
}

impl Default for FaultEngine {
    fn default() -> Self {
        Self::new(Faults::default())
    }
}

impl FaultEngine {
    pub fn new(faults: Faults) -> Self {
        Self {
            random: Random::seeded(faults.seed),
            faults,
            counts: BTreeMap::new(),
            throttled_until: Duration::ZERO,
        }
    }

    /// Replaces all faults; counts continue.
    pub fn set(&mut self, faults: Faults) {
        self.random = Random::seeded(faults.seed);
        self.faults = faults;
        self.throttled_until = Duration::ZERO;
    }

    pub fn add(&mut self, rule: FaultRule) {
        self.faults.rules.push(rule);
    }

    pub fn current(&self) -> &Faults {
        &self.faults
    }

    /// How often each kind of fault struck.
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// The fault for a request to the admin API that comes too early or is one too many.
    pub fn on_arrival(&mut self, in_flight: u32, now: Duration) -> Option<Fault> {
        if now < self.throttled_until {
            *self.counts.entry("beforeRetryAfter").or_default() += 1;
            if self.faults.enforce_retry_after {
                let left = self.throttled_until.saturating_sub(now);
                let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
                return Some(Fault::Throttled {
                    retry_after_seconds: Some(seconds),
                });
            }
        }
        if self
            .faults
            .max_concurrent_requests
            .is_some_and(|most| in_flight > most)
        {
            *self.counts.entry(Fault::TenantConcurrency.name()).or_default() += 1;
            return Some(Fault::TenantConcurrency);
        }
        None
    }

    /// Remembers until when the tenant has asked to be left alone.
    pub fn note(&mut self, fault: Option<&Fault>, now: Duration) {
        if let Some(Fault::Throttled {
            retry_after_seconds: Some(seconds),
        }) = fault
        {
            self.throttled_until = self.throttled_until.max(now + Duration::from_secs(*seconds));
        }
    }

    /// The fault for a whole HTTP request.
    pub fn on_request(&mut self, surface: Surface) -> Option<Fault> {
        self.decide(|rule| rule.surface == surface && rule.cmdlets.is_empty())
    }

    /// The fault for one cmdlet.
    pub fn on_cmdlet(&mut self, name: &str, parameters: &Map<String, Value>) -> Option<Fault> {
        self.decide(|rule| rule.surface == Surface::Exchange && rule.names(name, parameters))
    }

    fn decide(&mut self, matches: impl Fn(&FaultRule) -> bool) -> Option<Fault> {
        let random = &mut self.random;
        let fault = self
            .faults
            .rules
            .iter_mut()
            .find_map(|rule| (matches(rule) && rule.strikes(random)).then(|| rule.fault.clone()))?;
        *self.counts.entry(fault.name()).or_default() += 1;
        Some(fault)
    }

    pub fn latency(&mut self) -> Duration {
        self.faults.latency.draw(&mut self.random)
    }

    pub fn answer_delay(&mut self) -> Duration {
        self.faults.answer_delay.draw(&mut self.random)
    }

    /// The replica that answers the next cmdlet.
    pub fn replica(&mut self) -> usize {
        let replicas = u64::from(self.faults.lag.replicas);
        if replicas < 2 {
            0
        } else {
            usize::try_from(self.random.below(replicas)).unwrap_or(0)
        }
    }

    /// When the replicas and Graph show a change made `now`.
    pub fn visibility(&mut self, origin: Origin, creates: bool, now: Duration) -> Visibility {
        let Lag { delay, replicas } = self.faults.lag;
        let extra = match origin {
            Origin::Exchange => Duration::ZERO,
            Origin::Directory => Duration::from_millis(self.faults.directory_to_exchange_ms),
        };
        let unknown = if creates {
            self.faults.not_found_after_create_ms
        } else {
            0
        };
        let exchange = (0..replicas.max(1))
            .map(|_| now + (delay.draw(&mut self.random) + extra).max(Duration::from_millis(unknown)))
            .collect();
        let graph = match origin {
            Origin::Exchange => Duration::from_millis(self.faults.exchange_to_directory_ms),
            Origin::Directory => Duration::ZERO,
        };
        Visibility {
            exchange,
            graph: now + graph,
        }
    }
}

#[cfg(test)]
mod tests;
