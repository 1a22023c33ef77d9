//! Which file imports which, read from the text of a source folder: `use` and written-out paths that start with
//! `crate`, `super`, `self` or a module that the file declares. A name that a `mod.rs` only passes on counts as
//! imported from the file that defines it. Code of tests is left out: it may name everything. Methods that one file calls
//! and another one implements are imports, too ([`methods`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::methods;

/// A file of the folder, with what matters here.
#[derive(Default)]
pub struct File {
    /// From the folder, as people read it.
    pub name: String,
    /// What it declares with `mod name;`.
    children: BTreeSet<String>,
    uses: Vec<Use>,
    /// The text without uses, comments, strings and tests.
    pub code: String,
}

/// One name brought in by a `use`.
struct Use {
    path: Vec<String>,
    /// `as name`, or the last part of the path; `*` for all.
    name: String,
    passes_on: bool,
}

/// The files of a crate, by their modules.
pub type Files = BTreeMap<Module, File>;

/// Texts by the names of their files.
pub type Texts = BTreeMap<String, String>;

/// Through so many files a name passes at most.
const DEEPEST: usize = 8;

/// A module's path from the root of the crate.
pub type Module = Vec<String>;

/// The imports of all files below a folder.
pub struct Imports {
    /// By file, what it imports, each with a path that says so.
    edges: BTreeMap<String, BTreeMap<String, String>>,
    /// Paths of the crate that lead nowhere that is known: who writes them, and what they say.
    pub unresolved: Vec<String>,
}

impl Imports {
    /// Of the crate whose `lib.rs` lies in `root`.
    pub fn of(root: &Path) -> Self {
        let mut texts = Texts::new();
        collect(root, root, &mut texts);
        Self::among(&texts)
    }

    /// Of the crate whose `lib.rs` is among these.
    pub fn among(texts: &Texts) -> Self {
        let mut files = Files::new();
        read(texts, Vec::new(), "lib.rs".into(), &mut files);
        let mut unresolved = Vec::new();
        let mut edges = BTreeMap::new();
        for (module, file) in &files {
            let mut found = BTreeMap::new();
            for path in file.paths() {
                let Some(target) = resolve(&files, module, &path, 0) else {
                    let is_ours = ["crate", "super", "self"].contains(&path[0].as_str());
                    unresolved.extend(is_ours.then(|| format!("{}: {}", file.name, path.join("::"))));
                    continue;
                };
                let target = files[&target].name.clone();
                if target != file.name {
                    found.entry(target).or_insert_with(|| path.join("::"));
                }
            }
            edges.insert(file.name.clone(), found);
        }
        for (from, to, call) in methods::calls(&files) {
            edges.entry(from).or_default().entry(to).or_insert(call);
        }
        Self { edges, unresolved }
    }

    pub fn files(&self) -> usize {
        self.edges.len()
    }

    /// Each import: who, whom, and the path that says so.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.edges.iter().flat_map(|(from, targets)| {
            targets
                .iter()
                .map(move |(to, path)| (from.as_str(), to.as_str(), path.as_str()))
        })
    }

    /// A circle of files, one import a line; None when there is none.
    pub fn circle(&self) -> Option<String> {
        let mut left: BTreeSet<&String> = self.edges.keys().collect();
        // Whoever imports nothing that is left is in no circle.
        loop {
            let leaves = |file: &&&String| !self.edges[**file].keys().any(|target| left.contains(target));
            let leaves: Vec<&String> = left.iter().filter(leaves).copied().collect();
            if leaves.is_empty() {
                break;
            }
            left.retain(|file| !leaves.contains(file));
        }
        // Everybody else leads into one.
        let mut walked: Vec<&String> = vec![left.first()?];
        loop {
            let next = self.edges[*walked.last()?]
                .keys()
                .find(|target| left.contains(target))?;
            if let Some(start) = walked.iter().position(|file| *file == next) {
                walked.drain(..start);
                break;
            }
            walked.push(next);
        }
        let successors = walked.iter().skip(1).chain(walked.first());
        let line =
            |(from, to): (&&String, &&String)| format!("{from} imports {to} as {}", self.edges[*from][*to]);
        Some(
            walked
                .iter()
                .zip(successors)
                .map(line)
                .collect::<Vec<_>>()
                .join("\n"),
        )
    }
}

