// SPDX-License-Identifier: Apache-2.0
//! Tells the program with which compiler it is built: the figures are of it.

use std::{env, process::Command};

fn main() {
    let compiler = env::var_os("RUSTC").expect("cargo sets it");
    let said = Command::new(compiler).arg("--version").output().expect("the compiler runs").stdout;
    // `rustc 1.95.0 (hash, date)`: the number says all.
    let version = String::from_utf8_lossy(&said);
    let version = version.split(" (").next().unwrap_or_default().trim();
    println!("cargo::rerun-if-changed=build.rs\ncargo::rustc-env=BENCH_RUSTC={version}");
}
