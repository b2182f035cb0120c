//! Round numbers along an axis.

/// A few round values from 0 to `top` or a little beyond, steps of 1, 2 or 5 times a power of 10.
pub(super) fn decimal(top: f64) -> Vec<f64> {
    let rough = top / 4.0;
    let power = 10.0_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough);
    up_to(top, factor.unwrap_or(10.0) * power)
}

/// The same for bytes: steps are powers of 2, so that they are round in MiB.
pub(super) fn binary(top: f64) -> Vec<f64> {
    up_to(top, 2.0_f64.powf((top / 4.0).log2().ceil()))
}

fn up_to(top: f64, step: f64) -> Vec<f64> {
    if top <= 0.0 || !step.is_finite() || step <= 0.0 {
        return vec![0.0, 1.0];
    }
    let steps = (top / step).ceil().clamp(1.0, 10.0) as u32;
    (0..=steps).map(|number| f64::from(number) * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_top() {
        assert_eq!(decimal(7.3), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(decimal(0.04), [0.0, 0.01, 0.02, 0.03, 0.04]);
        let mib = 1_048_576.0;
        assert_eq!(binary(100.0 * mib), [0.0, 32.0, 64.0, 96.0, 128.0].map(|n| n * mib));
        assert_eq!(decimal(0.0), [0.0, 1.0]);
        for top in [0.001, 1.0, 3.9, 123_456.0] {
            for ticks in [decimal(top), binary(top)] {
                assert!(ticks.last().copied().unwrap() >= top && ticks.len() <= 6, "{ticks:?}");
            }
        }
    }
}
