//! `cargo xtask bench`: what the operator costs Exchange, Graph and the cluster, counted.

use std::path::PathBuf;

use anyhow::Result;

use super::cargo::cargo;

/// How large the tenant is, and what becomes of the counts.
#[derive(clap::Args)]
pub struct Arguments {
    /// Mailboxes that the operator manages
    #[arg(long, default_value_t = 1000)]
    mailboxes: usize,
    /// `limits.writesPerMinute` of the ExchangeTenant
    #[arg(long, default_value_t = 6000)]
    writes_per_minute: u32,
    /// Write everything that was counted to this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Fail when a bound is broken
    #[arg(long)]
    check: bool,
}

/// Only counts are judged, so the programs of the tests are good enough.
pub fn run(arguments: &Arguments) -> Result<()> {
    let words = words(arguments)?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    cargo(&words, &[])
}

fn words(arguments: &Arguments) -> Result<Vec<String>> {
    let Arguments {
        mailboxes,
        writes_per_minute,
        json,
        check,
    } = arguments;
    let cargo = [
        "bench",
        "--quiet",
        "--locked",
        "--profile",
        "dev",
        "--bench",
        "tenant",
        "--",
    ];
    let mut words = cargo.map(str::to_owned).to_vec();
    words.push(format!("--mailboxes={mailboxes}"));
    words.push(format!("--writes-per-minute={writes_per_minute}"));
    if let Some(file) = json {
        // Cargo runs it in the root of the package.
        let file = std::path::absolute(file)?;
        words.push(format!("--json={}", file.display()));
    }
    words.extend(check.then(|| "--check".to_owned()));
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_reaches_the_benchmark() {
        let arguments = Arguments {
            mailboxes: 100,
            writes_per_minute: 120,
            json: Some(PathBuf::from("/tmp/counts.json")),
            check: true,
        };
        let words = words(&arguments).unwrap();
        let own: Vec<&str> = words
            .iter()
            .skip_while(|word| *word != "--")
            .map(String::as_str)
            .collect();
        let expected = [
            "--",
            "--mailboxes=100",
            "--writes-per-minute=120",
            "--json=/tmp/counts.json",
            "--check",
        ];
        assert_eq!(own, expected);
    }
}
