//! The command as a whole: from arguments to an exit code.

use std::io::Write;
use std::path::Path;

use serde_json::Value;

use super::args::Arguments;
use super::{Outcome, examine};
use crate::clock::Clock;
use crate::exchange::http;
use crate::rng::Rng;

/// Something that the operator needs is missing or otherwise.
const BROKEN: u8 = 1;
/// The tenant could not be checked, or nothing could be created.
const NOT_CHECKED: u8 = 2;
/// The scratch mailbox could not be removed.
const LEFT_BEHIND: u8 = 3;

/// Checks the tenant and prints; the exit code. Ctrl-c ends it after the scratch mailbox has been removed.
pub async fn run(arguments: Arguments) -> u8 {
    let secret = std::env::var("SMO_CLIENT_SECRET").ok();
    let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr().lock());
    match checked(&arguments, secret).await {
        Ok(outcome) => print(&arguments, &outcome, &mut out, &mut err),
        Err(why) => {
            let _ = writeln!(err, "{why}");
            NOT_CHECKED
        }
    }
}

async fn checked(arguments: &Arguments, secret: Option<String>) -> Result<Outcome, String> {
    let connection = arguments.connection(secret)?;
    let extra = arguments
        .extra_ca
        .as_deref()
        .map(|file| std::fs::read(file).map_err(|error| format!("--extra-ca {}: {error}", file.display())));
    let http =
        http::client(extra.transpose()?.as_deref()).map_err(|error| format!("no HTTP client: {error}"))?;
    let stop = async {
        // Without a handler nothing stops it, and it ends by itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    examine(
        connection,
        http,
        (Clock::system(), Rng::system()),
        arguments.scratch(),
        stop,
    )
    .await
    .map_err(|error| error.to_string())
}

fn print(arguments: &Arguments, outcome: &Outcome, out: &mut impl Write, err: &mut impl Write) -> u8 {
    let Outcome { report, left_behind } = outcome;
    let mut code = if report.breaks_a_promise() { BROKEN } else { 0 };
    let _ = write!(out, "{}", report.table());
    if let Some(file) = &arguments.json
        && let Err(error) = save(file, &report.json())
    {
        let _ = writeln!(err, "--json {}: {error}", file.display());
        code = code.max(NOT_CHECKED);
    }
    if let Some(left_behind) = left_behind {
        let _ = writeln!(err, "\n{left_behind}");
        code = LEFT_BEHIND;
    }
    code
}

fn save(file: &Path, json: &Value) -> std::io::Result<()> {
    std::fs::write(file, format!("{json:#}\n"))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::doctor::{Findings, Report};
    use crate::exchange::Capabilities;

    fn code(broken: bool, left_behind: bool, json: Option<&Path>) -> (u8, String, String) {
        let mut findings = Findings::default();
        if broken {
            findings.differs("send-as-row", "no SID");
        }
        let outcome = Outcome {
            report: Report {
                findings,
                capabilities: Capabilities::default(),
                tried: left_behind,
            },
            left_behind: left_behind.then(|| "still there: Remove-Mailbox GUID".to_owned()),
        };
        let mut given = vec![
            "doctor".to_owned(),
            "--tenant=11111111-2222-3333-4444-555555555555".to_owned(),
            "--client-id=66666666-7777-8888-9999-000000000000".to_owned(),
        ];
        given.extend(json.map(|file| format!("--json={}", file.display())));
        let arguments = Arguments::try_parse_from(given).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = print(&arguments, &outcome, &mut out, &mut err);
        (
            code,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    #[test]
    fn the_exit_code_is_that_of_the_worst_that_happened() {
        assert_eq!(code(false, false, None).0, 0);
        assert_eq!(code(true, false, None).0, BROKEN);
        assert_eq!(
            code(true, false, Some(Path::new("/no/such/folder/doctor.json"))).0,
            NOT_CHECKED
        );
        let (code, out, err) = code(true, true, None);
        assert_eq!(code, LEFT_BEHIND);
        assert!(out.contains("BROKEN") && !out.contains("Remove-Mailbox"), "{out}");
        assert!(err.contains("Remove-Mailbox GUID"), "{err}");
    }
}
