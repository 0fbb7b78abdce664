// SPDX-License-Identifier: Apache-2.0
//! Faults in place: which calls they are for, whether they strike, and how often they did.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::{Effect, Fault, Stage};
use crate::calls::Service;

#[derive(Debug, Clone)]
pub(crate) struct Target<'a> {
    pub(crate) service: Service,
    pub(crate) operation: &'a str,
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
    pub(crate) access_key: &'a str,
    pub(crate) resource: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
}

#[derive(Debug)]
pub(crate) struct Armed {
    fault: Fault,
    matched: AtomicU64,
    fired: AtomicU64,
    /// Whether it is stopped; a change without one lets the calls that it holds go on.
    gate: watch::Sender<bool>,
}

impl Armed {
    pub(crate) fn effect(&self) -> &Effect {
        &self.fault.effect
    }

    /// Whether the fault is for this call; the resource is left out for content faults, which match series by it.
    fn is_for(&self, target: &Target<'_>, with_resource: bool) -> bool {
        let fault = &self.fault;
        let wants = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        !self.is_stopped()
            && fault.service.is_none_or(|wanted| wanted == target.service)
            && wants(&fault.operation, target.operation)
            && wants(&fault.account, target.account)
            && wants(&fault.region, target.region)
            && wants(&fault.access_key, target.access_key)
            && (!with_resource || self.is_for_resource(target.resource))
            && (fault.key_prefixes.is_empty()
                || target
                    .key
                    .is_some_and(|key| fault.key_prefixes.iter().any(|prefix| key.starts_with(prefix))))
    }

    fn is_stopped(&self) -> bool {
        *self.gate.borrow()
    }

    fn stop(&self) {
        self.gate.send_replace(true);
    }

    pub(crate) fn is_for_resource(&self, resource: Option<&str>) -> bool {
        self.fault.resource.as_deref().is_none_or(|wanted| Some(wanted) == resource)
    }

    pub(crate) fn is_for_storage_type(&self, storage_type: Option<&str>) -> bool {
        self.fault.storage_type.as_deref().is_none_or(|wanted| Some(wanted) == storage_type)
    }

    /// Counts one more match and says whether the fault strikes it.
    pub(crate) fn strikes(&self) -> bool {
        let number = self.matched.fetch_add(1, Ordering::Relaxed);
        if number < self.fault.after {
            return false;
        }
        if let Some((share, seed)) = self.fault.probability
            && unit_interval(seed, number) >= share
        {
            return false;
        }
        let limit = self.fault.times.unwrap_or(u64::MAX);
        let more = |fired| (fired < limit).then_some(fired + 1);
        // Whoever reads the count must find what was done before it.
        self.fired.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }
}

/// A fault that struck a call, and what the call waits for where it is to wait.
#[derive(Debug)]
pub(crate) struct Struck {
    fault: Arc<Armed>,
    gate: watch::Receiver<bool>,
}

impl Struck {
    pub(crate) fn effect(&self) -> &Effect {
        self.fault.effect()
    }

    pub(crate) async fn stopped(mut self) {
        let _ = self.gate.wait_for(|stopped| *stopped).await;
    }

    /// Waits until the calls that were held when this one was struck may go on.
    pub(crate) async fn released(mut self) {
        if !self.fault.is_stopped() {
            let _ = self.gate.changed().await;
        }
    }
}

/// Where a number falls in 0..1, by seed.
fn unit_interval(seed: u64, number: u64) -> f64 {
    let bits = crate::synthetic::mix(seed ^ crate::synthetic::mix(number)) >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
    let share = bits as f64 / (1_u64 << 53) as f64;
    share
}

