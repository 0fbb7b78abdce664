// SPDX-License-Identifier: Apache-2.0
//! AWS's list prices of Lambda in US dollars, as read on 2026-09-22: the first tier of each region. A region that is not
//! here has no known price. Regions that are paid in other currencies are not here.
//!
//! Source: <https://aws.amazon.com/lambda/pricing/>

use aws_sdk_lambda::types::Architecture;

/// Prices of a GB-second on x86 and on arm64, and of a million requests, with the regions that have them.
type Prices = (Option<f64>, Option<f64>, Option<f64>, &'static [&'static str]);

const PRICES: [Prices; 10] = [
    (
        Some(0.000_016_666_7),
        Some(0.000_013_333_4),
        Some(0.20),
        &[
            "us-east-1",
            "us-east-2",
            "us-west-1",
            "us-west-2",
            "ca-central-1",
            "sa-east-1",
            "eu-west-1",
            "eu-west-2",
            "eu-west-3",
            "eu-central-1",
            "eu-north-1",
            "ap-south-1",
            "ap-northeast-1",
            "ap-northeast-2",
            "ap-northeast-3",
            "ap-southeast-1",
            "ap-southeast-2",
            "ap-southeast-4",
        ],
    ),
    (Some(0.000_022_1), Some(0.000_017_68), Some(0.27), &["af-south-1"]),
    (Some(0.000_022_92), Some(0.000_018_3), Some(0.28), &["ap-east-1"]),
    (Some(0.000_020_666_7), Some(0.000_016_533_4), Some(0.25), &["me-south-1"]),
    (Some(0.000_019_517_2), Some(0.000_015_613_8), Some(0.23), &["eu-south-1"]),
    (Some(0.000_018_333_4), Some(0.000_014_666_7), Some(0.22), &["eu-central-2"]),
    (Some(0.000_015), Some(0.000_012), Some(0.18), &["ap-southeast-5"]),
    (Some(0.000_016_666_7), Some(0.000_013_333_4), None, &["ap-southeast-3"]),
    (Some(0.000_016_666_7), None, None, &["us-gov-east-1", "us-gov-west-1"]),
    (Some(0.000_020_666_7), None, None, &["me-central-1"]),
];

/// What a GB-second costs.
pub(super) fn of_gb_second(region: &str, architecture: &Architecture) -> Option<f64> {
    let (x86, arm64, ..) = of(region)?;
    match architecture {
        Architecture::X8664 => *x86,
        Architecture::Arm64 => *arm64,
        _ => None,
    }
}

/// What a request costs.
pub(super) fn of_request(region: &str) -> Option<f64> {
    let (_, _, million, _) = of(region)?;
    million.map(|million| million / 1e6)
}

fn of(region: &str) -> Option<&'static Prices> {
    PRICES.iter().find(|(.., regions)| regions.contains(&region))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use fleet::aws::is_region;

    use super::PRICES;

    #[test]
    fn each_region_is_there_once_and_arm64_is_cheaper() {
        let mut known = HashSet::new();
        for (x86, arm64, _, regions) in PRICES {
            assert!(arm64.is_none() || arm64 < x86);
            assert!(regions.iter().all(|region| is_region(region) && known.insert(*region)), "{regions:?}");
        }
    }
}
