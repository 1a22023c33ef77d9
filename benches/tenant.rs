//! What the operator costs Exchange, Graph and the cluster, counted. Run by `cargo xtask bench`.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]
#![allow(clippy::expect_used, reason = "a benchmark that can't run fails")]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use testkit::bench::{Scenario, broken, json, rows, table};

/// Most of what a run does is make and drop small values.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    /// Mailboxes in the tenant that the operator manages
    #[arg(long, default_value_t = 1000)]
    mailboxes: usize,
    /// `limits.writesPerMinute` of the tenant
    #[arg(long, default_value_t = 6000)]
    writes_per_minute: u32,
    /// Write everything that was counted to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Fail when a bound is broken
    #[arg(long)]
    check: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let Arguments {
        mailboxes,
        writes_per_minute,
        json: file,
        check,
        bench: _,
    } = Arguments::parse();
    let scenario = Scenario {
        mailboxes,
        writes_per_minute,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime starts");
    let phases = runtime.block_on(scenario.run());
    let rows = rows(&phases);
    println!("{mailboxes} mailboxes\n\n{}", table(&rows));
    if let Some(file) = file {
        let text = serde_json::to_string_pretty(&json(&scenario, &phases, &rows)).expect("counts are JSON");
        std::fs::write(&file, text).expect("the file can be written");
    }
    let broken = broken(&rows);
    for row in &broken {
        println!("broken: {}, {}: {}", row.phase, row.what, row.measured);
    }
    if check && !broken.is_empty() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
