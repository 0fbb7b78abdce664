// SPDX-License-Identifier: Apache-2.0
//! What became of the requests of a report, and so what is to be done with each. Pure.

use serde::{Deserialize, Serialize};

use super::{points::Point, requests::Request};
use crate::marker::Counts;

/// What is recorded of the requests of a report. They are sent one after another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// How many requests are decided: what became of them is counted.
    decided: u32,
    /// The next one has been sent, with its datapoints from this time on, and no answer is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sent_since: Option<i64>,
    /// Requests whose datapoints may have been put and may not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<Unknown>,
    /// Whether requests of an earlier version of the report have been sent: any datapoint of this one may have been put.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    follows_another: bool,
}

/// A request of which it is unknown whether it was put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Unknown {
    request: u32,
    /// It had the datapoints from this time on.
    since: i64,
}

/// What is to be done with the next request.
#[derive(Debug, PartialEq)]
pub(super) struct Step<'a> {
    pub(super) put: Vec<&'a Point>,
    /// What it adds to the counts once that is put.
    pub(super) counts: Counts,
    /// The state to record before it is put, and afterwards.
    pub(super) before: Progress,
    pub(super) after: Progress,
}

impl Progress {
    /// For a report of which an earlier version was being delivered.
    pub(super) fn after_another(earlier: Option<Self>) -> Self {
        // What can't be read may have sent anything.
        let follows_another = earlier.is_none_or(|earlier| earlier != Self::default());
        Self { follows_another, ..Self::default() }
    }

    /// Whether there are requests that can be put again if the user wants it.
    pub(super) fn has_unknown(&self) -> bool {
        !self.unknown.is_empty()
    }

