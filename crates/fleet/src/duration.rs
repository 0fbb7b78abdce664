// SPDX-License-Identifier: Apache-2.0
//! Lengths of time as requests, jobs and datasets write them: a number with its unit, as `90s`, `5m`, `60h` or `1d`.

use chrono::TimeDelta;

const UNITS: [(char, i64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads a length of time; `None` if the text is none.
#[must_use]
pub fn parse(text: &str) -> Option<TimeDelta> {
    let (digits, seconds) =
        UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(*unit)?, seconds)))?;
    let number: u32 = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    TimeDelta::try_seconds(i64::from(number) * seconds)
}

/// A length of time in its longest unit that gives a whole number.
#[must_use]
pub fn shown(length: TimeDelta) -> String {
    let seconds = length.num_seconds();
    let unit = UNITS.iter().find(|(_, unit)| seconds != 0 && seconds % unit == 0);
    let (unit, in_unit) = unit.copied().unwrap_or(('s', 1));
    format!("{}{unit}", seconds / in_unit)
}

/// The same of so many seconds.
#[must_use]
pub fn shown_seconds(seconds: u32) -> String {
    shown(TimeDelta::seconds(seconds.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_with_its_unit_is_a_length_of_time() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("60h", 216_000), ("1d", 86_400), ("0s", 0)] {
            assert_eq!(parse(text), Some(TimeDelta::seconds(seconds)), "{text}");
        }
        for text in ["", "5", "m", "-5m", "+5m", "5 m", "5min", "1.5h", "99999999999d", "５m"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!([300, 3_600, 86_400, 90, 0].map(shown_seconds), ["5m", "1h", "1d", "90s", "0s"]);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(seconds in any::<u32>()) {
            prop_assert_eq!(parse(&shown_seconds(seconds)), Some(TimeDelta::seconds(seconds.into())));
        }
    }
}