fn collect(root: &Path, path: &Path, texts: &mut Texts) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            texts.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// Reads the file of a module and those of its children.
fn read(texts: &Texts, module: Module, name: String, files: &mut Files) {
    let mut file = parse(&texts[&name]);
    let folder = module.join("/");
    let places = |child: &String| {
        let place = [folder.as_str(), child]
            .map(|part| part.trim_matches('/'))
            .join("/");
        let place = place.trim_matches('/').to_owned();
        [format!("{place}.rs"), format!("{place}/mod.rs")]
    };
    for child in &file.children {
        let place = places(child).into_iter().find(|place| texts.contains_key(place));
        let place = place.unwrap_or_else(|| panic!("{name}: no file for its module {child}"));
        let child = module.iter().chain([child]).cloned().collect();
        read(texts, child, place, files);
    }
    file.name = name;
    files.insert(module, file);
}

impl File {
    /// Every path by which the file names something.
    fn paths(&self) -> Vec<Vec<String>> {
        let mut starts: BTreeSet<&str> = BTreeSet::from(["crate", "self", "super"]);
        starts.extend(self.children.iter().map(String::as_str));
        // `use crate::plan` and then `plan::standing` names what the module only passes on.
        starts.extend(self.uses.iter().map(|used| used.name.as_str()));
        let mut paths = Vec::new();
        for used in &self.uses {
            // What is only passed on is the business of whoever imports it from here.
            if !used.passes_on || words(&self.code).any(|word| word == used.name) {
                paths.push(used.path.clone());
            }
        }
        paths.extend(written_out(&self.code, &starts));
        paths
    }
}

/// The module that defines what `path`, written in `module`, names.
pub fn resolve(files: &Files, module: &Module, path: &[String], depth: usize) -> Option<Module> {
    let mut at = module.clone();
    let mut rest = path.iter().peekable();
    let first = rest.peek()?.as_str();
    match first {
        "crate" => at.clear(),
        "self" => {}
        "super" => drop(at.pop()?),
        child if files[module].children.contains(child) => at.push(child.to_owned()),
        name => {
            let used = files[module].uses.iter().find(|used| used.name == name)?;
            let whole: Vec<String> = used.path.iter().chain(&path[1..]).cloned().collect();
            return (depth < DEEPEST).then(|| resolve(files, module, &whole, depth + 1))?;
        }
    }
    rest.next();
    for part in rest {
        if part == "super" {
            at.pop()?;
            continue;
        }
        let file = &files[&at];
        if file.children.contains(part) {
            at.push(part.clone());
            continue;
        }
        // A name, perhaps one that only passes through here.
        let through = file
            .uses
            .iter()
            .filter(|used| used.name == *part || used.name == "*");
        let mut through = through.filter_map(|used| match (used.name.as_str(), depth < DEEPEST) {
            (_, false) => None,
            ("*", true) => {
                let path: Vec<String> = used.path.iter().chain([part]).cloned().collect();
                let found = resolve(files, &at, &path, depth + 1)?;
                words(&files[&found].code)
                    .any(|word| word == part)
                    .then_some(found)
            }
            (_, true) => resolve(files, &at, &used.path, depth + 1),
        });
        let is_here = || defines(&file.code, part).then(|| at.clone());
        return through.next().or_else(is_here);
    }
    Some(at)
}

/// Whether an item of this name stands in the code, or the first word that one of the file's own macros is given.
fn defines(code: &str, name: &str) -> bool {
    let items = [
        "fn",
        "struct",
        "enum",
        "const",
        "static",
        "type",
        "trait",
        "mod",
        "macro_rules",
    ];
    let mut before = "";
    let mut macros = Vec::new();
    for word in words(code) {
        if word == name && items.contains(&before) {
            return true;
        }
        if before == "macro_rules" {
            macros.push(word);
        }
        before = word;
    }
    macros.into_iter().any(|made_by| {
        let call = format!("\n{made_by}!(");
        let mut calls = code.split(call.as_str()).skip(1);
        calls.any(|given| words(given).next() == Some(name))
    })
}

/// The custom resources, which a derive makes: `kind = "SharedMailbox"`.
fn derived(text: &str) -> impl Iterator<Item = &str> {
    let kinds = text.split("kind = \"").skip(1);
    kinds.filter_map(|rest| rest.split('"').next())
}

