// SPDX-License-Identifier: Apache-2.0
//! Figures over many measurements. Plain functions over values.

/// The value that so much of all are at most, by nearest rank; none of none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rank"
)]
pub(crate) fn percentile(values: &[f64], percent: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// How many a second are done between the moments at which a tenth and nine tenths of them are, so that
/// neither the start nor the last ones count; `None` if they are too few.
#[expect(clippy::cast_precision_loss, reason = "a count of jobs")]
pub(crate) fn steady_rate(done_at: &[f64]) -> Option<f64> {
    let mut sorted = done_at.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (tenth, nine_tenths) = (sorted.len() / 10, sorted.len() * 9 / 10);
    let seconds = sorted.get(nine_tenths)? - sorted.get(tenth)?;
    (seconds > 0.0).then(|| (nine_tenths - tenth) as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0];
        let of = |percent| percentile(&values, percent);
        assert_eq!([of(0.0), of(50.0), of(95.0), of(100.0)], [Some(1.0), Some(3.0), Some(5.0), Some(5.0)]);
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn the_steady_rate_leaves_out_a_slow_start_and_end() {
        let mut done_at: Vec<f64> = (0..=100).map(f64::from).collect();
        done_at[0] = -1000.0;
        done_at[100] = 5000.0;
        assert_eq!(steady_rate(&done_at), Some(1.0));
        assert_eq!(steady_rate(&[1.0]), None);
    }
}
