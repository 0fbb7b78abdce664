// SPDX-License-Identifier: Apache-2.0
//! Signals that stop a command.

use anyhow::Context;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

use crate::telemetry::NOTICE;

/// SIGTERM and Ctrl-C. While this exists, neither ends the process by default.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Starts to listen.
    pub fn install() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("could not listen for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits for the first signal, and logs `at_first` immediately, even if the command is busy. A second signal logs
/// `at_second` and ends the process.
pub async fn interrupted(at_first: Option<&'static str>, at_second: &'static str) {
    let Ok(mut signals) = Signals::install() else {
        // Without signals the command can't be interrupted.
        return std::future::pending().await;
    };
    let (sender, receiver) = oneshot::channel();
    // A separate task listens even while the command finishes work that must not be interrupted.
    tokio::spawn(async move {
        signals.next().await;
        if let Some(text) = at_first {
            tracing::info!(target: NOTICE, "{text}");
        }
        // Fails only if the command does not wait any more.
        let _ = sender.send(());
        signals.next().await;
        tracing::warn!("{at_second}");
        std::process::exit(1);
    });
    // Cannot fail: the task ends with the process.
    let _ = receiver.await;
}