    /// What to do with a request, by its place among all; `None` if it is decided. CloudWatch takes datapoints from the
    /// time `oldest` on.
    pub(super) fn next<'a>(&self, place: u32, request: &'a Request, oldest: i64) -> Option<Step<'a>> {
        if place < self.decided {
            return None;
        }
        let uncertain_since = if self.follows_another { Some(i64::MIN) } else { self.sent_since };
        let mut counts = Counts::default();
        let mut put = Vec::new();
        for point in &request.points {
            let is_uncertain = uncertain_since.is_some_and(|since| point.at >= since);
            let is_taken = point.at >= oldest;
            match (is_uncertain, is_taken) {
                (true, true) if !request.is_counter => {
                    counts.repeated += 1;
                    put.push(point);
                }
                (true, _) => counts.unknown += 1,
                (false, true) => {
                    counts.sent += 1;
                    put.push(point);
                }
                (false, false) => counts.skipped += 1,
            }
        }
        let mut after = Self { decided: place + 1, sent_since: None, ..self.clone() };
        if let Some(since) = uncertain_since.filter(|_| request.is_counter && counts.unknown > 0) {
            after.unknown.push(Unknown { request: place, since });
        }
        let sent_since = Some(self.sent_since.map_or(oldest, |since| since.min(oldest)));
        Some(Step { put, counts, before: Self { decided: place, sent_since, ..self.clone() }, after })
    }

    /// What to do with a request that the user wants to be put again if it is unknown whether it was; `None` for others.
    pub(super) fn again<'a>(&self, place: u32, request: &'a Request, oldest: i64) -> Option<Step<'a>> {
        let since = self.unknown.iter().find(|unknown| unknown.request == place)?.since.max(oldest);
        let put: Vec<&Point> = request.points.iter().filter(|point| point.at >= since).collect();
        let counts = Counts { repeated: put.len() as u64, ..Counts::default() };
        let mut after = self.clone();
        after.unknown.retain(|unknown| unknown.request != place);
        Some(Step { put, counts, before: self.clone(), after })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::requests::{Requests, tests::point},
        *,
    };

    fn request(is_counter: bool, times: &[i64]) -> Request {
        let mut requests = Requests::new();
        for at in times {
            assert_eq!(requests.add(point(is_counter, *at, "q")), None);
        }
        requests.end().next().expect("a request")
    }

    fn times(step: &Step<'_>) -> Vec<i64> {
        step.put.iter().map(|point| point.at).collect()
    }

    #[test]
    fn a_request_without_an_answer_is_put_again_if_it_has_gauges_alone() {
        for is_counter in [false, true] {
            let request = request(is_counter, &[5, 10, 15]);
            let first = Progress::default().next(0, &request, 8).expect("undecided");
            assert_eq!(times(&first), [10, 15]);
            assert_eq!(first.counts, Counts { sent: 2, skipped: 1, ..Counts::default() });
            assert_eq!(first.after.next(0, &request, 8), None, "it is decided");

            // The next attempt finds it sent. Meanwhile another datapoint has become too old.
            let later = first.before.next(0, &request, 12).expect("undecided");
            if is_counter {
                assert!(times(&later).is_empty());
                assert_eq!(later.counts, Counts { unknown: 2, skipped: 1, ..Counts::default() });
                let unknown = vec![Unknown { request: 0, since: 8 }];
                assert_eq!(later.after, Progress { decided: 1, unknown, ..Progress::default() });
            } else {
                assert_eq!(times(&later), [15]);
                assert_eq!(later.counts, Counts { repeated: 1, unknown: 1, skipped: 1, ..Counts::default() });
                assert!(!later.after.has_unknown(), "what is too old can't be put again");
                // The first one may have had what is too old now, and an attempt after that has to know.
                assert_eq!(later.before.sent_since, Some(8));
            }
            let next = later.after.next(1, &request, 0).expect("undecided");
            assert_eq!((times(&next), next.counts.sent), (vec![5, 10, 15], 3), "the next one is certain");
        }
    }

    #[test]
    fn what_is_unknown_is_put_again_if_the_user_wants_it() {
        let request = request(true, &[5, 10, 15]);
        let unknown = vec![Unknown { request: 3, since: 8 }];
        let progress = Progress { decided: 4, unknown, ..Progress::default() };
        assert_eq!(progress.again(2, &request, 0), None);
        let step = progress.again(3, &request, 0).expect("it is unknown");
        assert_eq!((times(&step), step.counts.repeated), (vec![10, 15], 2));
        assert_eq!(step.before, progress, "until it is put, it is unknown");
        assert_eq!(step.after, Progress { decided: 4, ..Progress::default() });
        assert_eq!(progress.next(3, &request, 0), None);
    }

    #[test]
    fn after_another_version_nothing_is_certain() {
        let fresh = Progress::after_another(Some(Progress::default()));
        assert_eq!(fresh, Progress::default(), "of that nothing was sent");
        let sent = Progress { sent_since: Some(8), ..Progress::default() };
        for earlier in [Some(sent), None] {
            let progress = Progress::after_another(earlier);
            let counts = |is_counter| {
                let request = request(is_counter, &[5, 10]);
                let step = progress.next(0, &request, 8).expect("undecided");
                assert!(step.after.follows_another && step.before.follows_another);
                step.counts
            };
            assert_eq!(counts(true), Counts { unknown: 2, ..Counts::default() });
            assert_eq!(counts(false), Counts { unknown: 1, repeated: 1, ..Counts::default() });
        }
    }

    #[test]
    fn what_is_recorded_reads_back() {
        let unknown = vec![Unknown { request: 1, since: -7 }];
        let progress = Progress { decided: 2, sent_since: Some(9), unknown, follows_another: true };
        let text = serde_json::to_string(&progress).expect("JSON");
        assert_eq!(
            text,
            r#"{"decided":2,"sent_since":9,"unknown":[{"request":1,"since":-7}],"follows_another":true}"#
        );
        assert_eq!(serde_json::from_str::<Progress>(&text).expect("JSON"), progress);
        assert_eq!(serde_json::to_string(&Progress::default()).expect("JSON"), r#"{"decided":0}"#);
    }
}
