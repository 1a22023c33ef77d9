//! Commands that are shown, run, and their output shown.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use xtask::process::capture;

const INDENT: &str = "   ";

/// Begins a chapter of the story. What is shown before ends with an empty line.
pub fn chapter(number: u32, title: &str) {
    println!("{number}. {title}\n");
}

/// Something between the commands.
pub fn say(text: &str) {
    println!("{INDENT}{text}");
}

/// Shows and runs a command that must succeed, and shows what it printed.
pub fn show(command: &mut Command) -> Result<()> {
    let output = attempt(command)?;
    ensure!(
        output.status.success(),
        "`{}` ended with {}",
        typed(command),
        output.status
    );
    Ok(())
}

/// Shows and runs a command that may fail, and shows what it printed.
pub fn attempt(command: &mut Command) -> Result<Output> {
    say(&format!("$ {}", typed(command)));
    let output = capture(command)?;
    for stream in [&output.stdout, &output.stderr] {
        for line in String::from_utf8_lossy(stream).lines() {
            say(line.trim_end());
        }
    }
    println!();
    Ok(output)
}

/// Runs a command without showing it, for its output on success.
pub fn quietly(command: &mut Command) -> Result<Vec<u8>> {
    let output = capture(command)?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`{}` failed: {}",
        typed(command),
        errors.trim_end()
    );
    Ok(output.stdout)
}

/// The command as one would type it.
pub fn typed(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_one_can_paste_them() {
        let mut command = Command::new("/somewhere/bin/kubectl");
        command.args([
            "get",
            "sharedmailbox/sales",
            "-o",
            r#"jsonpath={.a[?(@.b=="c")].d}"#,
            "it's",
        ]);
        assert_eq!(
            typed(&command),
            r#"kubectl get sharedmailbox/sales -o 'jsonpath={.a[?(@.b=="c")].d}' 'it'\''s'"#
        );
    }

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error = show(Command::new("sh").args(["-c", "exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("`sh -c 'exit 3'` ended with"), "{error}");
        assert!(
            !attempt(Command::new("sh").args(["-c", "exit 3"]))
                .unwrap()
                .status
                .success()
        );
        let error = quietly(Command::new("sh").args(["-c", "echo why >&2; exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(error.ends_with("failed: why"), "{error}");
    }
}
