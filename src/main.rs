//! Arguments → settings → runtime; nothing else.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use shared_mailbox_operator::runtime::args::{Cli, Command};
use shared_mailbox_operator::{api, doctor, plan, runtime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Crd => print_crds(),
        Command::Metrics => print_metrics(),
        Command::Run(args) => on_a_runtime(async {
            match runtime::run(args).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    tracing::error!(%error, "the operator could not start");
                    ExitCode::FAILURE
                }
            }
        }),
        Command::Doctor(args) => on_a_runtime(async { doctor::command::run(args).await.into() }),
        Command::Settings => print_settings(),
    }
}

fn on_a_runtime(work: impl Future<Output = ExitCode>) -> ExitCode {
    // One provider for everything; an error only means that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "no async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    runtime.block_on(work)
}

fn print_metrics() -> ExitCode {
    let examples = runtime::metrics::examples().map_err(std::io::Error::other);
    let printed = examples.and_then(|text| std::io::stdout().lock().write_all(text.as_bytes()));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "the metrics could not be printed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_settings() -> ExitCode {
    match std::io::stdout().lock().write_all(plan::reference().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "the settings could not be printed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_crds() -> ExitCode {
    let mut out = std::io::stdout().lock();
    for crd in api::all_crds() {
        let printed = serde_saphyr::to_string(&crd).map_err(std::io::Error::other);
        if let Err(error) = printed.and_then(|yaml| write!(out, "---\n{yaml}")) {
            let _ = writeln!(std::io::stderr(), "the CRDs could not be printed: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
