//! Which programs a control plane consists of, and where they are found.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::{Result, ensure};

use super::build;
use crate::workspace;

/// One program: how it is called, which variable may name it, and what it is built from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tool {
    pub name: &'static str,
    /// The variable that names the program itself, as in controller-runtime's envtest.
    pub variable: Option<&'static str>,
    /// The Go package, as seen from `tests/control-plane`.
    pub package: &'static str,
    /// Whether one on the PATH is as good.
    pub on_path: bool,
}

pub(super) const TOOLS: [Tool; 6] = [
    Tool {
        name: "supervise",
        variable: None,
        package: "./cmd/supervise",
        on_path: false,
    },
    Tool {
        name: "certificates",
        variable: None,
        package: "./cmd/certificates",
        on_path: false,
    },
    Tool {
        name: "etcd",
        variable: Some("TEST_ASSET_ETCD"),
        package: "go.etcd.io/etcd/server/v3",
        on_path: false,
    },
    Tool {
        name: "kube-apiserver",
        variable: Some("TEST_ASSET_KUBE_APISERVER"),
        package: "k8s.io/kubernetes/cmd/kube-apiserver",
        on_path: false,
    },
    Tool {
        name: "kube-controller-manager",
        variable: Some("TEST_ASSET_KUBE_CONTROLLER_MANAGER"),
        package: "k8s.io/kubernetes/cmd/kube-controller-manager",
        on_path: false,
    },
    Tool {
        name: "kubectl",
        variable: Some("TEST_ASSET_KUBECTL"),
        package: "k8s.io/kubernetes/cmd/kubectl",
        on_path: true,
    },
];

/// When it is set, tests that need a control plane fail without one instead of being skipped.
pub const REQUIRED_VARIABLE: &str = "SMO_REQUIRE_CONTROL_PLANE";

const SKIPPED: &str =
    "SKIPPED: tests that need a control plane; none is built (`cargo xtask control-plane` does)";

