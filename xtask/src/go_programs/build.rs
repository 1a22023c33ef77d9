//! Builds Go programs from the modules under `tests/`, each once per version.

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{Search, Tool};
use crate::process::{humane, run, wait_until};
use crate::supervised::tail;

const PROGRESS: Duration = Duration::from_secs(15);
/// Longer than any build takes, on the slowest machine.
const LOCK_TIMEOUT: Duration = Duration::from_hours(1);

/// Builds those of `tools` that `search` does not find, one program after the other.
pub(super) fn missing(tools: &[Tool], search: &Search, progress: &mut dyn FnMut(&str)) -> Result<()> {
    fs::create_dir_all(&search.built).with_context(|| format!("can't create {}", search.built.display()))?;
    let _lock = lock(search, progress)?;
    let mut wanted = Vec::new();
    for tool in tools {
        // Looked for again, now that we hold the lock: another process may have built it meanwhile.
        if search.find(tool)?.is_none() {
            wanted.push(tool);
        }
    }
    for (index, tool) in wanted.iter().enumerate() {
        let position = format!("{} of {}", index + 1, wanted.len());
        build(tool, search, &position, progress)?;
    }
    Ok(())
}

/// Whether the program in the folder of built ones is there and what we would build now.
pub(super) fn is_current(tool: &Tool, search: &Search) -> Result<bool> {
    if !search.built.join(tool.name).is_file() {
        return Ok(false);
    }
    let wanted = stamp(tool, &search.module)?;
    Ok(fs::read_to_string(stamp_file(tool, search)).is_ok_and(|found| found == wanted))
}

pub(super) fn write_stamp(tool: &Tool, search: &Search) -> Result<()> {
    Ok(fs::write(stamp_file(tool, search), stamp(tool, &search.module)?)?)
}

fn stamp_file(tool: &Tool, search: &Search) -> PathBuf {
    search.built.join(format!("{}.stamp", tool.name))
}

/// What the outcome of a build depends on, as a short text: the pinned versions, and the sources of our own helpers.
/// The hash may differ between Rust releases; then the build is repeated.
fn stamp(tool: &Tool, module: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for file in inputs(tool, module)? {
        fs::read(&file)
            .with_context(|| format!("can't read {}", file.display()))?
            .hash(&mut hasher);
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

fn inputs(tool: &Tool, module: &Path) -> Result<Vec<PathBuf>> {
    let pinned = vec![module.join("go.mod"), module.join("go.sum")];
    let Some(folder) = tool.package.strip_prefix("./") else {
        return Ok(pinned);
    };
    let folder = module.join(folder);
    let entries = fs::read_dir(&folder).with_context(|| format!("can't read {}", folder.display()))?;
    let mut sources = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    sources.retain(|path| path.extension() == Some(OsStr::new("go")));
    sources.sort();
    if !tool.standalone {
        sources.extend(pinned);
    }
    Ok(sources)
}

/// Keeps two processes from building the same thing; released when dropped, also by a crash.
fn lock(search: &Search, progress: &mut dyn FnMut(&str)) -> Result<File> {
    let path = search.built.join(".lock");
    let file = File::create(&path).with_context(|| format!("can't create {}", path.display()))?;
    let mut reported = false;
    let locked = wait_until(LOCK_TIMEOUT, Duration::from_millis(200), || {
        match file.try_lock() {
            Ok(()) => Ok(Some(())),
            Err(TryLockError::WouldBlock) => {
                if !std::mem::replace(&mut reported, true) {
                    progress("another process is building the same programs; waiting for it");
                }
                Ok(None)
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    })?;
    ensure!(
        locked.is_some(),
        "another process has held {} for an hour",
        path.display()
    );
    Ok(file)
}

fn build(tool: &Tool, search: &Search, position: &str, progress: &mut dyn FnMut(&str)) -> Result<()> {
    progress(&format!(
        "building {} ({position}; once, kept in the target folder)",
        tool.name
    ));
    let unfinished = search.built.join(format!(".{}.new", tool.name));
    let log = search.built.join(format!("{}.build.log", tool.name));
    let mut command = go_build(tool, &search.module, &unfinished)?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&log)?);

    let started = Instant::now();
    let mut announced = Duration::ZERO;
    let status = run(&mut command, |elapsed| {
        if elapsed >= announced + PROGRESS {
            announced = elapsed;
            progress(&format!(
                "building {} ({position}), {} so far",
                tool.name,
                humane(elapsed)
            ));
        }
    })
    .with_context(|| {
        format!(
            "Go builds {}: install it (https://go.dev/dl){}",
            tool.name,
            tool.alternative()
        )
    })?;
    if !status.success() {
        bail!(
            "building {} failed ({status}); {} ends with\n{}",
            tool.name,
            log.display(),
            tail(&log, 20)
        );
    }
    fs::rename(&unfinished, search.built.join(tool.name))?;
    write_stamp(tool, search)?;
    fs::remove_file(log)?;
    progress(&format!("built {} in {}", tool.name, humane(started.elapsed())));
    Ok(())
}

fn go_build(tool: &Tool, module: &Path, output: &Path) -> Result<Command> {
    let go_mod = fs::read_to_string(module.join("go.mod"))?;
    // Static and without debug information. The version is what the control plane's programs report: left alone they
    // call themselves v0.0.0, which clients that check the version refuse.
    let linker = match kubernetes_version(&go_mod) {
        Some(version) => format!("-s -w -X k8s.io/component-base/version.gitVersion={version}"),
        None => "-s -w".to_owned(),
    };
    let mut command = Command::new("go");
    command.args(["build", "-buildvcs=false", "-trimpath", "-ldflags", &linker]);
    if let Some(tags) = tool.tags {
        command.args(["-tags", tags]);
    }
    command.arg("-o").arg(output).arg(tool.package);
    command
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off");
    Ok(command)
}

fn kubernetes_version(go_mod: &str) -> Option<&str> {
    let mut words = go_mod
        .lines()
        .map(|line| line.trim().trim_start_matches("require ").split_whitespace());
    words.find_map(|mut line| {
        (line.next() == Some("k8s.io/kubernetes"))
            .then(|| line.next())
            .flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reported_version_is_the_pinned_one() {
        let module =
            "module x\nrequire (\n\tk8s.io/kubernetes v1.36.3\n\tk8s.io/api v0.36.3 // indirect\n)\n";
        assert_eq!(kubernetes_version(module), Some("v1.36.3"));
        assert_eq!(
            kubernetes_version("require k8s.io/kubernetes v1.37.0\n"),
            Some("v1.37.0")
        );
        assert_eq!(kubernetes_version("module x\n"), None);
    }
}
