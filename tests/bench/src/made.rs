// SPDX-License-Identifier: Apache-2.0
//! On what the figures were made, and when. No name of the machine is in it.

use std::{env::consts, fmt, fs, thread};

use chrono::{NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// A machine, what the programs were built with, and the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) cpu: String,
    /// How many of its cores this process may use.
    pub(crate) cores: usize,
    /// Memory, where the system says how much.
    pub(crate) memory_gib: Option<u64>,
    pub(crate) system: String,
    pub(crate) rust: String,
    pub(crate) profile: String,
    pub(crate) date: NaiveDate,
}

impl Made {
    pub(crate) fn here() -> Self {
        // None of these files is there on macOS.
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self {
            cpu: after(&read("/proc/cpuinfo"), "model name").unwrap_or(consts::ARCH).to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_gib: after(&read("/proc/meminfo"), "MemTotal").and_then(gib),
            system: system(consts::OS, &read("/proc/sys/kernel/osrelease")),
            rust: env!("BENCH_RUSTC").to_owned(),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
            date: Utc::now().date_naive(),
        }
    }
}

impl fmt::Display for Made {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory_gib, system, rust, profile, date } = self;
        let memory = memory_gib.map(|gib| format!("{gib} GiB, ")).unwrap_or_default();
        write!(formatter, "{cpu}, {cores} cores, {memory}{system}; {rust}, {profile} build; {date}")
    }
}

/// The first value of a name in lines of `name: value`.
fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

/// `16323888 kB`, to the nearest GiB.
fn gib(memory: &str) -> Option<u64> {
    let kib: u64 = memory.strip_suffix("kB")?.trim().parse().ok()?;
    Some((kib + (1 << 19)) >> 20)
}

/// The system's name and the numbers of its kernel; what a distributor adds to them may be a name of its own.
fn system(name: &str, kernel: &str) -> String {
    let numbers =
        kernel.trim().split(|it: char| !it.is_ascii_digit() && it != '.').next().unwrap_or_default();
    format!("{} {numbers}", name.replace("linux", "Linux").replace("macos", "macOS")).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_read_off_the_systems_files() {
        let cpuinfo =
            "processor\t: 0\nmodel name\t: Some(R) CPU @ 2.00GHz\n\nprocessor\t: 1\nmodel name\t: Other\n";
        assert_eq!(after(cpuinfo, "model name"), Some("Some(R) CPU @ 2.00GHz"));
        assert_eq!(after("", "model name"), None);
        assert_eq!(after("MemTotal:       16323888 kB\n", "MemTotal").and_then(gib), Some(16));
        assert_eq!(system("linux", "6.18.44-somebody-7\n"), "Linux 6.18.44");
        assert_eq!(system("macos", ""), "macOS");
    }

    #[test]
    fn it_fits_into_a_line() {
        let made = Made::here();
        assert!(made.cores > 0 && made.rust.starts_with("rustc "), "{made:?}");
        assert!(!made.to_string().contains('\n'), "{made}");
    }
}
