//! What the source tree promises: direction of modules, size and names of files, what the top level holds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A module may use only modules of lower rank, and itself.
const ORDER: [&str; 17] = [
    "error",
    "random",
    "observe",
    "registry",
    "store",
    "sequence",
    "data",
    "nn",
    "diffusion",
    "reward",
    "oracle",
    "finetune",
    "inference",
    "eval",
    "baseline",
    "campaign",
    "cli",
];

/// Pairs that the order alone would allow.
const FORBIDDEN: [(&str, &str); 1] = [("finetune", "oracle")];

/// What only the command line may see.
const COMMAND_LINE_ONLY: [&str; 7] =
    ["clap::", "indicatif::", "anyhow::", "ctrlc::", "directories::", "env::var", "SystemTime"];

const TOP_LEVEL: [&str; 8] = ["Cargo.toml", "Cargo.lock", "README.md", "src", "models", "data", "tests", "examples"];

const BANNED_NAMES: [&str; 8] = ["mod", "util", "utils", "common", "helper", "helpers", "base", "misc"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
}

fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    let name = |path: &Path| path.strip_prefix(root().join("src")).unwrap().to_str().unwrap().replace('\\', "/");
    files.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The top module that a file belongs to, by its path below `src`.
fn module(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

/// Code without comments; paths in documentation are free.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The modules named right after `crate::` in some code, also in groups.
fn used(code: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with('$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let names = match rest.strip_prefix('{') {
            Some(group) => top_names(group),
            None => vec![rest],
        };
        for name in names {
            let end = name.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(name.len());
            found.insert(&name[..end]);
        }
    }
    found
}

/// The items of `a, b::{c, d}, e}` at its own depth.
fn top_names(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut names) = (0_i32, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(group[start..at].trim());
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(group[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    names
}

fn may_use(user: &str, used: &str) -> bool {
    let rank = |name| ORDER.iter().position(|module| *module == name);
    match (rank(user), rank(used)) {
        (Some(above), Some(below)) => above >= below && !FORBIDDEN.contains(&(user, used)),
        // what is not a module is an item that the crate's root re-exports
        _ => true,
    }
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let user = module(&file);
        assert!(ORDER.contains(&user) || ["lib", "main", "doc"].contains(&user), "`{file}` has no place in the order");
        for name in used(&code(&text)) {
            if ORDER.contains(&user) && !may_use(user, name) {
                wrong.push(format!("{file} uses crate::{name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_the_command_line_sees_arguments_environment_and_clock() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        if ["cli", "main"].contains(&module(&file)) || file.ends_with("tests.rs") {
            continue;
        }
        let code = code(text.split("#[cfg(test)]").next().unwrap());
        wrong.extend(
            COMMAND_LINE_ONLY.iter().filter(|name| code.contains(**name)).map(|name| format!("{file}: {name}")),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_are_short_and_named_for_what_they_hold() {
    let mut wrong = Vec::new();
    for (folder, most) in [("src", 450), ("examples", 80), ("tests", usize::MAX)] {
        let mut files = Vec::new();
        rust_files(&root().join(folder), &mut files);
        for path in files {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            let path = path.strip_prefix(root()).unwrap();
            if lines > most {
                wrong.push(format!("{}: {lines} lines; {most} at most", path.display()));
            }
            for part in path.iter().map(|part| part.to_str().unwrap().trim_end_matches(".rs")) {
                if BANNED_NAMES.contains(&part) {
                    wrong.push(format!("{}: `{part}` does not say what it holds", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_top_level_holds_what_was_agreed() {
    // what git ignores, such as the build and the demo's results, is not part of the tree
    let ignored = fs::read_to_string(root().join(".gitignore")).unwrap();
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = ignored.lines().any(|line| line == format!("/{name}"))
            || name.starts_with('.')
            || name.starts_with("LICENSE");
        assert!(known || TOP_LEVEL.contains(&name.as_str()), "`{name}` has no place at the top level");
    }
}

#[test]
fn the_scan_sees_what_it_looks_for() {
    let text = "use crate::nn::{Mlp, Pool};\nuse crate::{eval::exact, oracle};\n// crate::cli\n$crate::registry!()\n";
    assert_eq!(used(&code(text)), BTreeSet::from(["nn", "eval", "oracle"]));
    assert!(may_use("finetune", "reward") && !may_use("finetune", "oracle"));
    assert!(!may_use("data", "nn") && may_use("cli", "eval") && may_use("nn", "Error"));
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let page = fs::read_to_string(root().join("src/doc/decisions/dependencies.md")).unwrap();
    let reasons = page.split("## Not used").next().unwrap();
    let names = ["dependencies", "dev-dependencies"].map(|table| manifest[table].as_table().unwrap().keys());
    for name in names.into_iter().flatten() {
        assert!(reasons.contains(&format!("`{name}`")), "`{name}` has no line in the decisions about dependencies");
    }
}
