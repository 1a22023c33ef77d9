//! The tenant as a client meets it: one HTTP request in, one answer out.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;

use crate::control::Control;
use crate::exchange;
use crate::graph;
use crate::seed::Seed;
use crate::shared::SharedWorld;
use crate::token_endpoint;
use crate::wire::{Delivery, Http, Reply};
use crate::world::World;

/// A simulated Microsoft 365 tenant. Clones are handles to the same tenant.
#[derive(Clone, Debug)]
pub struct Simulator {
    world: SharedWorld,
}

/// The answer never came: the connection was cut, before or after the request was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection was cut before an answer came")
    }
}

impl std::error::Error for Dropped {}

impl Simulator {
    /// A tenant with what the seed says. Its clock starts now and follows tokio's.
    pub fn new(seed: Seed) -> Self {
        Self {
            world: SharedWorld::new(World::seeded(seed)),
        }
    }

    /// The hand of the tenant's admin, the faults and the journal.
    pub fn control(&self) -> Control {
        Control::new(self.world.clone())
    }

    /// Answers a request by its path, whatever the host: the token endpoint, the Exchange admin API,
    /// Graph.
    ///
    /// Dropping the future while it waits for the simulated latency means that the request never
    /// arrived; dropping it during the answer delay means that it was carried out.
    pub async fn handle(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Dropped> {
        let admin_call = is_admin_api(request.uri().path()).then(|| InFlight::enter(&self.world));
        let rank = admin_call.as_ref().map_or(0, |call| call.rank);
        let (number, latency) = {
            let mut world = self.world.lock();
            (world.next_request(), world.faults.latency())
        };
        pause(latency).await;
        let (delivery, request_id, date, delay) = {
            let mut world = self.world.lock();
            world.expire();
            let http = Http::new(number, rank, request);
            let delivery = route(&mut world, &http);
            let date = world.dates_answers.then(|| world.now());
            (delivery, world.random.uuid(), date, world.faults.answer_delay())
        };
        pause(delay).await;
        match delivery {
            Delivery::Whole(reply) => Ok(dated(reply, date).into_response(request_id, false)),
            Delivery::Cut(reply) => Ok(dated(reply, date).into_response(request_id, true)),
            Delivery::Lost => Err(Dropped),
            Delivery::Silent => {
                pause(SILENCE).await;
                Err(Dropped)
            }
        }
    }
}

fn dated(reply: Reply, date: Option<Timestamp>) -> Reply {
    match date {
        Some(date) => reply.with("date", date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()),
        None => reply,
    }
}

fn is_admin_api(path: &str) -> bool {
    path.get(..10)
        .is_some_and(|root| root.eq_ignore_ascii_case("/adminapi/"))
}

/// Counts a request to the admin API until it is answered or given up.
struct InFlight<'s> {
    world: &'s SharedWorld,
    /// How many there were when it arrived, this one included.
    rank: u32,
}

impl<'s> InFlight<'s> {
    fn enter(world: &'s SharedWorld) -> Self {
        let mut locked = world.lock();
        locked.in_flight += 1;
        let rank = locked.in_flight;
        drop(locked);
        Self { world, rank }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut world = self.world.lock();
        world.in_flight = world.in_flight.saturating_sub(1);
    }
}

/// How long a connection stays open on which nothing is answered.
const SILENCE: Duration = Duration::from_hours(1);

async fn pause(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

fn route(world: &mut World, http: &Http) -> Delivery {
    match http.route().as_slice() {
        [tenant, "oauth2", "v2.0", "token"] if http.method == http::Method::POST => {
            token_endpoint::answer(world, http, tenant)
        }
        [root, version, tenant, endpoint] if root.eq_ignore_ascii_case("adminapi") => {
            exchange::answer(world, http, version, tenant, endpoint)
        }
        ["v1.0", ..] => graph::answer(world, http),
        _ => world.answer_other(http, Reply::error(404, "Resource not found.")),
    }
}
