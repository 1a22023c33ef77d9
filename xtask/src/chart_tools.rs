//! The programs with which charts, alerts and health checks are tested.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::go_programs::{Search, Tool, for_tests};
use crate::process::capture;
use crate::workspace;

/// The folder under `tests/` with the Go module.
const MODULE: &str = "chart-tools";

const TOOLS: [Tool; 3] = [
    Tool::new("helm", Some("TEST_ASSET_HELM"), "helm.sh/helm/v4/cmd/helm"),
    Tool {
        // Finding targets in twenty clouds is most of what it is built from, and rules need none of it.
        tags: Some("remove_all_sd"),
        ..Tool::new(
            "promtool",
            Some("TEST_ASSET_PROMTOOL"),
            "github.com/prometheus/prometheus/cmd/promtool",
        )
    },
    Tool::new("lua", None, "./cmd/lua"),
];

const SKIPPED: &str =
    "SKIPPED: tests that need helm, promtool or Lua; they are not built (`cargo xtask generate` does)";

/// Where they are; see [`crate::go_programs`] for where they are searched for.
#[derive(Debug, Clone)]
pub struct ChartTools {
    helm: PathBuf,
    promtool: PathBuf,
    lua: PathBuf,
}

impl ChartTools {
    /// Finds all programs, without building any; `None` when one is missing or out of date.
    pub fn locate() -> Option<Self> {
        let search = Search::new(MODULE).ok()?;
        Self::find(&search).ok().flatten()
    }

    /// Finds all programs and builds the missing ones into the target folder, which takes minutes the first time
    /// and needs Go. `progress` gets a line now and then.
    pub fn locate_or_build(progress: &mut dyn FnMut(&str)) -> Result<Self> {
        let search = Search::new(MODULE)?;
        if let Some(found) = Self::find(&search)? {
            return Ok(found);
        }
        search.build_missing(&TOOLS, progress)?;
        let found = Self::find(&search)?;
        found.ok_or_else(|| anyhow::anyhow!("the chart tools were built, and yet a program is missing"))
    }

    /// For tests: `None`, reported on standard error, where they are not at hand, so that the test can skip itself; an
    /// error instead where [`REQUIRED_VARIABLE`](crate::go_programs::REQUIRED_VARIABLE) says that nothing may be
    /// skipped.
    pub fn for_tests() -> Result<Option<Self>> {
        for_tests(Self::locate(), SKIPPED)
    }

    /// helm, which keeps what it remembers in `home` and reads nothing of the user's.
    pub fn helm(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.helm);
        command
            .env("HELM_CACHE_HOME", home.join("helm/cache"))
            .env("HELM_CONFIG_HOME", home.join("helm/config"))
            .env("HELM_DATA_HOME", home.join("helm/data"));
        command
    }

    pub fn promtool(&self) -> Command {
        Command::new(&self.promtool)
    }

    /// Runs a health check for Argo CD: a script as argument, a resource as JSON on standard input.
    pub fn lua(&self) -> Command {
        Command::new(&self.lua)
    }

    /// The folder with the CRDs of the Prometheus operator, `monitoring.coreos.com_<plural>.yaml`, of the version that
    /// go.mod pins. Needs Go, and the network the first time.
    pub fn monitoring_crds(&self) -> Result<PathBuf> {
        let module = "github.com/prometheus-operator/prometheus-operator";
        let folder = workspace::root().join("tests").join(MODULE);
        let mut command = Command::new("go");
        command
            .args(["mod", "download", "-json", module])
            .current_dir(folder);
        let output = capture(&mut command)?;
        ensure!(
            output.status.success(),
            "{module} can't be downloaded: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let found: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let directory = found["Dir"].as_str().context("go names no folder")?;
        Ok(Path::new(directory).join("example/prometheus-operator-crd"))
    }

    fn find(search: &Search) -> Result<Option<Self>> {
        let [helm, promtool, lua] = TOOLS.each_ref().map(|tool| search.find(tool));
        let (Some(helm), Some(promtool), Some(lua)) = (helm?, promtool?, lua?) else {
            return Ok(None);
        };
        Ok(Some(Self { helm, promtool, lua }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_pinned() {
        assert_eq!(crate::go_programs::unpinned(&TOOLS, MODULE), Vec::<&str>::new());
    }
}