#[derive(Default)]
pub(crate) struct Faults {
    armed: RwLock<Vec<Arc<Armed>>>,
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) -> FaultHandle {
        let armed = Arc::new(Armed {
            fault,
            matched: AtomicU64::new(0),
            fired: AtomicU64::new(0),
            gate: watch::Sender::new(false),
        });
        let mut all = self.armed.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|fault| !fault.is_stopped());
        all.push(armed.clone());
        FaultHandle { armed }
    }

    pub(crate) fn clear(&self) {
        let mut armed = self.armed.write().unwrap_or_else(PoisonError::into_inner);
        for fault in armed.drain(..) {
            fault.stop();
        }
    }

    /// The first fault that strikes the call at this stage.
    pub(crate) fn strike(&self, stage: Stage, target: &Target<'_>) -> Option<Struck> {
        self.matching(stage, target, true).into_iter().find_map(|fault| {
            // Before it counts: a test that sees the count may release the call at once.
            let gate = fault.gate.subscribe();
            fault.strikes().then_some(Struck { fault, gate })
        })
    }

    /// The faults inside a service's answer that are for this call, whatever their resource.
    pub(crate) fn content(&self, target: &Target<'_>) -> Vec<Arc<Armed>> {
        self.matching(Stage::Content, target, false)
    }

    /// The faults for the call at this stage, fired or not.
    pub(crate) fn matching(&self, stage: Stage, target: &Target<'_>, with_resource: bool) -> Vec<Arc<Armed>> {
        let armed = self.armed.read().unwrap_or_else(PoisonError::into_inner);
        armed
            .iter()
            .filter(|fault| fault.effect().stage() == stage && fault.is_for(target, with_resource))
            .cloned()
            .collect()
    }
}

/// A fault in place: how often it fired, and how to end it. Dropping it leaves the fault in place.
#[derive(Debug, Clone)]
pub struct FaultHandle {
    armed: Arc<Armed>,
}

impl FaultHandle {
    /// How often the fault struck so far.
    pub fn fired(&self) -> u64 {
        self.armed.fired.load(Ordering::Acquire)
    }

    /// Lets all calls continue that [`Fault::hold`] holds now. Later ones are held again.
    pub fn release(&self) {
        self.armed.gate.send_modify(|_| {});
    }

    /// Ends the fault. Calls that it holds go on; connections that it keeps silent are reset.
    pub fn stop(&self) {
        self.armed.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target<'a>(operation: &'a str, account: &'a str) -> Target<'a> {
        Target {
            service: Service::CloudWatch,
            operation,
            account,
            region: "eu-west-1",
            access_key: "k",
            resource: None,
            key: None,
        }
    }

    #[test]
    fn after_and_times_bound_a_fault_and_it_counts() {
        let faults = Faults::default();
        let handle = faults.add(Fault::throttle().on("GetMetricData").after(2).times(3));
        let struck = |_| faults.strike(Stage::Service, &target("GetMetricData", "1")).is_some();
        let seen: Vec<bool> = (0..7).map(struck).collect();
        assert_eq!(seen, [false, false, true, true, true, false, false]);
        assert_eq!(handle.fired(), 3);
    }

    #[test]
    fn a_fault_strikes_what_it_is_narrowed_to() {
        let faults = Faults::default();
        let handle = faults.add(Fault::deny().account("1").on("ListMetrics"));
        assert!(faults.strike(Stage::Service, &target("GetMetricData", "1")).is_none());
        assert!(faults.strike(Stage::Service, &target("ListMetrics", "2")).is_none());
        assert_eq!(handle.fired(), 0);
        let struck = faults.strike(Stage::Service, &target("ListMetrics", "1")).expect("struck");
        assert_eq!(struck.effect(), &Effect::Deny);
        handle.stop();
        assert!(faults.strike(Stage::Service, &target("ListMetrics", "1")).is_none());
    }

    #[test]
    fn probability_is_the_same_for_the_same_seed_and_near_its_share() {
        let run = |seed| {
            let faults = Faults::default();
            faults.add(Fault::throttle().probability(0.2, seed));
            (0..10_000)
                .map(|_| faults.strike(Stage::Service, &target("X", "1")).is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        let hits = run(7).into_iter().filter(|hit| *hit).count();
        assert!((1900..2100).contains(&hits), "{hits}");
    }
}
