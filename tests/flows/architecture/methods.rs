//! Which file calls a method that another file implements. The methods of one type may stand in several files: whoever
//! calls one of them needs the file where it stands, and no `use` says so.
//!
//! Known by the text: `self.method(…)` and `Self::method(…)` inside of an `impl`, `Type::method(…)`, and `value.method(…)`
//! where only one type of the crate has a method of this name and the file names that type.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::{Files, Module, block, is_word, parts, resolve, words};

/// A type: the module that defines it, and its name.
type Type = (Module, String);

/// By type and method, the files that implement it.
type Methods = BTreeMap<Type, BTreeMap<String, BTreeSet<String>>>;

/// One `impl` and what stands in it.
struct Impl<'a> {
    of: Type,
    is_of_trait: bool,
    body: &'a str,
}

/// Each call across files: who, whom, and as what.
pub fn calls(files: &Files) -> Vec<(String, String, String)> {
    let impls: Vec<(&Module, Vec<Impl<'_>>)> = files
        .iter()
        .map(|(module, file)| (module, impls(files, module, &file.code)))
        .collect();
    let methods = methods(files, &impls);
    let mut calls = Vec::new();
    for (module, impls) in &impls {
        let file = &files[*module];
        let mut found = BTreeSet::new();
        for one in impls {
            for receiver in ["self", "Self"] {
                let called = called(one.body, receiver).map(|method| (one.of.clone(), method));
                found.extend(called);
            }
        }
        found.extend(by_type(files, module, &file.code));
        found.extend(by_name(files, module, &methods, &file.code));
        for (of, method) in found {
            let places = methods.get(&of).and_then(|methods| methods.get(&method));
            let Some(places) = places.filter(|places| places.len() == 1) else {
                continue;
            };
            let others = places.iter().filter(|place| **place != file.name);
            calls.extend(others.map(|place| {
                let call = format!("{}::{method}()", of.1);
                (file.name.clone(), place.clone(), call)
            }));
        }
    }
    calls
}

fn methods(files: &Files, impls: &[(&Module, Vec<Impl<'_>>)]) -> Methods {
    let mut methods = Methods::new();
    for (module, impls) in impls {
        for one in impls.iter().filter(|one| !one.is_of_trait) {
            for name in functions(one.body) {
                let places = methods
                    .entry(one.of.clone())
                    .or_default()
                    .entry(name)
                    .or_default();
                places.insert(files[*module].name.clone());
            }
        }
    }
    methods
}

/// The `impl` blocks of a file.
fn impls<'a>(files: &Files, module: &Module, code: &'a str) -> Vec<Impl<'a>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("impl") {
        let starts_line = code[..at]
            .rsplit('\n')
            .next()
            .is_some_and(|before| before.trim().is_empty());
        let header = &code[at + "impl".len()..];
        if !starts_line || header.starts_with(is_word) {
            continue;
        }
        let Some(open) = header.find('{') else { continue };
        let body = &header[open..open + block(&header[open..])];
        let header = without_generics(&header[..open]);
        let header = header.split(" where ").next().unwrap_or_default();
        let (is_of_trait, name) = match header.split_once(" for ") {
            Some((_, name)) => (true, name),
            None => (false, header),
        };
        let path = parts(name.trim());
        let Some(last) = path.last() else { continue };
        let defined = resolve(files, module, &path, 0).unwrap_or_else(|| module.clone());
        found.push(Impl {
            of: (defined, last.clone()),
            is_of_trait,
            body,
        });
    }
    found
}

/// `<'a> Reconcile<'a>` is `Reconcile`.
fn without_generics(header: &str) -> String {
    let mut depth = 0_usize;
    let mut kept = String::new();
    let mut before = ' ';
    for c in header.chars() {
        match c {
            '<' => depth += 1,
            // Not the arrow of a function.
            '>' if before != '-' => depth = depth.saturating_sub(1),
            c if depth == 0 => kept.push(if c.is_whitespace() { ' ' } else { c }),
            _ => {}
        }
        before = c;
    }
    kept
}

/// The functions that stand in a block, and not deeper.
fn functions(body: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0_i32;
    for (at, c) in body.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            'f' if depth == 1 && body[at..].starts_with("fn ") && !body[..at].ends_with(is_word) => {
                let name: String = body[at + 3..].chars().take_while(|c| is_word(*c)).collect();
                names.push(name);
            }
            _ => {}
        }
    }
    names
}

/// The methods that are called on `receiver`, which may stand in another line than they.
fn called<'a>(body: &'a str, receiver: &'a str) -> impl Iterator<Item = String> + 'a {
    body.match_indices(receiver).filter_map(move |(at, _)| {
        let (before, after) = (&body[..at], &body[at + receiver.len()..]);
        if before.ends_with(is_word) || before.ends_with('.') {
            return None;
        }
        let after = after.trim_start();
        let after = after.strip_prefix("::").or_else(|| after.strip_prefix('.'))?;
        name_of_call(after)
    })
}

/// The name with which `text` starts, when it is called.
fn name_of_call(text: &str) -> Option<String> {
    let name: String = text.trim_start().chars().take_while(|c| is_word(*c)).collect();
    let rest = text.trim_start().strip_prefix(name.as_str())?;
    let is_called = !name.is_empty() && (rest.starts_with('(') || rest.starts_with("::<"));
    is_called.then_some(name)
}

/// `Type::method`, called or passed on.
fn by_type(files: &Files, module: &Module, code: &str) -> Vec<(Type, String)> {
    let runs = code
        .split(|c| !is_word(c) && c != ':')
        .filter(|run| run.contains("::"));
    let mut found = Vec::new();
    for path in runs.map(parts) {
        let [.., name, method] = path.as_slice() else {
            continue;
        };
        if !name.starts_with(char::is_uppercase) || name == "Self" || method.starts_with(char::is_uppercase) {
            continue;
        }
        let defined = resolve(files, module, &path[..path.len() - 1], 0);
        found.push((
            (defined.unwrap_or_else(|| module.clone()), name.clone()),
            method.clone(),
        ));
    }
    found
}

/// `value.method(…)`, where one type alone has such a method and the file names that type.
fn by_name(files: &Files, module: &Module, methods: &Methods, code: &str) -> Vec<(Type, String)> {
    let named: BTreeSet<&str> = words(code).collect();
    let is_named = |(defined, name): &Type| {
        let path = [name.clone()];
        named.contains(name.as_str()) && resolve(files, module, &path, 0).as_ref() == Some(defined)
    };
    let mut found = Vec::new();
    for (at, _) in code.match_indices('.') {
        let Some(method) = name_of_call(&code[at + 1..]) else {
            continue;
        };
        let mut types = methods
            .iter()
            .filter(|(_, methods)| methods.contains_key(&method));
        if let (Some((of, _)), None) = (types.next(), types.next())
            && is_named(of)
        {
            found.push((of.clone(), method));
        }
    }
    found
}
