//! Imports go one way and without a circle, files included, so that a newcomer can read the crate from the bottom up.

mod imports;
mod methods;
mod self_test;

use std::fs;
use std::path::Path;

use imports::Imports;

/// What each module of the crate may name, below its own.
const MAY_IMPORT: [(&str, &[&str]); 16] = [
    ("words", &[]),
    ("rng", &[]),
    ("clock", &[]),
    ("lane", &[]),
    ("fair", &[]),
    ("leadership", &[]),
    ("mail", &[]),
    ("api", &["mail"]),
    ("rules", &["api", "mail", "words"]),
    ("ledger", &["api", "mail"]),
    ("setting", &["mail"]),
    ("plan", &["api", "ledger", "mail", "setting", "words"]),
    (
        "exchange",
        &["clock", "fair", "lane", "leadership", "mail", "rng", "setting"],
    ),
    ("doctor", &["clock", "exchange", "lane", "mail", "rng", "setting"]),
    (
        "controller",
        &[
            "api",
            "rng",
            "clock",
            "exchange",
            "fair",
            "lane",
            "leadership",
            "ledger",
            "mail",
            "plan",
            "rules",
            "setting",
            "words",
        ],
    ),
    (
        "runtime",
        &[
            "api",
            "rng",
            "clock",
            "controller",
            "doctor",
            "exchange",
            "lane",
            "leadership",
            "mail",
            "plan",
        ],
    ),
];

/// The same inside the controller: what is known, what every task shares, the work, and who hands it out.
const CONTROLLER_MAY_IMPORT: [(&str, &[&str]); 10] = [
    ("state", &[]),
    ("events", &[]),
    ("metrics", &["state"]),
    ("context", &["events", "metrics", "state"]),
    ("tenant", &["context", "events", "metrics", "state"]),
    ("reconcile", &["context", "events", "metrics", "state"]),
    ("beyond", &["context", "events", "state"]),
    ("unreadable", &["context", "state"]),
    ("watch", &["context", "state", "unreadable"]),
    (
        "worker",
        &[
            "beyond",
            "context",
            "events",
            "metrics",
            "reconcile",
            "state",
            "tenant",
            "unreadable",
            "watch",
        ],
    ),
];

fn sources(path: &Path, found: &mut Vec<(String, String)>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            sources(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push((path.display().to_string(), fs::read_to_string(path).unwrap()));
    }
}

/// The modules that `text` names as `crate::module`.
fn imports(text: &str) -> Vec<&str> {
    let starts = text.match_indices("crate::").map(|(at, found)| at + found.len());
    let name = |at: usize| {
        text[at..]
            .split(|c: char| !c.is_ascii_lowercase() && c != '_')
            .next()
            .unwrap_or("")
    };
    starts.map(name).filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_module_imports_only_what_lies_below_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (module, allowed) in MAY_IMPORT {
        let mut files = Vec::new();
        for place in [root.join(module), root.join(format!("{module}.rs"))] {
            if place.exists() {
                sources(&place, &mut files);
            }
        }
        assert!(!files.is_empty(), "{module} is gone: change the list");
        for (file, text) in files {
            for import in imports(&text) {
                if import != module && !allowed.contains(&import) {
                    wrong.push(format!("{file} imports {import}"));
                }
            }
        }
    }
    // What the text does not spell out: `super::super::…`, and names that another module passes on.
    let imports = Imports::of(&root);
    wrong.extend(upwards(&imports, &MAY_IMPORT));
    assert_eq!(wrong, Vec::<String>::new());
}

/// The module of the crate that a file belongs to; None for the files that only put the modules together.
fn module_of(file: &str) -> Option<&str> {
    let first = file.split(['/', '.']).next()?;
    (!["lib", "main"].contains(&first)).then_some(first)
}

/// Imports of a module from another one that is not below it.
fn upwards(imports: &Imports, may_import: &[(&str, &[&str])]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (file, target, path) in imports.all() {
        let (Some(module), Some(into)) = (module_of(file), module_of(target)) else {
            continue;
        };
        let allowed = may_import.iter().find(|(known, _)| *known == module);
        let is_allowed = allowed.is_some_and(|(_, below)| below.contains(&into));
        if into != module && !is_allowed {
            wrong.push(format!("{file} imports {into} as {path}"));
        }
    }
    wrong
}

/// The module of the controller that a file belongs to; None for the file that only declares them.
fn in_controller(file: &str) -> Option<&str> {
    let inside = file.strip_prefix("controller/")?;
    let first = inside.split(['/', '.']).next()?;
    (first != "mod").then_some(first)
}

#[test]
fn the_layers_of_the_controller_import_downwards() {
    let imports = Imports::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let mut wrong = Vec::new();
    for (file, target, path) in imports.all() {
        let (Some(module), true) = (in_controller(file), target.starts_with("controller/")) else {
            continue;
        };
        let allowed = CONTROLLER_MAY_IMPORT.iter().find(|(known, _)| *known == module);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{module} has no place in the list"));
        let target = in_controller(target).unwrap_or("mod.rs");
        if target != module && !allowed.contains(&target) {
            wrong.push(format!("{file} imports {path}"));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

fn assert_no_circle(root: &str) {
    let imports = Imports::of(&Path::new(env!("CARGO_MANIFEST_DIR")).join(root));
    let files = imports.files();
    assert!(files > 40, "{root} has {files} files: where are the others?");
    assert_eq!(
        imports.unresolved,
        Vec::<String>::new(),
        "{root}: nobody knows what these name"
    );
    if let Some(circle) = imports.circle() {
        panic!("files of {root} import each other in a circle:\n{circle}");
    }
}

#[test]
fn no_files_of_the_operator_import_each_other_in_a_circle() {
    assert_no_circle("src");
}

#[test]
fn the_list_knows_every_module() {
    let library = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let modules = library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    for module in modules {
        assert!(
            MAY_IMPORT.iter().any(|(known, _)| *known == module),
            "{module} has no place in the list"
        );
    }
}

#[test]
fn no_files_of_the_simulator_import_each_other_in_a_circle() {
    assert_no_circle("simulator/src");
}

#[test]
fn the_simulated_tenant_shares_no_code_with_the_operator() {
    let mut files = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("simulator"),
        &mut files,
    );
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("simulator/Cargo.toml");
    files.push((
        manifest.display().to_string(),
        fs::read_to_string(manifest).unwrap(),
    ));
    for (file, text) in files {
        assert!(
            !text.contains("shared_mailbox_operator") && !text.contains("path = \"..\""),
            "{file}"
        );
    }
}

/// A file that a person can't hold in mind has a reason at its head, or is two files.
#[test]
fn a_long_file_says_why_it_is_long() {
    const LONG: usize = 500;
    const REASON: &str = "//! Longer than others: ";
    let mut files = Vec::new();
    for root in ["src", "simulator", "testkit", "tests", "xtask"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(root), &mut files);
    }
    let says_why = |text: &str| {
        let mut head = text.lines().take_while(|line| line.starts_with("//!"));
        head.any(|line| line.starts_with(REASON))
    };
    let silent: Vec<&String> = files
        .iter()
        .filter(|(_, text)| text.lines().count() > LONG && !says_why(text))
        .map(|(file, _)| file)
        .collect();
    assert!(files.len() > 400, "{} files were found", files.len());
    assert!(
        silent.is_empty(),
        "over {LONG} lines, without a reason: {silent:?}"
    );
}
