// SPDX-License-Identifier: Apache-2.0
//! What ends a command of the producer before its time.

use cli::signals;

/// The error of a command that is interrupted while it has dead letters in flight.
pub(super) const INTERRUPTED_LOOK: &str = "interrupted; all messages are back in the dead-letter queue";

/// Printed at once if a command that reads dead letters is interrupted.
const RETURNING: &str = "stopping; returning messages to the dead-letter queue; press Ctrl-C again to leave them hidden for a minute";

/// Printed at the second signal.
const TWICE: &str = "stopped by a second signal; dead letters in flight stay hidden for up to a minute";

/// Like [`interrupted`], but says at once what happens to the dead letters in flight.
pub(super) async fn interrupted_look() {
    signals::interrupted(Some(RETURNING), TWICE).await;
}

/// Completes on Ctrl-C or SIGTERM, from its first poll on. A second signal ends the process at once.
pub(super) async fn interrupted() {
    signals::interrupted(None, TWICE).await;
}
