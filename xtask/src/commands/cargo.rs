//! Running cargo, and finding what it built.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use xtask::process::{capture_stdout, run};
use xtask::workspace;

use super::shell::typed;

/// Runs cargo with `arguments` in the root of the repository and fails when it does.
pub fn cargo(arguments: &[&str], environment: &[(&str, &Path)]) -> Result<()> {
    let mut command = workspace::cargo();
    command.args(arguments).envs(environment.iter().copied());
    succeed(&mut command)
}

/// Runs a command with our own output, and fails when it does.
pub fn succeed(command: &mut Command) -> Result<()> {
    let status = run(command, |_| ())?;
    ensure!(status.success(), "{} ended with {status}", typed(command));
    Ok(())
}

/// Programs that cargo built, by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Programs(BTreeMap<String, PathBuf>);

impl Programs {
    /// Runs a cargo command that builds (`build`, or `test --no-run`) and notes which programs came of it.
    pub fn build(arguments: &[&str]) -> Result<Self> {
        Self::build_with(arguments, &[])
    }

    /// The same with more in the environment.
    pub fn build_with(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        let mut command = workspace::cargo();
        command.envs(environment.iter().copied());
        Self::built_by(command, arguments)
    }

    /// The same by a cargo of the caller's.
    pub fn built_by(mut command: Command, arguments: &[&str]) -> Result<Self> {
        command
            .args(arguments)
            .arg("--message-format=json-render-diagnostics");
        let output = capture_stdout(&mut command)?;
        ensure!(
            output.status.success(),
            "cargo {} ended with {}",
            arguments.join(" "),
            output.status
        );
        Self::from_messages(&String::from_utf8_lossy(&output.stdout))
    }

    fn from_messages(messages: &str) -> Result<Self> {
        let mut programs = BTreeMap::new();
        for line in messages.lines() {
            let message: Value =
                serde_json::from_str(line).context("cargo printed something else than JSON")?;
            let is_program = message["target"]["kind"][0] == "bin" && message["profile"]["test"] == false;
            if let (true, Some(name), Some(path)) = (
                is_program,
                message["target"]["name"].as_str(),
                message["executable"].as_str(),
            ) {
                programs.insert(name.to_owned(), PathBuf::from(path));
            }
        }
        Ok(Self(programs))
    }

    /// Where the program `name` is.
    pub fn get(&self, name: &str) -> Result<&Path> {
        let Some(path) = self.0.get(name) else {
            bail!("cargo built no program named {name}")
        };
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_distinguished_from_libraries_and_from_their_unit_tests() {
        let messages = [
            r#"{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"operator"},"profile":{"test":false},"executable":null}"#,
            r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"operator"},"profile":{"test":true},"executable":"/t/deps/operator-1"}"#,
            r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"operator"},"profile":{"test":false},"executable":"/t/operator"}"#,
            r#"{"reason":"build-finished","success":true}"#,
        ];
        let programs = Programs::from_messages(&messages.join("\n")).unwrap();
        assert_eq!(programs.get("operator").unwrap(), Path::new("/t/operator"));
        let error = programs.get("simulator").unwrap_err().to_string();
        assert!(error.contains("simulator"), "{error}");
    }

    #[test]
    fn a_failing_command_is_named_as_typed() {
        let error = succeed(Command::new("/bin/sh").args(["-c", "exit 4"]))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("sh -c 'exit 4' ended with") && error.contains('4'),
            "{error}"
        );
    }
}
