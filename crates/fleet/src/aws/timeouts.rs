//! The timeouts of calls, as the SDK takes them.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;

/// The timeout of a call, all attempts included.
pub const LONGEST_CALL: Duration = Duration::from_secs(90);

/// The minimum upload speed, in bytes per second.
const SLOWEST_UPLOAD: u64 = 128 * 1024;

/// The timeouts of a request with a body of this size: for the SDK, sending the body is part of waiting
/// for the response.
#[must_use]
pub fn upload_timeouts(bytes: usize) -> TimeoutConfig {
    let upload = Duration::from_secs(bytes as u64 / SLOWEST_UPLOAD);
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
