// SPDX-License-Identifier: Apache-2.0
//! The workers: hired, caught at a step, killed, and replaced.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use kit::{Fleet, keys, variable};
use local_aws::CallRecord;
use tokio::{process::Child, sync::oneshot, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    accounts::Accounts,
    steps::{Death, KillPlan, Step},
    trap::{Keys, Trap, was_there},
    worker_log::{self, WorkerLog},
};

/// How long a job is hidden: the shortest that a worker takes.
pub(crate) const VISIBILITY: Duration = Duration::from_secs(3);

/// How long a worker may take until it is ready.
const START: Duration = Duration::from_mins(1);

/// How long a worker may take to come to its step; one that does not gets no job.
const COMING: Duration = Duration::from_secs(45);

/// How long the AWS may take to see that a client is gone.
const GONE: Duration = Duration::from_millis(30);

/// How many workers may leave by themselves before the run is given up.
const MOST_THAT_LEAVE: usize = 50;

/// The number of jobs in flight of a worker that is not killed.
const UNHURT: u8 = 3;

#[derive(Debug, Clone)]
pub(crate) struct Kill {
    pub(crate) step: Step,
    pub(crate) at: DateTime<Utc>,
    pub(crate) key: String,
}

/// What was done to the workers so far.
#[derive(Debug, Default)]
pub(crate) struct Toll {
    pub(crate) kills: Vec<Kill>,
    pub(crate) fired: BTreeMap<Step, u64>,
    /// Those who left by themselves, and how.
    pub(crate) left: Vec<String>,
    pub(crate) hired: u32,
}

/// Everything that the workers are killed with.
pub(crate) struct Workforce {
    pub(crate) fleet: Fleet,
    pub(crate) accounts: Accounts,
    pub(crate) logs: PathBuf,
    pub(crate) plan: Mutex<KillPlan>,
    pub(crate) toll: Mutex<Toll>,
    /// What they logged that is worth a look.
    pub(crate) log: Arc<Mutex<WorkerLog>>,
}

struct Worker {
    child: Child,
    keys: Keys,
    ready: oneshot::Receiver<()>,
    log: JoinHandle<()>,
}

enum Life {
    Killed(Kill),
    Left(ExitStatus),
}

impl Workforce {
    /// Keeps one place filled, and kills who is in it, as long as the plan has deaths; then works on until `over`.
    pub(crate) async fn fill_place(&self, over: &CancellationToken) -> anyhow::Result<()> {
        loop {
            let Some(death) = lock(&self.plan).next() else { break };
            let mut worker = self.hire(death.concurrency, death.at.name())?;
            match self.live_and_die(&mut worker, death).await? {
                Life::Killed(kill) => lock(&self.toll).kills.push(kill),
                Life::Left(status) => {
                    lock(&self.plan).put_back(death);
                    self.left(&worker, status)?;
                }
            }
            worker.log.await?;
        }
        while !over.is_cancelled() {
            let mut worker = self.hire(UNHURT, "unhurt")?;
            tokio::select! {
                () = over.cancelled() => worker.child.kill().await?,
                status = worker.child.wait() => self.left(&worker, status?)?,
            }
            worker.log.await?;
        }
        Ok(())
    }

    pub(crate) fn kills(&self) -> usize {
        lock(&self.toll).kills.len()
    }

    /// How many are to be killed. It grows before a kill counts that missed its step.
    pub(crate) fn kills_due(&self) -> usize {
        lock(&self.plan).kills
    }

    fn left(&self, worker: &Worker, status: ExitStatus) -> anyhow::Result<()> {
        let mut toll = lock(&self.toll);
        toll.left.push(format!("{}: {status}", worker.keys.own));
        if toll.left.len() > MOST_THAT_LEAVE {
            bail!("workers keep leaving by themselves; their logs say why");
        }
        Ok(())
    }

