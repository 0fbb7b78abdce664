// SPDX-License-Identifier: Apache-2.0
//! The timeouts of calls, as the SDK takes them.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;

/// The timeout of a call, all attempts included.
pub const LONGEST_CALL: Duration = Duration::from_secs(90);

/// The minimum upload speed, in bytes per second.
const SLOWEST_UPLOAD: u64 = 128 * 1024;

/// The timeouts of a request with a body of this size: for the SDK, sending the body is part of waiting
/// for the response. The time is rounded up to a power of two: each read timeout has a connector of its own, which is kept
/// for as long as the process runs.
#[must_use]
pub fn upload_timeouts(bytes: usize) -> TimeoutConfig {
    let seconds = bytes as u64 / SLOWEST_UPLOAD;
    let upload = Duration::from_secs(if seconds == 0 { 0 } else { seconds.next_power_of_two() });
    let timeouts = timeouts(Duration::from_secs(15) + upload);
    timeouts.to_builder().operation_timeout(LONGEST_CALL + upload * 2).build()
}

pub(super) fn timeouts(read: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .read_timeout(read)
        .operation_attempt_timeout(read + Duration::from_secs(5))
        .operation_timeout(LONGEST_CALL)
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn uploads_of_every_size_have_few_timeouts_and_enough_of_each() {
        let read = |bytes: usize| upload_timeouts(bytes).read_timeout().expect("a timeout");
        let sizes = (0..5 * 1024).map(|mebibytes| mebibytes * 1024 * 1024);
        let timeouts: BTreeSet<Duration> = sizes.map(read).collect();
        assert!(timeouts.len() <= 17, "{timeouts:?}");
        assert_eq!(read(1024), Duration::from_secs(15));
        assert_eq!(read(10 * 1024 * 1024), Duration::from_secs(15 + 128), "80 s at the slowest");
    }
}
