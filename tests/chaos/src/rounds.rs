// SPDX-License-Identifier: Apache-2.0
//! Rounds: a run of the real producer each, over all accounts and another day, or other hours. New ones are sent for as
//! long as there are workers to kill; one is over when none of its jobs is left on the queue.

use std::{
    collections::HashSet,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use cli::terminal::say;
use kit::{Fleet, JOBS, finish};
use local_aws::Message;
use tokio::time::sleep;

use crate::{
    accounts::{Accounts, End, Member},
    findings::Findings,
    mix::Mix,
    subject::Subject,
    workers::{VISIBILITY, Workforce, lock},
};

/// How often the queue is looked at.
const GLANCE: Duration = Duration::from_millis(100);

/// The maximum number of open rounds. A job that waits for a retry keeps its round open for a while.
const MOST_OPEN: usize = 64;

/// For how many kills `producer status` is asked once more, and how often at most.
const KILLS_A_STATUS: usize = 100;
const MOST_STATUSES: usize = 10;

/// How often it is reported how far the run is.
const REPORT_EVERY: Duration = Duration::from_secs(15);

/// How long nothing may happen before the run is given up.
const PATIENCE: Duration = Duration::from_mins(3);

#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) run_id: String,
    pub(crate) subject: Subject,
    pub(crate) begun: DateTime<Utc>,
    number: usize,
}

impl Round {
    /// The dataset of each of its reports, and when its window begins.
    pub(crate) fn reports(&self) -> impl Iterator<Item = (&'static str, DateTime<Utc>)> {
        let subject = self.subject;
        subject.windows().map(move |window| (subject.dataset(), window))
    }

    /// The accounts in it. In every fourth round all are such as can succeed; in another fourth are those
    /// that take long to fail.
    pub(crate) fn members<'a>(&self, accounts: &'a Accounts) -> impl Iterator<Item = &'a Member> {
        let number = self.number;
        accounts.members.iter().filter(move |member| match member.end {
            End::Report => true,
            End::DeadLetter("access_denied") => number.is_multiple_of(4),
            End::DeadLetter(_) => number % 4 != 3,
        })
    }
}

pub(crate) struct Rounds<'a> {
    workforce: &'a Workforce,
    pub(crate) findings: Mutex<Findings>,
    /// How many workers there are at a time.
    workers: usize,
    open: Mutex<Vec<Round>>,
    /// All of them, the open ones included.
    sent: Mutex<Vec<Round>>,
    /// Whether all that will be sent is sent.
    all_sent: AtomicBool,
}

impl<'a> Rounds<'a> {
    pub(crate) fn new(workforce: &'a Workforce, findings: Findings, workers: usize) -> Self {
        Self {
            workforce,
            findings: Mutex::new(findings),
            workers,
            open: Mutex::default(),
            sent: Mutex::default(),
            all_sent: AtomicBool::new(false),
        }
    }

    fn fleet(&self) -> &Fleet {
        &self.workforce.fleet
    }

    fn accounts(&self) -> &Accounts {
        &self.workforce.accounts
    }

    /// Sends rounds until all kills are done, and sees every one to its end.
    pub(crate) async fn all(&self, mix: &Mix) -> anyhow::Result<()> {
        tokio::try_join!(self.send_all(mix), self.close_all())?;
        // Whoever still was at a job may have written since its round was over.
        let sent = lock(&self.sent).clone();
        for (nth, round) in sent.iter().enumerate() {
            let later: HashSet<_> = sent[nth + 1..].iter().flat_map(Round::reports).collect();
            let is_own = |window| !later.contains(&(round.subject.dataset(), window));
            self.findings(|findings| findings.look(self.fleet(), self.accounts(), round, is_own));
        }
        self.ask_for_status(&sent).await
    }

    pub(crate) fn sent(&self) -> Vec<Round> {
        lock(&self.sent).clone()
    }

    fn findings<T>(&self, tell: impl FnOnce(&mut Findings) -> T) -> T {
        tell(&mut lock(&self.findings))
    }

    async fn send_all(&self, mix: &Mix) -> anyhow::Result<()> {
        while self.workforce.kills() < self.workforce.kills_due() {
            let is_short = self.fleet().home.counts(JOBS).visible < self.workers;
            if is_short && lock(&self.open).len() < MOST_OPEN {
                self.send().await?;
            } else {
                sleep(GLANCE).await;
            }
        }
        mix.end();
        self.all_sent.store(true, Ordering::Release);
        Ok(())
    }

