//! What ends a command of the producer before its time.

use cli::signals;

/// What a command says that was interrupted while it had dead letters in hand.
pub(super) const INTERRUPTED_LOOK: &str = "interrupted; what was in hand is back in the dead-letter queue";

/// What is said at once where a command that looks at dead letters is interrupted.
const GIVING_BACK: &str = "stopping; giving back what is in hand; Ctrl-C again leaves it hidden for a minute";

/// What is said at a second signal.
const TWICE: &str = "told to stop twice; dead letters in hand, if any, are hidden for up to a minute";

/// As [`interrupted`], and tells at once what happens to the dead letters in hand.
pub(super) async fn interrupted_look() {
    signals::interrupted(Some(GIVING_BACK), TWICE).await;
}

/// Ready on Ctrl-C and on SIGTERM, from its first poll on. A second one ends the process at once.
pub(super) async fn interrupted() {
    signals::interrupted(None, TWICE).await;
}