    fn hire(&self, concurrency: u8, fate: &str) -> anyhow::Result<Worker> {
        let number = {
            let mut toll = lock(&self.toll);
            toll.hired += 1;
            toll.hired
        };
        let own = own_key(number);
        self.fleet.home.add_access_key(&own, None);
        let mut variables = vec![
            variable("AWS_ACCESS_KEY_ID", &own),
            variable("FLEET_CONCURRENCY", &concurrency.to_string()),
            variable("FLEET_VISIBILITY_TIMEOUT", &VISIBILITY.as_secs().to_string()),
            variable("FLEET_ACCOUNTS", &self.logs.with_file_name("accounts.toml").display().to_string()),
        ];
        let mut accounts = Vec::new();
        for (nth, member) in self.accounts.members.iter().enumerate().filter(|(_, member)| member.has_keys())
        {
            let key = format!("{own}X{nth:03}");
            self.fleet.aws.account(&member.id).add_access_key(&key, None);
            variables.extend(keys(&member.name, &key));
            accounts.push(key);
        }
        let mut command = self.fleet.worker(&["run"]);
        let mut child =
            command.envs(variables).stdout(Stdio::null()).spawn().context("could not start a worker")?;
        let stderr = child.stderr.take().context("cannot fail: it is piped")?;
        let file = self.logs.join(format!("worker-{number:05}-{}.log", fate.replace(' ', "-")));
        let (tell, ready) = oneshot::channel();
        let log = tokio::spawn(worker_log::follow(stderr, file, tell, self.log.clone()));
        Ok(Worker { child, keys: Keys { own, accounts }, ready, log })
    }

    async fn live_and_die(&self, worker: &mut Worker, death: Death) -> anyhow::Result<Life> {
        let at_its_step = async {
            if death.at == Step::Random {
                sleep(death.peace).await;
                return None;
            }
            // One that does not become ready leaves, which is seen below.
            let _ = tokio::time::timeout(START, &mut worker.ready).await;
            sleep(death.peace).await;
            let (set_at, mut trap) = (Utc::now(), Trap::set(&self.fleet.aws, death.at, &worker.keys));
            let sprung = tokio::time::timeout(COMING, trap.sprung(&self.fleet.aws)).await.is_ok();
            sleep(death.respite).await;
            Some((trap, set_at, sprung))
        };
        let caught = tokio::select! {
            caught = at_its_step => caught,
            status = worker.child.wait() => return Ok(Life::Left(status?)),
        };
        let at = Utc::now();
        worker.child.start_kill().context("could not kill a worker")?;
        worker.child.wait().await?;
        let mut step = Step::Random;
        if let Some((trap, set_at, sprung)) = caught {
            if matches!(death.at, Step::Receive | Step::Checkpoint | Step::Render) {
                sleep(GONE).await;
            }
            if sprung && was_there(death.at, &self.calls(worker, &trap, set_at)) {
                step = death.at;
                *lock(&self.toll).fired.entry(step).or_default() += trap.fired();
            } else {
                lock(&self.plan).missed(death);
            }
        }
        Ok(Life::Killed(Kill { step, at, key: worker.keys.own.clone() }))
    }

    /// What a trapped worker called since then, by its own key and by those that were struck.
    fn calls(&self, worker: &Worker, trap: &Trap, since: DateTime<Utc>) -> Vec<CallRecord> {
        let mut calls = Vec::new();
        for key in trap.struck().chain([worker.keys.own.as_str()]) {
            calls.extend(self.fleet.aws.calls().access_key(key).records());
        }
        // A poll in flight at that time is affected too.
        calls.retain(|call| call.time + call.duration >= since);
        calls
    }
}

/// The access key of a worker, by its number.
pub(crate) fn own_key(number: u32) -> String {
    format!("{PREFIX}{number:08}")
}

/// The worker that an access key is of, be it its own or an account's.
pub(crate) fn worker_of(access_key: &str) -> Option<&str> {
    access_key.strip_prefix(PREFIX)?.get(..8)
}

const PREFIX: &str = "AKIACHAOS";

/// A mutex that outlives a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_known_by_all_of_its_keys() {
        let own = own_key(17);
        assert_eq!(worker_of(&own), worker_of(&format!("{own}X003")));
        assert_eq!(worker_of("012345678901"), None);
    }
}
