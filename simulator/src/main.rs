//! `simulator serve` runs a tenant; `simulator admin` reaches into a running one.

mod admin;
mod arguments;

use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use jiff::Timestamp;
use simulator::{JournalEntry, Seed, Simulator, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::{Arguments, Command, Failure, Serve};

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")),
        )
        .init();
    let result = match Arguments::parse().command {
        Command::Serve(arguments) => run(arguments).await,
        Command::Admin(arguments) => admin::run(arguments).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; there is nowhere else to report it.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Serve) -> Result<(), Failure> {
    let mut seed = match &arguments.seed {
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?
        }
        None => Seed::contoso(),
    };
    if seed.start.is_none() {
        seed.start = Some(wall_clock()?);
    }
    if let Some(profile) = arguments.profile {
        profile.apply(&mut seed);
    }
    let listener = TcpListener::bind(&arguments.listen)
        .await
        .map_err(|error| format!("can't listen on {}: {error}", arguments.listen))?;
    let address = listener.local_addr()?;
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on http://{address}")?;
    stdout.flush()?;
    let observer = arguments
        .journal
        .then(|| Arc::new(log_entry) as simulator::Observer);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    serve(Simulator::new(seed), listener, observer, stop).await?;
    Ok(())
}

/// The tenant's clock starts with the real time, so that tokens and dates look right beside other
/// processes; from then on it is the simulator's own.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where simulated time meets real time"
)]
fn wall_clock() -> Result<Timestamp, Failure> {
    Ok(Timestamp::try_from(std::time::SystemTime::now())?)
}

fn log_entry(entry: &JournalEntry) {
    let text = serde_json::to_string(entry).unwrap_or_default();
    let _ = writeln!(io::stderr(), "{text}");
}