    async fn send(&self) -> anyhow::Result<()> {
        let number = lock(&self.sent).len();
        let taken: Vec<Subject> = lock(&self.open).iter().map(|round| round.subject).collect();
        let is_taken = |subject: Subject| taken.iter().any(|open| open.overlaps(subject));
        let subject = Accounts::subject(number as u64, is_taken);
        self.accounts().publish(&self.fleet().aws, subject);
        let mut round = Round { run_id: String::new(), subject, begun: Utc::now(), number };
        let names: Vec<&str> = round.members(self.accounts()).map(|member| member.name.as_str()).collect();
        let (accounts, subject) = (names.join(","), subject.arguments());
        let mut arguments = vec!["run", "--account-name", &accounts, "--format", "json"];
        arguments.extend(subject.iter().map(String::as_str));
        let ended = finish(self.fleet().producer(&arguments)).await?;
        if ended.code != Some(0) {
            bail!("`producer run` failed:\n{}{}", ended.stdout, ended.stderr);
        }
        ended.json()?["run_id"]
            .as_str()
            .context("`producer run` names no run")?
            .clone_into(&mut round.run_id);
        lock(&self.sent).push(round.clone());
        lock(&self.open).push(round);
        Ok(())
    }

    /// Closes each round that is over, and returns once none is open and none will follow.
    async fn close_all(&self) -> anyhow::Result<()> {
        let mut seen = (0, 0, 0);
        let begun = Instant::now();
        let (mut since, mut reported) = (begun, begun);
        loop {
            // Before anything is looked at: nothing is added after it then.
            let is_last = self.all_sent.load(Ordering::Acquire);
            // What is sent before it is looked at is on the queue, or done with.
            let open = lock(&self.open).clone();
            let jobs = self.fleet().home.messages(JOBS);
            if reported.elapsed() > REPORT_EVERY {
                reported = Instant::now();
                let (kills, due, rounds) =
                    (self.workforce.kills(), self.workforce.kills_due(), lock(&self.sent).len());
                say(&format!("{kills} of {due} kills, {rounds} rounds, {} s", begun.elapsed().as_secs()));
            }
            let left: HashSet<&str> =
                jobs.iter().filter_map(|job| job.attributes.get("run_id").map(String::as_str)).collect();
            for round in open.iter().filter(|round| !left.contains(round.run_id.as_str())) {
                self.findings(|findings| findings.look(self.fleet(), self.accounts(), round, |_| true));
                lock(&self.open).retain(|open| open.run_id != round.run_id);
            }
            if is_last && jobs.is_empty() && lock(&self.open).is_empty() && self.is_empty().await {
                return Ok(());
            }
            let now = (self.workforce.kills(), jobs.len(), open.len());
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() > PATIENCE {
                bail!("nothing happens any more: {} kills, {} jobs, {} rounds open", now.0, now.1, now.2);
            }
            if is_last || open.len() >= MOST_OPEN {
                self.hurry(&jobs);
            }
            sleep(GLANCE).await;
        }
    }

    /// Asks the producer how some of the rounds stand: of each kind, from the first to the last. It reads the
    /// dead-letter queue until nothing more comes, hence not before all is quiet.
    async fn ask_for_status(&self, sent: &[Round]) -> anyhow::Result<()> {
        let many = (self.workforce.kills() / KILLS_A_STATUS).clamp(2, MOST_STATUSES);
        for nth in 0..many {
            let from = &sent[nth * sent.len() / many..];
            let kind = [0, 3, 1][nth % 3];
            let Some(round) = from.iter().find(|round| round.number % 4 == kind).or(from.first()) else {
                continue;
            };
            let begun = Instant::now();
            let arguments = ["status", &round.run_id, "--format", "json"];
            let ended = finish(self.fleet().producer(&arguments)).await?;
            self.findings(|findings| {
                findings.compare_status(self.accounts(), round, &ended, begun.elapsed());
            });
        }
        Ok(())
    }

    /// Whether the queue's three counts are 0, twice.
    async fn is_empty(&self) -> bool {
        let is_empty = || self.fleet().home.counts(JOBS).total() == 0;
        let first = is_empty();
        sleep(GLANCE).await;
        first && is_empty()
    }

    /// Moves the queue's clock forward if only jobs are left on it that wait for a retry. No worker has any of those in
    /// hand: it would keep it hidden for no longer than its lease.
    fn hurry(&self, jobs: &[Message]) {
        let hidden = || jobs.iter().map(|job| job.visible_in.unwrap_or_default());
        if let (Some(first), Some(last)) = (hidden().min(), hidden().max())
            && first > VISIBILITY + GLANCE
        {
            self.fleet().home.pass_time(JOBS, last);
        }
    }
}
