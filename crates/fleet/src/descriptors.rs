// SPDX-License-Identifier: Apache-2.0
//! How many files and connections this process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// The limit that macOS applies even if it reports none.
///
/// Source: `OPEN_MAX` in <https://github.com/apple-oss-distributions/xnu/blob/main/bsd/sys/syslimits.h>
const MACOS_MOST: u64 = 10_240;

/// The number of hosts that may have idle connections at once: CloudWatch's in all regions, and some
/// others.
const HOSTS: usize = 40;

/// The descriptors reserved for everything except calls and idle connections: logs, DNS, signals, the
/// accounts file.
const OWN: usize = 32;

/// Raises this process's limit as far as it is allowed to. A shell's default of 256 or 1,024 is less
/// than accounts with many regions need, and then a lease renewal may get no connection.
pub fn raise_limit() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let most = if cfg!(target_os = "macos") { hard.min(MACOS_MOST) } else { hard };
    if soft < most
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, most, hard)
    {
        tracing::warn!("the limit of open files could not be raised from {soft} to {most}: {error}");
    }
}

/// How many files this process may have open.
#[must_use]
pub fn limit() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// How many calls for accounts may be in flight at once under this limit. Each needs a connection. Half
/// of the limit is reserved for idle connections, the queue and the report bucket, which are used
/// whatever the accounts do.
#[must_use]
pub fn calls_at_once(limit: usize) -> usize {
    (limit / 2).saturating_sub(OWN).max(limit / 8).max(1)
}

/// How many idle connections to one host to keep under this limit: for all hosts together, a quarter of
/// it.
#[must_use]
pub fn idle_per_host(limit: usize) -> usize {
    (limit / 4 / HOSTS).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_idle_connections_leave_a_fifth_of_the_limit_to_queue_and_bucket() {
        for limit in [256, 1024, 4096, 65_536, 1_048_576] {
            let taken = calls_at_once(limit) + HOSTS * idle_per_host(limit);
            assert!(taken + OWN + limit / 5 <= limit, "{limit}: {taken}");
        }
        assert_eq!((calls_at_once(256), idle_per_host(256)), (96, 1));
        assert!(calls_at_once(8) >= 1 && idle_per_host(8) >= 1);
    }

    #[test]
    fn the_limit_is_raised_as_far_as_it_may_be() {
        raise_limit();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
        assert_eq!(soft, if cfg!(target_os = "macos") { hard.min(MACOS_MOST) } else { hard });
    }
}