/// Where everything is that a control plane needs.
///
/// Each program is looked for by the conventions of controller-runtime's envtest: the variable `TEST_ASSET_<NAME>`,
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
        let search = Search::new().ok()?;
        Self::from_lookup(|tool| search.find(tool)).ok().flatten()
    }

    /// Finds all programs and builds the missing ones into the target folder, which takes minutes the first time
    /// and needs Go. `progress` gets a line now and then.
    pub fn locate_or_build(progress: &mut dyn FnMut(&str)) -> Result<Self> {
        let search = Search::new()?;
        if let Some(found) = Self::from_lookup(|tool| search.find(tool))? {
            return Ok(found);
        }
        build::missing(&search, progress)?;
        let found = Self::from_lookup(|tool| search.find(tool))?;
        found.ok_or_else(|| anyhow::anyhow!("the control plane was built, and yet a program is missing"))
    }

    /// For tests that need a control plane: `None`, told on standard error, where none is at hand, so that the test
    /// can skip itself; an error instead where [`REQUIRED_VARIABLE`] says that nothing may be skipped.
    pub fn for_tests() -> Result<Option<Self>> {
        static TELL: Once = Once::new();
        let found = Self::locate();
        if found.is_none() {
            let required = std::env::var_os(REQUIRED_VARIABLE).is_some_and(|value| !value.is_empty());
            ensure!(
                !required,
                "{REQUIRED_VARIABLE} is set, and no control plane is built"
            );
            // Not through print macros: what they print is hidden while tests pass.
            TELL.call_once(|| drop(writeln!(std::io::stderr(), "{SKIPPED}")));
        }
        Ok(found)
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

/// The value of a variable, when it is set and not empty.
type Environment = Box<dyn Fn(&str) -> Option<OsString>>;

/// The places to look in.
pub(super) struct Search {
    environment: Environment,
    /// The Go module with the pinned versions.
    pub module: PathBuf,
    /// The folder with what we built.
    pub built: PathBuf,
}

impl Search {
    fn new() -> Result<Self> {
        Ok(Self {
            environment: Box::new(|name| std::env::var_os(name).filter(|value| !value.is_empty())),
            module: workspace::root().join("tests/control-plane"),
            built: workspace::target_directory()?.join("control-plane/bin"),
        })
    }

    /// An error when a variable names a program that isn't there: that is a mistake, not a reason to build.
    pub fn find(&self, tool: &Tool) -> Result<Option<PathBuf>> {
        if let Some((variable, named)) = tool
            .variable
            .and_then(|variable| Some((variable, (self.environment)(variable)?)))
        {
            let path = PathBuf::from(named);
            ensure!(
                path.is_file(),
                "{variable} names {}, which is no file",
                path.display()
            );
            return Ok(Some(path));
        }
        if tool.variable.is_some()
            && let Some(assets) = (self.environment)("KUBEBUILDER_ASSETS")
        {
            let path = Path::new(&assets).join(tool.name);
            if path.is_file() {
                return Ok(Some(path));
            }
        }
        if tool.on_path
            && let Some(path) = self.on_path(tool.name)
        {
            return Ok(Some(path));
        }
        Ok(build::is_current(tool, self)?.then(|| self.built.join(tool.name)))
    }

    fn on_path(&self, name: &str) -> Option<PathBuf> {
        let path = (self.environment)("PATH")?;
        std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|candidate| candidate.is_file())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fs;

    use super::*;
    use crate::process::temporary_directory;

    /// A made-up machine: a Go module, an empty folder for built programs, and an environment.
    struct Machine {
        directory: PathBuf,
        search: Search,
    }

    impl Machine {
        fn new(variables: &[(&str, &str)]) -> Self {
            let directory = temporary_directory("xtask-binaries").unwrap();
            let variables: HashMap<String, OsString> = variables
                .iter()
                .map(|(name, folder)| ((*name).to_owned(), directory.join(folder).into_os_string()))
                .collect();
            let search = Search {
                environment: Box::new(move |name| variables.get(name).cloned()),
                module: directory.join("module"),
                built: directory.join("built"),
            };
            fs::create_dir_all(search.module.join("cmd/supervise")).unwrap();
            fs::create_dir_all(&search.built).unwrap();
            let machine = Self { directory, search };
            machine.file("module/go.mod", "require (\n\tk8s.io/kubernetes v1.36.3\n)\n");
            machine.file("module/go.sum", "");
            machine
        }

        fn file(&self, path: &str, content: &str) -> PathBuf {
            let path = self.directory.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            path
        }

        fn find(&self, name: &str) -> Result<Option<PathBuf>> {
            self.search
                .find(TOOLS.iter().find(|tool| tool.name == name).unwrap())
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.directory).unwrap();
        }
    }

    #[test]
    fn the_variable_of_a_program_comes_before_the_folder_of_assets() {
        let machine = Machine::new(&[
            ("TEST_ASSET_ETCD", "own/my-etcd"),
            ("KUBEBUILDER_ASSETS", "assets"),
        ]);
        let own = machine.file("own/my-etcd", "");
        machine.file("assets/etcd", "");
        let apiserver = machine.file("assets/kube-apiserver", "");
        assert_eq!(machine.find("etcd").unwrap(), Some(own));
        assert_eq!(machine.find("kube-apiserver").unwrap(), Some(apiserver));
        assert_eq!(machine.find("kube-controller-manager").unwrap(), None);
    }

    #[test]
    fn a_variable_that_names_nothing_is_an_error() {
        let machine = Machine::new(&[("TEST_ASSET_ETCD", "missing")]);
        let error = machine.find("etcd").unwrap_err().to_string();
        assert!(
            error.contains("TEST_ASSET_ETCD") && error.contains("missing"),
            "{error}"
        );
    }

    #[test]
    fn only_kubectl_is_taken_from_the_path() {
        let machine = Machine::new(&[("PATH", "usr/bin")]);
        let kubectl = machine.file("usr/bin/kubectl", "");
        machine.file("usr/bin/etcd", "");
        assert_eq!(machine.find("kubectl").unwrap(), Some(kubectl));
        assert_eq!(machine.find("etcd").unwrap(), None);
    }

    #[test]
    fn a_built_program_counts_until_the_pinned_versions_change() {
        let machine = Machine::new(&[]);
        let built = machine.file("built/etcd", "");
        assert_eq!(
            machine.find("etcd").unwrap(),
            None,
            "without a stamp it may be half written or old"
        );
        let etcd = TOOLS.iter().find(|tool| tool.name == "etcd").unwrap();
        build::write_stamp(etcd, &machine.search).unwrap();
        assert_eq!(machine.find("etcd").unwrap(), Some(built));
        machine.file("module/go.sum", "another version");
        assert_eq!(machine.find("etcd").unwrap(), None);
    }

    #[test]
    fn our_own_helpers_depend_on_their_sources_only() {
        let machine = Machine::new(&[]);
        machine.file("module/cmd/supervise/main.go", "package main");
        let built = machine.file("built/supervise", "");
        let supervise = TOOLS.iter().find(|tool| tool.name == "supervise").unwrap();
        build::write_stamp(supervise, &machine.search).unwrap();
        machine.file("module/go.sum", "another version");
        assert_eq!(machine.find("supervise").unwrap(), Some(built));
        machine.file("module/cmd/supervise/main.go", "package main // changed");
        assert_eq!(machine.find("supervise").unwrap(), None);
    }
}
