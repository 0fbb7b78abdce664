// SPDX-License-Identifier: Apache-2.0
//! The steps at which workers are killed, and the plan of which worker dies at which, by seed.

use std::{collections::VecDeque, time::Duration};

use fastrand::Rng;

/// A moment in a job's life, in a job's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The queue has given a job away, and the worker does not know yet.
    Receive,
    /// The account's buckets, or the regions of its services, are being listed.
    Discover,
    /// CloudWatch is being asked.
    Collect,
    /// CloudWatch failed for some, what it has answered is stored, and the worker does not know yet.
    Checkpoint,
    /// CloudWatch has answered all, and the report is not on its way yet.
    Render,
    /// The report is on its way, and nothing of it is there.
    BeforeUpload,
    /// Half of the report is uploaded.
    DuringUpload,
    /// The report is stored, and the worker does not know yet.
    AfterUpload,
    /// Documents are on their way, and none of them is there.
    BeforeDocuments,
    /// The documents are there, and the worker does not know yet.
    AfterDocuments,
    /// All is delivered, and that is about to be recorded.
    BeforeRecord,
    /// The job is about to be deleted.
    BeforeDelete,
    /// The job is deleted, and the worker does not know yet.
    AfterDelete,
    /// The dead letter is about to be sent.
    BeforeDeadLetter,
    /// The dead letter is sent, and the worker does not know yet.
    AfterDeadLetter,
    /// Any moment, from the worker's start on.
    Random,
}

impl Step {
    /// All of them, each with its name in the table.
    pub(crate) const ALL: [(Self, &str); 16] = [
        (Self::Receive, "receive"),
        (Self::Discover, "discover"),
        (Self::Collect, "collect"),
        (Self::Checkpoint, "after checkpoint"),
        (Self::Render, "render"),
        (Self::BeforeUpload, "before upload"),
        (Self::DuringUpload, "during upload"),
        (Self::AfterUpload, "after upload"),
        (Self::BeforeDocuments, "before documents"),
        (Self::AfterDocuments, "after documents"),
        (Self::BeforeRecord, "before record"),
        (Self::BeforeDelete, "before delete"),
        (Self::AfterDelete, "after delete"),
        (Self::BeforeDeadLetter, "before dead-letter send"),
        (Self::AfterDeadLetter, "after dead-letter send"),
        (Self::Random, "random moment"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// How one worker is to live and die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Death {
    pub(crate) at: Step,
    /// How many jobs the worker may have in flight.
    pub(crate) concurrency: u8,
    /// How long it works undisturbed first. For a random moment: how long it lives.
    pub(crate) peace: Duration,
    /// How long it still lives once it is at its step.
    pub(crate) respite: Duration,
}

#[derive(Debug)]
pub(crate) struct KillPlan {
    deaths: VecDeque<Death>,
    /// How many workers it kills in all.
    pub(crate) kills: usize,
    /// How many deaths may still be added for steps that were missed.
    spare: usize,
}

impl KillPlan {
    /// So many deaths: every step once in each round of the steps, in an order by seed.
    pub(crate) fn new(kills: u32, seed: u64) -> Self {
        let (kills, mut random) = (kills as usize, Rng::with_seed(seed));
        let mut deaths = VecDeque::new();
        while deaths.len() < kills {
            let mut steps = Step::ALL;
            random.shuffle(&mut steps);
            // The last round may be cut short: the named steps go before a random moment.
            if deaths.len() + steps.len() > kills {
                steps.sort_by_key(|(step, _)| *step == Step::Random);
            }
            deaths.extend(steps.map(|(step, _)| Death::new(step, &mut random)));
        }
        deaths.truncate(kills);
        Self { deaths, kills, spare: kills.div_ceil(4) }
    }

    pub(crate) fn next(&mut self) -> Option<Death> {
        self.deaths.pop_front()
    }

    /// Takes back the death of a worker that left before it could be killed.
    pub(crate) fn put_back(&mut self, death: Death) {
        self.deaths.push_front(death);
    }

    /// A worker was not at its step, and counts as killed at a random moment. Another one gets the step: in place of the
    /// next random moment if one is left, else in addition.
    pub(crate) fn missed(&mut self, death: Death) {
        if let Some(other) = self.deaths.iter_mut().find(|other| other.at == Step::Random) {
            *other = death;
        } else if let Some(spare) = self.spare.checked_sub(1) {
            self.spare = spare;
            self.kills += 1;
            self.deaths.push_back(death);
        }
    }
}

impl Death {
    fn new(at: Step, random: &mut Rng) -> Self {
        let (peace, respite) = match at {
            Step::Random => (1_500_000, 1),
            // Between the last answer and the upload there is next to no time.
            Step::Render => (300_000, 3_000),
            _ => (300_000, 20_000),
        };
        // What another job asks of CloudWatch, or stores, could not be told from what this one does.
        let concurrency = if matches!(at, Step::Checkpoint | Step::Render) { 1 } else { random.u8(1..=3) };
        let mut below = |most| Duration::from_micros(random.u64(0..most));
        Self { at, concurrency, peace: below(peace), respite: below(respite) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(plan: &KillPlan) -> Vec<usize> {
        Step::ALL.map(|(step, _)| plan.deaths.iter().filter(|death| death.at == step).count()).to_vec()
    }

    #[test]
    fn steps_take_turns_and_the_same_seed_gives_the_same_plan() {
        assert_eq!(KillPlan::new(600, 7).deaths, KillPlan::new(600, 7).deaths);
        assert_ne!(KillPlan::new(600, 7).deaths, KillPlan::new(600, 8).deaths);
        assert_eq!(counts(&KillPlan::new(800, 7)), [50; 16]);
        assert!(Step::ALL.iter().enumerate().all(|(nth, (step, _))| *step as usize == nth), "in order");
    }

    #[test]
    fn a_plan_that_does_not_come_out_even_lacks_random_moments_first() {
        let counts = counts(&KillPlan::new(29, 3));
        assert_eq!((counts[..15].iter().sum::<usize>(), counts[15]), (28, 1));
    }

    #[test]
    fn a_step_that_was_missed_takes_the_place_of_a_random_moment() {
        let mut plan = KillPlan::new(32, 1);
        let render = std::iter::from_fn(|| plan.next()).find(|death| death.at == Step::Render);
        let (render, left, before) = (render.expect("one in sixteen"), plan.deaths.len(), counts(&plan));
        plan.missed(render);
        let after = counts(&plan);
        assert_eq!((after[4], after[15], plan.deaths.len()), (before[4] + 1, before[15] - 1, left));
        assert_eq!(plan.kills, 32);
    }

    #[test]
    fn if_no_random_moment_is_left_a_missed_step_is_repeated_but_not_for_ever() {
        let mut plan = KillPlan::new(15, 1);
        let render = *plan.deaths.iter().find(|death| death.at == Step::Render).expect("one of fifteen");
        (0..100).for_each(|_| plan.missed(render));
        assert_eq!((counts(&plan)[4], plan.deaths.len(), plan.kills), (5, 19, 19));
    }
}
