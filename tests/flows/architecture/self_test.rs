//! The test of the test: what it is to catch, in crates of a few lines.

use super::imports::{Imports, Texts};
use super::upwards;

fn of(files: &[(&str, &str)]) -> Imports {
    let texts: Texts = files
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    Imports::among(&texts)
}

fn circle(files: &[(&str, &str)]) -> Vec<String> {
    let imports = of(files);
    assert_eq!(imports.unresolved, Vec::<String>::new());
    let circle = imports.circle().unwrap_or_default();
    circle.lines().map(str::to_owned).collect()
}

#[test]
fn files_that_import_each_other_are_a_circle() {
    let found = circle(&[
        ("lib.rs", "mod low;\nmod high;\n"),
        ("low.rs", "use crate::high::High;\npub struct Low(High);\n"),
        ("high.rs", "pub struct High(super::low::Low);\n"),
    ]);
    assert_eq!(
        found,
        [
            "high.rs imports low.rs as super::low::Low",
            "low.rs imports high.rs as crate::high::High",
        ]
    );
}

#[test]
fn a_name_that_is_only_passed_on_leads_to_its_file() {
    let found = circle(&[
        ("lib.rs", "mod room;\n"),
        ("room/mod.rs", "mod one;\nmod two;\npub use one::One;\n"),
        ("room/one.rs", "use super::two::Two;\npub struct One(Two);\n"),
        ("room/two.rs", "use super::One;\npub struct Two(One);\n"),
    ]);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn methods_of_one_type_in_files_that_call_each_other_are_a_circle() {
    let task = "pub struct Task<'a>(&'a str);\n";
    let found = circle(&[
        ("lib.rs", "mod task;\nmod begin;\nmod end;\n"),
        ("task.rs", task),
        (
            "begin.rs",
            "use crate::task::Task;\nimpl<'a> Task<'a> {\n    pub fn begin(&self) {\n        self\n            .end();\n    }\n}\n",
        ),
        (
            "end.rs",
            "use super::task::Task;\nimpl Task<'_> {\n    pub async fn end(&self) {\n        if true { Self::begin(self) }\n    }\n}\n",
        ),
    ]);
    assert_eq!(
        found,
        [
            "begin.rs imports end.rs as Task::end()",
            "end.rs imports begin.rs as Task::begin()",
        ]
    );
}

#[test]
fn methods_on_other_values_and_by_the_type_count_too() {
    let found = circle(&[
        ("lib.rs", "mod task;\nmod begin;\nmod end;\n"),
        ("task.rs", "pub struct Task;\n"),
        (
            "begin.rs",
            "use crate::task::Task;\nimpl Task {\n    pub fn begin(other: &Task) { other.finish(); }\n}\n",
        ),
        (
            "end.rs",
            "use crate::task::Task;\nimpl Task {\n    pub fn finish(&self) { Task::begin(self) }\n}\n",
        ),
    ]);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn what_tests_comments_and_strings_name_is_no_import() {
    let imports = of(&[
        ("lib.rs", "mod low;\nmod high;\n"),
        (
            "low.rs",
            "// crate::high::High\nconst A: &str = \"crate::high::High\";\n#[cfg(test)]\nmod tests {\n    use crate::high::High;\n}\n",
        ),
        ("high.rs", "pub struct High(crate::low::A);\n"),
    ]);
    assert_eq!(imports.circle(), None);
    assert_eq!(imports.all().count(), 1);
}

#[test]
fn an_import_from_above_is_found_however_it_is_written() {
    let files = |path: &str| {
        [
            ("lib.rs", "mod mail;\nmod plan;\n".to_owned()),
            ("mail/mod.rs", "mod address;\n".to_owned()),
            ("mail/address.rs", format!("pub struct Address({path});\n")),
            ("plan.rs", "pub struct Plan;\n".to_owned()),
        ]
    };
    for path in ["crate::plan::Plan", "super::super::plan::Plan"] {
        let files = files(path);
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let found = upwards(&of(&files), &[("mail", &[]), ("plan", &["mail"])]);
        assert_eq!(found, [format!("mail/address.rs imports plan as {path}")]);
        let allowed = upwards(&of(&files), &[("mail", &["plan"]), ("plan", &[])]);
        assert_eq!(allowed, Vec::<String>::new());
    }
}

#[test]
fn a_path_that_leads_nowhere_is_found() {
    for path in [
        "crate::missing::Name",
        "crate::low::Missing",
        "super::super::low::Low",
        "self::missing::Name",
    ] {
        let high = format!("pub fn high() {{ {path} }}\n");
        let imports = of(&[
            ("lib.rs", "mod low;\nmod high;\n"),
            ("low.rs", "pub struct Low;\n"),
            ("high.rs", &high),
        ]);
        assert_eq!(imports.unresolved, [format!("high.rs: {path}")]);
    }
}
