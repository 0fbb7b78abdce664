// SPDX-License-Identifier: Apache-2.0
//! The shape of the code: no circle of files in a crate, and no arrow between crates that is not meant.

mod imports;
mod tokens;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Which crates of ours each crate of the product may use.
const MAY_USE: [(&str, &[&str]); 7] = [
    ("crates/engine", &[]),
    ("crates/fleet", &["engine"]),
    ("crates/cli", &["engine", "fleet"]),
    ("crates/requests", &["cli", "engine", "fleet", "sinks"]),
    ("crates/sinks", &["fleet"]),
    ("producer", &["cli", "engine", "fleet", "requests", "sinks"]),
    ("worker", &["cli", "engine", "fleet", "requests", "sinks"]),
];

type Graph = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

/// The crates that there are.
fn crates() -> impl Iterator<Item = (PathBuf, &'static [&'static str])> {
    MAY_USE
        .into_iter()
        .map(|(folder, may)| (Path::new(ROOT).join(folder), may))
        .filter(|(folder, _)| folder.exists())
}

#[test]
fn no_files_of_a_crate_use_each_other_in_a_circle() -> Result<()> {
    let mut found = BTreeSet::new();
    for (folder, _) in crates() {
        let graph = imports::graph(&folder.join("src"))?;
        found.extend(circles(&graph).iter().map(|circle| shown(circle, Path::new(ROOT))));
    }
    assert!(found.is_empty(), "circles to open: {found:#?}");
    Ok(())
}

#[test]
fn no_crate_uses_another_but_those_it_may() -> Result<()> {
    let ours: BTreeSet<String> = manifest(Path::new(ROOT))?["workspace"]["dependencies"]
        .as_table()
        .context("a table")?
        .iter()
        .filter(|(_, how)| how.get("path").is_some())
        .map(|(name, _)| name.clone())
        .collect();
    for (folder, may) in crates() {
        for name in dependencies(&manifest(&folder)?) {
            let is_allowed = !ours.contains(&name) || may.contains(&&*name);
            assert!(is_allowed, "{} must not use {name}", folder.display());
        }
    }
    Ok(())
}

#[test]
fn every_file_of_code_names_its_licence() -> Result<()> {
    let listed =
        Command::new("git").args(["ls-files", "--", "*.rs", "*.tf", "*.sh"]).current_dir(ROOT).output()?;
    anyhow::ensure!(listed.status.success(), "git could not list the files: {listed:?}");
    let listed = String::from_utf8(listed.stdout)?;
    assert!(listed.lines().count() > 100, "{listed}");
    for file in listed.lines() {
        let text = fs::read_to_string(Path::new(ROOT).join(file))?;
        let is_named = text.lines().take(2).any(|line| line.ends_with("SPDX-License-Identifier: Apache-2.0"));
        assert!(is_named, "{file} does not begin with SPDX-License-Identifier: Apache-2.0");
    }
    Ok(())
}

fn manifest(folder: &Path) -> Result<toml::Table> {
    Ok(fs::read_to_string(folder.join("Cargo.toml"))?.parse()?)
}

/// The names of all dependencies, those of tests included. One by a path counts by its name too.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = tables.into_iter().filter_map(|table| manifest.get(table)?.as_table());
    tables.flat_map(|table| table.keys().cloned()).collect()
}

/// The shortest circle of each file that is in one, each circle once.
fn circles(graph: &Graph) -> BTreeSet<Vec<PathBuf>> {
    graph.keys().filter_map(|file| shortest_circle(graph, file)).collect()
}

/// The files of the shortest way from a file back to itself, beginning with the first by name.
fn shortest_circle(graph: &Graph, start: &PathBuf) -> Option<Vec<PathBuf>> {
    let mut came_from: BTreeMap<&PathBuf, &PathBuf> = BTreeMap::new();
    let mut level = vec![start];
    while !level.is_empty() && !came_from.contains_key(start) {
        let mut next = Vec::new();
        for file in level {
            for used in graph.get(file).into_iter().flatten() {
                if !came_from.contains_key(used) {
                    came_from.insert(used, file);
                    next.push(used);
                }
            }
        }
        level = next;
    }
    let mut circle = vec![start.clone()];
    let mut at = *came_from.get(start)?;
    while at != start {
        circle.push(at.clone());
        at = came_from[at];
    }
    circle.reverse();
    let first = circle.iter().enumerate().min_by_key(|(_, file)| *file)?.0;
    circle.rotate_left(first);
    Some(circle)
}

fn shown(circle: &[PathBuf], root: &Path) -> String {
    let name = |file: &PathBuf| file.strip_prefix(root).unwrap_or(file).display().to_string();
    let names: Vec<String> = circle.iter().chain(circle.first()).map(name).collect();
    names.join(" uses ")
}

/// The circles of a crate of these files.
#[cfg(test)]
fn planted(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().expect("it has one")).expect("made");
        fs::write(file, text).expect("written");
    }
    let graph = imports::graph(folder.path()).expect("read");
    circles(&graph).iter().map(|circle| shown(circle, folder.path())).collect()
}

#[test]
fn planted_circles_are_found() {
    let root = ("lib.rs", "mod a; mod b; mod c;");
    let two = [root, ("a.rs", "use crate::b::B;"), ("b.rs", "fn f() -> u8 { crate::a::g() }"), ("c.rs", "")];
    assert_eq!(planted(&two), ["a.rs uses b.rs uses a.rs"]);
    let three = [
        root,
        ("a.rs", "use crate::{b::{self, B as D}, c};"),
        ("b.rs", "use super::c::C;"),
        ("c.rs", "use crate::a::{A};"),
    ];
    assert_eq!(planted(&three), ["a.rs uses b.rs uses c.rs uses a.rs", "a.rs uses c.rs uses a.rs"]);
    let parent =
        [("lib.rs", "mod a;"), ("a.rs", "mod b;\nuse b::B;\npub struct A;"), ("a/b.rs", "use super::A;")];
    assert_eq!(planted(&parent), ["a/b.rs uses a.rs uses a/b.rs"]);
    let called =
        [("lib.rs", "mod a;"), ("a/mod.rs", "mod b; fn f() { b::g() }"), ("a/b.rs", "use super::*;")];
    assert_eq!(planted(&called), ["a/b.rs uses a/mod.rs uses a/b.rs"]);
    let re_exported =
        [("lib.rs", "mod a; mod b; pub use b::B;"), ("a.rs", "use crate::B;"), ("b.rs", "use crate::a::A;")];
    assert_eq!(planted(&re_exported), ["a.rs uses b.rs uses a.rs"]);
}

#[test]
fn what_is_no_circle_is_none() {
    let none: [&str; 0] = [];
    // A parent that declares and re-exports a child does not use it.
    let facade = [
        ("lib.rs", "mod a;"),
        ("a.rs", "mod b; pub use self::b::B; pub struct A;"),
        ("a/b.rs", "use super::A;"),
    ];
    assert_eq!(planted(&facade), none);
    let tests = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; // use crate::c\n"),
        ("b.rs", "#[cfg(test)] mod tests { use crate::a::A; }\n/// [`crate::a::A`]\npub struct B;"),
        ("b/tests.rs", "use crate::a::A;"),
    ];
    assert_eq!(planted(&tests), none);
}
