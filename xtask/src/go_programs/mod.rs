//! Go programs that tests and developer commands need: found where people have them, else built once into the target
//! folder from a module under `tests/` that pins their versions.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Result, ensure};

use crate::workspace;

mod build;

/// When it is set, tests that need such programs fail without them instead of being skipped.
pub const REQUIRED_VARIABLE: &str = "SMO_REQUIRE_CONTROL_PLANE";

/// One program: how it is called, which variable may name it, and what it is built from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    pub name: &'static str,
    /// The variable that names the program itself, as in controller-runtime's envtest.
    pub variable: Option<&'static str>,
    /// The Go package, as seen from its module.
    pub package: &'static str,
    /// Build tags, separated by commas.
    pub tags: Option<&'static str>,
    /// Whether one on the PATH is as good.
    pub on_path: bool,
    /// Whether it needs nothing but Go's own library, so that the pinned versions are no reason to build it again.
    pub standalone: bool,
}

impl Tool {
    pub const fn new(name: &'static str, variable: Option<&'static str>, package: &'static str) -> Self {
        Self {
            name,
            variable,
            package,
            tags: None,
            on_path: false,
            standalone: false,
        }
    }

    /// How to do without a build, for error messages.
    fn alternative(&self) -> String {
        self.variable.map_or_else(String::new, |variable| {
            format!(" or let {variable} name the program")
        })
    }
}

/// For tests: what was found, or `None`, reported once on standard error as `skipped`; an error instead where
/// [`REQUIRED_VARIABLE`] says that nothing may be skipped.
pub(crate) fn for_tests<T>(found: Option<T>, skipped: &'static str) -> Result<Option<T>> {
    static REPORTED: Mutex<Vec<&str>> = Mutex::new(Vec::new());
    if found.is_none() {
        let required = std::env::var_os(REQUIRED_VARIABLE).is_some_and(|value| !value.is_empty());
        ensure!(!required, "{REQUIRED_VARIABLE} is set, and yet: {skipped}");
        // Whoever panicked while reporting has reported.
        if let Ok(mut reported) = REPORTED.lock()
            && !reported.contains(&skipped)
        {
            reported.push(skipped);
            // Not through print macros: what they print is hidden while tests pass.
            drop(writeln!(std::io::stderr(), "{skipped}"));
        }
    }
    Ok(found)
}

/// Those of `tools` that the go.mod of `module` does not list as tools: their versions would be anybody's.
#[cfg(test)]
pub(crate) fn unpinned(tools: &[Tool], module: &str) -> Vec<&'static str> {
    let path = workspace::root().join("tests").join(module).join("go.mod");
    let go_mod = std::fs::read_to_string(path).unwrap_or_default();
    let pinned = |tool: &&Tool| go_mod.lines().any(|line| line.trim() == tool.package);
    let foreign = tools.iter().filter(|tool| !tool.package.starts_with("./"));
    foreign
        .filter(|tool| !pinned(tool))
        .map(|tool| tool.name)
        .collect()
}

/// The value of a variable, when it is set and not empty.
type Environment = Box<dyn Fn(&str) -> Option<OsString>>;

/// The places to search.
pub(crate) struct Search {
    environment: Environment,
    /// The Go module with the pinned versions.
    module: PathBuf,
    /// The folder with what we built.
    built: PathBuf,
}

impl Search {
    /// For the programs of the module `tests/<module>`.
    pub fn new(module: &str) -> Result<Self> {
        Ok(Self {
            environment: Box::new(|name| std::env::var_os(name).filter(|value| !value.is_empty())),
            module: workspace::root().join("tests").join(module),
            built: workspace::target_directory()?.join(module).join("bin"),
        })
    }

    /// Builds those of `tools` that are not found, which takes minutes the first time and needs Go.
    pub fn build_missing(&self, tools: &[Tool], progress: &mut dyn FnMut(&str)) -> Result<()> {
        build::missing(tools, self, progress)
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

    const TOOLS: [Tool; 4] = [
        Tool {
            standalone: true,
            ..Tool::new("supervise", None, "./cmd/supervise")
        },
        Tool::new("etcd", Some("TEST_ASSET_ETCD"), "go.etcd.io/etcd/server/v3"),
        Tool::new(
            "kube-apiserver",
            Some("TEST_ASSET_KUBE_APISERVER"),
            "k8s.io/kubernetes/cmd/kube-apiserver",
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

    fn tool(name: &str) -> Tool {
        *TOOLS.iter().find(|tool| tool.name == name).unwrap()
    }

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
            self.search.find(&tool(name))
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
        assert_eq!(machine.find("kubectl").unwrap(), None);
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
    fn only_what_may_be_is_taken_from_the_path() {
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
        build::write_stamp(&tool("etcd"), &machine.search).unwrap();
        assert_eq!(machine.find("etcd").unwrap(), Some(built));
        machine.file("module/go.sum", "another version");
        assert_eq!(machine.find("etcd").unwrap(), None);
    }

    #[test]
    fn helpers_of_our_own_depend_on_their_sources_and_on_libraries_only_if_they_have_any() {
        let machine = Machine::new(&[]);
        machine.file("module/cmd/supervise/main.go", "package main");
        let built = machine.file("built/supervise", "");
        let supervise = tool("supervise");
        let with_libraries = Tool {
            standalone: false,
            ..supervise
        };
        build::write_stamp(&with_libraries, &machine.search).unwrap();
        assert_eq!(machine.search.find(&with_libraries).unwrap(), Some(built.clone()));
        machine.file("module/go.sum", "another version");
        assert_eq!(machine.search.find(&with_libraries).unwrap(), None);

        build::write_stamp(&supervise, &machine.search).unwrap();
        machine.file("module/go.sum", "yet another version");
        assert_eq!(machine.find("supervise").unwrap(), Some(built));
        machine.file("module/cmd/supervise/main.go", "package main // changed");
        assert_eq!(machine.find("supervise").unwrap(), None);
    }
}
