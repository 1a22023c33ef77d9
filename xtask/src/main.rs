//! Developer commands: `cargo xtask demo | test | bench | generate | image | upgrade | regression | control-plane`.
#![allow(
    clippy::disallowed_methods,
    reason = "this drives real processes, which run in real time"
)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "printing is what these commands are for"
)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::interrupt::{self, Interrupted};

mod commands;
mod console;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Developer commands of shared-mailbox-operator",
    version
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the operator at work on a local control plane and a simulated tenant
    ///
    /// Builds what is missing (minutes the first time), applies deploy/samples, shows a repair and a refusal, and
    /// stays up until ctrl-c. Needs Rust and Go, nothing else.
    Demo(commands::demo::Arguments),
    /// Run everything that CI runs
    Test,
    /// Count what the operator costs Exchange, Graph and the cluster, beside the lower bound and two other ways
    ///
    /// The whole operator in one process, on paused time: a minute or two for a thousand mailboxes, seconds for a hundred.
    Bench(commands::bench::Arguments),
    /// Build the container image, as an OCI archive, without a container engine
    Image(commands::image::Arguments),
    /// Show that an earlier operator, this one and the earlier one again write nothing because of the change
    ///
    /// Builds the earlier one in a checkout of its own, lets it make the mailboxes, and reads in the simulated tenant's
    /// journal what each change of hands wrote. Minutes for a thousand mailboxes.
    Upgrade(commands::upgrade::Arguments),
    /// Write what is generated from other files: CRDs, the CRD chart, manifests in deploy/, snapshots of the charts
    Generate(commands::generate::Arguments),
    /// Keep a failing run of the simulation as a named test
    Regression(commands::regression::Arguments),
    /// Start a local control plane and stay until ctrl-c
    ControlPlane(commands::control_plane::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = interrupt::install().and_then(|()| match arguments.command {
        Command::Demo(arguments) => commands::demo::run(&arguments),
        Command::Test => commands::test::run(),
        Command::Bench(arguments) => commands::bench::run(&arguments),
        Command::Image(arguments) => commands::image::run(&arguments),
        Command::Upgrade(arguments) => commands::upgrade::run(&arguments),
        Command::Generate(arguments) => commands::generate::run(&arguments),
        Command::Regression(arguments) => commands::regression::run(&arguments),
        Command::ControlPlane(arguments) => commands::control_plane::run(&arguments),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("interrupted");
            ExitCode::from(interrupt::EXIT_CODE)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn the_documented_commands_are_understood() {
        for line in [
            "demo",
            "demo --once",
            "test",
            "bench",
            "bench --mailboxes 100 --check --json FILE",
            "generate",
            "generate --check",
            "image",
            "image --simulated-tenant",
            "image --profile image-test --output DIRECTORY",
            "control-plane",
            "control-plane --audit-log",
            "regression name line",
            "upgrade --from v0.1.0",
            "upgrade --from HEAD~1 --mailboxes 20",
        ] {
            let words = std::iter::once("xtask").chain(line.split(' '));
            assert!(Arguments::try_parse_from(words).is_ok(), "{line}");
        }
    }
}
