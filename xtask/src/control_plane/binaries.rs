//! Which programs a control plane consists of, and where they are found.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::go_programs::{Search, Tool, for_tests};

/// The folder under `tests/` with the Go module.
const MODULE: &str = "control-plane";

const TOOLS: [Tool; 6] = [
    Tool {
        standalone: true,
        ..Tool::new("supervise", None, "./cmd/supervise")
    },
    Tool {
        standalone: true,
        ..Tool::new("certificates", None, "./cmd/certificates")
    },
    Tool::new("etcd", Some("TEST_ASSET_ETCD"), "go.etcd.io/etcd/server/v3"),
    Tool::new(
        "kube-apiserver",
        Some("TEST_ASSET_KUBE_APISERVER"),
        "k8s.io/kubernetes/cmd/kube-apiserver",
    ),
    Tool::new(
        "kube-controller-manager",
        Some("TEST_ASSET_KUBE_CONTROLLER_MANAGER"),
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    Tool {
        on_path: true,
        ..Tool::new(
            "kubectl",
            Some("TEST_ASSET_KUBECTL"),
            "k8s.io/kubernetes/cmd/kubectl",
        )
    },
];

const SKIPPED: &str =
    "SKIPPED: tests that need a control plane; none is built (`cargo xtask control-plane` does)";

/// Where everything is that a control plane needs.
///
/// Each program is searched for by the conventions of controller-runtime's envtest: the variable `TEST_ASSET_<NAME>`,
/// then the folder in `KUBEBUILDER_ASSETS`, then (kubectl only) the `PATH`, then what was built here before.
#[derive(Debug, Clone)]
pub struct Binaries {
    pub etcd: PathBuf,
    pub kube_apiserver: PathBuf,
    pub kube_controller_manager: PathBuf,
    pub kubectl: PathBuf,
    /// Ends a program when whoever started it is gone; see [`crate::supervised::Supervised`].
    pub supervise: PathBuf,
    /// Makes the certificates of one run.
    pub certificates: PathBuf,
}

impl Binaries {
    /// Finds all programs, without building any; `None` when one is missing or out of date.
    pub fn locate() -> Option<Self> {
        let search = Search::new(MODULE).ok()?;
        Self::from_lookup(|tool| search.find(tool)).ok().flatten()
    }

    /// Finds all programs and builds the missing ones into the target folder, which takes minutes the first time
    /// and needs Go. `progress` gets a line now and then.
    pub fn locate_or_build(progress: &mut dyn FnMut(&str)) -> Result<Self> {
        let search = Search::new(MODULE)?;
        if let Some(found) = Self::from_lookup(|tool| search.find(tool))? {
            return Ok(found);
        }
        search.build_missing(&TOOLS, progress)?;
        let found = Self::from_lookup(|tool| search.find(tool))?;
        found.ok_or_else(|| anyhow::anyhow!("the control plane was built, and yet a program is missing"))
    }

    /// For tests that need a control plane: `None`, reported on standard error, where none is at hand, so that the test
    /// can skip itself; an error instead where [`REQUIRED_VARIABLE`](crate::go_programs::REQUIRED_VARIABLE) says that nothing may be skipped.
    pub fn for_tests() -> Result<Option<Self>> {
        for_tests(Self::locate(), SKIPPED)
    }

    /// The variables by which other processes find the same programs.
    pub fn environment(&self) -> [(&'static str, &Path); 4] {
        [
            ("TEST_ASSET_ETCD", &self.etcd),
            ("TEST_ASSET_KUBE_APISERVER", &self.kube_apiserver),
            (
                "TEST_ASSET_KUBE_CONTROLLER_MANAGER",
                &self.kube_controller_manager,
            ),
            ("TEST_ASSET_KUBECTL", &self.kubectl),
        ]
    }

    fn from_lookup(find: impl Fn(&Tool) -> Result<Option<PathBuf>>) -> Result<Option<Self>> {
        let [
            supervise,
            certificates,
            etcd,
            kube_apiserver,
            kube_controller_manager,
            kubectl,
        ] = TOOLS.each_ref().map(find);
        let all = (
            supervise?,
            certificates?,
            etcd?,
            kube_apiserver?,
            kube_controller_manager?,
            kubectl?,
        );
        let (
            Some(supervise),
            Some(certificates),
            Some(etcd),
            Some(kube_apiserver),
            Some(kube_controller_manager),
            Some(kubectl),
        ) = all
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            etcd,
            kube_apiserver,
            kube_controller_manager,
            kubectl,
            supervise,
            certificates,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_of_the_control_plane_is_pinned() {
        assert_eq!(crate::go_programs::unpinned(&TOOLS, MODULE), Vec::<&str>::new());
    }
}