fn parse(text: &str) -> File {
    let kinds: Vec<String> = derived(text).map(|kind| format!("\nstruct {kind};")).collect();
    let text = without_tests(&without_comments_and_strings(text));
    let mut file = File::default();
    let mut statements = Vec::new();
    let mut rest = text.as_str();
    while let Some((at, keyword)) = next_statement(rest) {
        file.code.push_str(&rest[..at]);
        let end = rest[at..].find(';').map_or(rest.len(), |end| at + end);
        statements.push((keyword, rest[at..end].to_owned()));
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    file.code.push_str(rest);
    file.code.push_str(&kinds.concat());
    // Who may see an item is no import.
    while let Some(start) = file.code.find("pub(in ") {
        let end = file.code[start..]
            .find(')')
            .map_or(file.code.len(), |end| start + end);
        file.code.replace_range(start..end, "");
    }
    for (keyword, statement) in statements {
        let (visibility, body) = statement.split_once(keyword).unwrap();
        let body: String = body.split_whitespace().collect::<Vec<_>>().join(" ");
        if keyword == "mod " {
            file.children.insert(body);
            continue;
        }
        let passes_on = visibility.contains("pub");
        for (path, name) in tree(&body) {
            file.uses.push(Use {
                path,
                name,
                passes_on,
            });
        }
    }
    file
}

/// Where the next `use …;` or `mod name;` starts, its visibility included, and which of the two it is.
fn next_statement(text: &str) -> Option<(usize, &'static str)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let mut item = trimmed;
        if let Some(after) = item.strip_prefix("pub") {
            item = after.trim_start();
            if item.starts_with('(') {
                item = item.split_once(')').map_or("", |(_, after)| after.trim_start());
            }
        }
        let start = at + line.len() - trimmed.len();
        if item.starts_with("use ") {
            return Some((start, "use "));
        }
        if item.starts_with("mod ") && item.trim_end().ends_with(';') {
            return Some((start, "mod "));
        }
        at += line.len();
    }
    None
}

/// The paths of a use tree, each with the name that it brings in.
fn tree(text: &str) -> Vec<(Vec<String>, String)> {
    let text = text.trim();
    if let Some((prefix, inner)) = text.split_once('{') {
        let prefix: Vec<String> = parts(prefix);
        let inner = inner.trim_end().strip_suffix('}').unwrap();
        let branches = split_at_commas(inner);
        let branches = branches.into_iter().flat_map(|branch| tree(&branch));
        return branches
            .map(|(path, name)| {
                let mut whole = prefix.clone();
                let is_self = path == ["self"];
                if !is_self {
                    whole.extend(path);
                }
                let name = if name == "self" {
                    whole.last().unwrap().clone()
                } else {
                    name
                };
                (whole, name)
            })
            .collect();
    }
    let (path, alias) = text
        .split_once(" as ")
        .map_or((text, None), |(path, alias)| (path, Some(alias)));
    let mut path = parts(path);
    let Some(last) = path.last().cloned() else {
        return Vec::new();
    };
    if last == "*" {
        path.pop();
    }
    vec![(path, alias.unwrap_or(&last).trim().to_owned())]
}

pub fn parts(path: &str) -> Vec<String> {
    let parts = path.split("::").map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

fn split_at_commas(text: &str) -> Vec<String> {
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match (c, depth) {
            (',', 0) => parts.push(String::new()),
            _ => parts.last_mut().unwrap().push(c),
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

pub fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

pub fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

/// Paths within code that start with one of these.
fn written_out(code: &str, starts: &BTreeSet<&str>) -> Vec<Vec<String>> {
    let runs = code.split(|c| !is_word(c) && c != ':');
    let paths = runs.filter(|run| run.contains("::")).map(parts);
    paths
        .filter(|path| path.first().is_some_and(|first| starts.contains(first.as_str())))
        .collect()
}

/// Everything but comments and what stands in quotes; lines stay lines.
fn without_comments_and_strings(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |end| end + 2)
        } else if c == '"' {
            string(rest)
        } else if rest.starts_with("'\\") {
            rest[3..].find('\'').map_or(rest.len(), |end| end + 4)
        } else if c == '\'' && rest.chars().nth(2) == Some('\'') {
            rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end + 1)
        } else {
            kept.push(c);
            c.len_utf8()
        };
        rest = &rest[skipped..];
    }
    kept
}

/// How long the string is with which `text` starts.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Without the items under `#[cfg(test)]`.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, item)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let end = match (item.find('{'), item.find(';')) {
            (Some(brace), semicolon) if semicolon.is_none_or(|semicolon| brace < semicolon) => {
                brace + block(&item[brace..])
            }
            (_, Some(semicolon)) => semicolon + 1,
            (_, None) => item.len(),
        };
        rest = &item[end..];
    }
    kept + rest
}

/// How long the block is with which `text` starts.
pub fn block(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}
