// SPDX-License-Identifier: Apache-2.0
//! The time that a schedule meant, which takes the place of the clock. Pure.

use chrono::{DateTime, TimeDelta, Utc};

use crate::todo::timestamp;

/// The maximum time that the local clock may be behind the scheduler's.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// Parses a scheduled time.
///
/// # Errors
///
/// What to write.
pub fn parse(text: &str) -> Result<DateTime<Utc>, String> {
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let time = time.ok().filter(|time| time.timestamp() >= 0);
    time.ok_or_else(|| format!("{text:?} is not a time; write it as 2026-12-02T18:00:00Z"))
}

/// Refuses a time that has not come, by the name of the flag or key that gave it.
///
/// # Errors
///
/// Which time, and why.
pub fn check(name: &str, at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), String> {
    if at > now + AHEAD {
        return Err(format!("{name} {} is in the future; a run can't begin before its time", timestamp(at)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_of_any_zone_and_not_in_the_future() {
        let at = parse("2026-12-02T19:00:00+01:00").expect("a time");
        assert_eq!(timestamp(at), "2026-12-02T18:00:00Z");
        for text in ["2026-12-02", "1969-12-31T00:00:00Z", "soon", ""] {
            let fault = parse(text).expect_err(text);
            assert_eq!(fault, format!("{text:?} is not a time; write it as 2026-12-02T18:00:00Z"));
        }
        let before = |minutes| at - TimeDelta::minutes(minutes);
        assert_eq!(check("--at", at, before(5)), Ok(()), "clocks differ");
        let fault = check("at", at, before(6)).expect_err("too early");
        assert_eq!(fault, "at 2026-12-02T18:00:00Z is in the future; a run can't begin before its time");
    }
}
