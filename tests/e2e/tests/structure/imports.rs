// SPDX-License-Identifier: Apache-2.0
//! Which file of a crate uses which, by its `use` lines and the paths in its code. What a file re-exports is what it is
//! made of elsewhere: who names it through the re-export uses the file that defines it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::tokens::{self, Token};

type ModulePath = Vec<String>;

/// A file of a crate.
struct Module {
    file: PathBuf,
    tokens: Vec<Token>,
    /// Each name that its `use` lines bring in, with the path that it means.
    imported: HashMap<String, ModulePath>,
    /// The paths that it uses.
    used: Vec<ModulePath>,
}

/// Each file below a crate's `src`, with the files that it uses.
pub(crate) fn graph(source: &Path) -> Result<BTreeMap<PathBuf, BTreeSet<PathBuf>>> {
    let mut modules = HashMap::new();
    read(source, &[], &mut modules)?;
    let paths: BTreeSet<ModulePath> = modules.keys().cloned().collect();
    for (path, module) in &mut modules {
        let mut at = 0;
        while at < module.tokens.len() {
            at = statement(path, &paths, module, at);
        }
    }
    let edges = modules.iter().map(|(from, module)| {
        let files = module.used.iter().filter_map(|path| defining(path.clone(), &modules));
        let others = files.filter(|to| to != from).map(|to| modules[&to].file.clone());
        (module.file.clone(), others.collect())
    });
    Ok(edges.collect())
}

/// Reads the modules of a folder; files of tests and programs are none.
fn read(folder: &Path, path: &[String], modules: &mut HashMap<ModulePath, Module>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let file = entry?.path();
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let below = || [path, std::slice::from_ref(&name)].concat();
        if name == "tests" || name == "main" {
            continue;
        }
        if file.is_dir() {
            read(&file, &below(), modules)?;
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            let path = if name == "mod" || name == "lib" { path.to_vec() } else { below() };
            let tokens = tokens::of(&fs::read_to_string(&file)?);
            modules.insert(path, Module { file, tokens, imported: HashMap::new(), used: Vec::new() });
        }
    }
    Ok(())
}

/// Reads the `use` line or the path that begins at a token, if one does, and gives where to go on.
fn statement(of: &[String], paths: &BTreeSet<ModulePath>, module: &mut Module, at: usize) -> usize {
    let after_separator =
        at.checked_sub(1).is_some_and(|before| module.tokens[before] == Token::PathSeparator);
    match &module.tokens[at] {
        Token::Name(name) if name == "use" => {
            let is_re_export =
                at > 0 && (module.tokens[at - 1].is("pub") || module.tokens[at - 1] == Token::Other(')'));
            let mut leaves = Vec::new();
            let end = tree(&module.tokens, at + 1, &mut Vec::new(), &mut leaves);
            for (name, written) in leaves {
                let Some(path) = absolute(of, paths, &written) else { continue };
                module.imported.insert(name, path.clone());
                if !is_re_export {
                    module.used.push(path);
                }
            }
            end
        }
        Token::Name(_) if !after_separator => {
            let mut written = Vec::new();
            let mut end = at;
            while let Some(Token::Name(name)) = module.tokens.get(end) {
                written.push(name.clone());
                end += 1;
                if module.tokens.get(end) != Some(&Token::PathSeparator) {
                    break;
                }
                end += 1;
            }
            if written.len() > 1 {
                module.used.extend(absolute(of, paths, &written));
            }
            end.max(at + 1)
        }
        _ => at + 1,
    }
}

/// Reads a use tree: the paths of its leaves, each with the name that it is known by then.
fn tree(
    tokens: &[Token],
    mut at: usize,
    prefix: &mut ModulePath,
    leaves: &mut Vec<(String, ModulePath)>,
) -> usize {
    let depth = prefix.len();
    loop {
        match tokens.get(at) {
            Some(Token::Name(name)) if name == "as" => {
                if let (Some(Token::Name(name)), Some((known, _))) = (tokens.get(at + 1), leaves.last_mut()) {
                    known.clone_from(name);
                }
                at += 2;
            }
            Some(Token::Name(name)) => {
                let is_leaf = tokens.get(at + 1) != Some(&Token::PathSeparator);
                if !(is_leaf && name == "self") {
                    prefix.push(name.clone());
                }
                if is_leaf {
                    leaves.push((prefix.last().cloned().unwrap_or_default(), prefix.clone()));
                }
                at += 1;
            }
            Some(Token::Other('*')) => {
                leaves.push(("*".to_owned(), prefix.clone()));
                at += 1;
            }
            Some(Token::Other('{')) => at = tree(tokens, at + 1, prefix, leaves),
            Some(Token::Other(',')) => {
                prefix.truncate(depth);
                at += 1;
            }
            Some(Token::PathSeparator) => at += 1,
            // The end of the group, or of the line.
            _ => {
                prefix.truncate(depth);
                return at + 1;
            }
        }
    }
}

/// The path from the crate's root; none if it is of another crate, or no path of a module.
fn absolute(of: &[String], paths: &BTreeSet<ModulePath>, written: &[String]) -> Option<ModulePath> {
    let (mut base, mut rest) = match written.first()?.as_str() {
        "crate" => (Vec::new(), &written[1..]),
        "self" => (of.to_vec(), &written[1..]),
        "super" => (of.to_vec(), written),
        first => {
            let child = [of, &[first.to_owned()]].concat();
            return paths.contains(&child).then(|| [of, written].concat());
        }
    };
    while rest.first().is_some_and(|name| name == "super") {
        base.pop();
        rest = &rest[1..];
    }
    Some([&base, rest].concat())
}

/// The module that defines what a path names, through re-exports.
fn defining(mut path: ModulePath, modules: &HashMap<ModulePath, Module>) -> Option<ModulePath> {
    // As many steps as any sane chain of re-exports.
    for _ in 0..8 {
        let length = (0..=path.len()).rev().find(|length| modules.contains_key(&path[..*length]))?;
        let module = path[..length].to_vec();
        let meant = path.get(length).and_then(|name| modules[&module].imported.get(name));
        match meant {
            Some(meant) => path = [meant, &path[length + 1..]].concat(),
            None => return Some(module),
        }
    }
    None
}
