//! What people read leads somewhere, and workflows run what was reviewed.

use std::fs;
use std::path::{Path, PathBuf};

use xtask::workspace;

/// Every file below `folder` that git would have, with this ending.
fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && name != ".git" {
            files(&path, ending, found);
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn all(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&workspace::root().join(folder), ending, &mut found);
    assert!(!found.is_empty(), "no *{ending} in {folder}");
    found
}

/// A heading as GitHub makes an anchor of it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_between_documents_leads_to_a_file_and_a_heading() {
    for document in all("", ".md") {
        let text = fs::read_to_string(&document).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split_once(')').unwrap().0;
            if target.contains("://") {
                continue;
            }
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let place = document.parent().unwrap().join(path);
            let place = if path.is_empty() { document.clone() } else { place };
            assert!(place.exists(), "{}: {target}", document.display());
            if !heading.is_empty() {
                let text = fs::read_to_string(&place).unwrap();
                let mut headings = text.lines().filter(|line| line.starts_with('#'));
                assert!(
                    headings.any(|line| anchor(line) == heading),
                    "{}: {target}",
                    document.display()
                );
            }
        }
    }
}

/// Names of tests in a text: in backticks, and of four words at least.
fn tests_named_in(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_name = |word: &&str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        word.chars().all(plain) && word.matches('_').count() >= 3
    };
    quoted.filter(is_name).collect()
}

#[test]
fn every_threat_names_tests_that_exist() {
    let mut code = String::new();
    for folder in ["src", "tests", "simulator", "testkit"] {
        for file in all(folder, ".rs") {
            code += &fs::read_to_string(file).unwrap();
        }
    }
    let page = fs::read_to_string(workspace::root().join("docs/threat-model.md")).unwrap();
    let is_row = |line: &&str| line.starts_with("| ") && line[2..].starts_with(|c: char| c.is_ascii_digit());
    let mut rows = 0;
    for row in page.lines().filter(is_row) {
        let named = tests_named_in(row);
        assert!(!named.is_empty(), "nothing holds {row}");
        for name in named {
            assert!(code.contains(&format!("fn {name}(")), "there is no test {name}");
        }
        rows += 1;
    }
    assert!(rows > 15, "the table has another form now");
}

#[test]
fn every_action_in_a_workflow_is_pinned_by_commit_and_named_by_version() {
    let mut actions = 0;
    for workflow in all(".github/workflows", ".yaml") {
        let text = fs::read_to_string(&workflow).unwrap();
        for line in text
            .lines()
            .filter_map(|line| line.split_once("uses: "))
            .map(|(_, action)| action)
        {
            let (_, pin) = line.split_once('@').unwrap();
            let (commit, version) = pin.split_once(" # v").unwrap_or((pin, ""));
            let is_commit = commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
            assert!(
                is_commit && version.contains('.'),
                "{}: {line}",
                workflow.display()
            );
            actions += 1;
        }
        assert!(
            text.contains("\npermissions: {}\n"),
            "{}: rights by default",
            workflow.display()
        );
    }
    assert!(actions > 3, "{actions}");
}
