//! Holm's correction: many tests at once, and still a chance of 5 % that any of them errs.

/// Adjusted p-values, in the order of `p_values`: reject where the adjusted one is below the level,
/// and the chance of even one wrong rejection among them all stays below it.
///
/// The smallest is multiplied by the number of tests, the next by one less, and so on; none is
/// less than one before it, and none more than 1. (S. Holm, "A Simple Sequentially Rejective
/// Multiple Test Procedure", 1979.)
#[must_use]
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    let p_of = |index: usize| p_values.get(index).copied().unwrap_or(1.0);
    order.sort_by(|&a, &b| p_of(a).total_cmp(&p_of(b)));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        let left = (p_values.len() - rank) as f64;
        least = least.max((p_of(index) * left).min(1.0));
        if let Some(place) = adjusted.get_mut(index) {
            *place = least;
        }
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: &[f64], wanted: &[f64]) {
        assert_eq!(got.len(), wanted.len());
        for (got, wanted) in got.iter().zip(wanted) {
            assert!((got - wanted).abs() < 1e-12, "{got} instead of {wanted}");
        }
    }

    /// Worked out by hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, then not less than that.
    #[test]
    fn smallest_first_and_never_falling() {
        near(&holm(&[0.01, 0.04, 0.03, 0.005]), &[0.03, 0.06, 0.06, 0.02]);
    }

    #[test]
    fn one_test_is_left_alone_and_nothing_exceeds_1() {
        near(&holm(&[0.04]), &[0.04]);
        near(&holm(&[0.9, 0.6]), &[1.0, 1.0]);
        near(&holm(&[]), &[]);
    }
}
