// SPDX-License-Identifier: Apache-2.0
//! Embeds every file of `datasets/`, so that a dataset is one file and no line of code.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../datasets").canonicalize()?;
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut code = String::from("const FILES: &[(&str, &str)] = &[\n");
    for path in paths {
        // As texts, since it is the text of a program that they become.
        let (name, path) = (path.file_stem().unwrap_or_default().to_string_lossy(), path.to_string_lossy());
        code.push_str(&format!("    ({name:?}, include_str!({path:?})),\n"));
    }
    code.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("datasets.rs"), code)?;
    Ok(())
}
