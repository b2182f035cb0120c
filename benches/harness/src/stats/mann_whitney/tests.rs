//! Against values that were counted another way.
//!
//! The exact p-values are those of a Python program that goes through every choice of ranks
//! (`itertools.combinations`) in whole numbers: twice the smaller tail, divided by the number of
//! choices. Those of many values, and of the error function, are by Python's `math.erfc` from the
//! textbook's formula.

use super::*;

fn near(got: f64, wanted: f64) {
    assert!((got - wanted).abs() <= 1e-11 * wanted, "{got} instead of {wanted}");
}

fn tested(first: &[f64], second: &[f64], u: f64, p: f64) {
    let test = mann_whitney(first, second).unwrap();
    assert_eq!((test.u, test.exact), (u, first.len() + second.len() <= EXACT_MAX));
    near(test.p, p);
    // The other way around the same chance, and all the other pairs.
    let other = mann_whitney(second, first).unwrap();
    assert_eq!(other.u, (first.len() * second.len()) as f64 - u);
    near(other.p, p);
}

#[test]
fn few_values_without_ties_are_counted() {
    tested(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], 0.0, 2.0 / 20.0);
    let (first, second) = ([1.1, 3.2, 5.3, 7.4, 2.5], [2.1, 4.2, 6.3, 8.4, 9.5, 10.6]);
    tested(&first, &second, 7.0, 2.0 * 41.0 / 462.0);
    let first: Vec<f64> = (1..=10).map(f64::from).collect();
    let second: Vec<f64> = first.iter().map(|value| value + 4.5).collect();
    tested(&first, &second, 15.0, 0.006_841_455_757_864_426);
}

#[test]
fn ties_are_counted_as_well() {
    let (first, second) = ([1.0, 2.0, 2.0, 3.0, 3.0, 3.0], [2.0, 3.0, 4.0, 4.0, 5.0]);
    tested(&first, &second, 5.5, 2.0 * 26.0 / 462.0);
    let first = [5.0, 5.0, 5.0, 6.0, 6.0, 7.0, 7.0, 8.0, 8.0, 9.0];
    let second = [6.0, 7.0, 7.0, 8.0, 8.0, 8.0, 9.0, 9.0, 10.0, 10.0];
    tested(&first, &second, 21.0, 0.027_614_800_060_620_493);
}

#[test]
fn many_values_are_close_to_normal() {
    let mixed = |i: u32, step: u32, modulus: u32| f64::from(step * i % modulus);
    let first: Vec<f64> = (0..30).map(|i| mixed(i, 7, 61) + 0.25 * f64::from(i % 4)).collect();
    let second: Vec<f64> =
        (0..40).map(|i| mixed(i, 11, 67) + 5.0 + 0.5 * f64::from(i % 3)).collect();
    tested(&first, &second, 422.0, 0.035_151_298_553_89);
    let first: Vec<f64> = (0..40).map(|i| f64::from(i % 5)).collect();
    let second: Vec<f64> = (0..40).map(|i| f64::from(i % 5 + u32::from(i % 3 == 0))).collect();
    tested(&first, &second, 700.0, 0.329_388_941_245_546_63);
}

#[test]
fn equal_values_say_nothing() {
    tested(&[1.0; 10], &[1.0; 10], 50.0, 1.0);
    tested(&[1.0; 40], &[1.0; 40], 800.0, 1.0);
    assert_eq!(mann_whitney(&[], &[1.0]), None);
}

#[test]
fn the_least_chance_is_that_of_sets_apart() {
    near(least_p(3, 3), 0.1);
    near(least_p(10, 10), 2.0 / 184_756.0);
    assert_eq!(least_p(1, 1), 1.0);
    let first: Vec<f64> = (0..7).map(f64::from).collect();
    let second: Vec<f64> = (7..14).map(f64::from).collect();
    near(mann_whitney(&first, &second).unwrap().p, least_p(7, 7));
}

/// On both sides of 2, where one formula follows the other.
#[test]
fn the_error_function_is_right_to_eleven_digits() {
    let values = [
        (0.0, 1.0),
        (0.5, 0.479_500_122_186_953_5),
        (1.0, 0.157_299_207_050_285_13),
        (1.9, 0.007_209_570_764_742_532_5),
        (2.0, 0.004_677_734_981_047_265),
        (2.1, 0.002_979_466_656_332_984),
        (3.0, 2.209_049_699_858_543_8e-5),
        (5.0, 1.537_459_794_428_035_1e-12),
        (8.0, 1.122_429_717_298_292_8e-29),
    ];
    for (x, wanted) in values {
        let got = erfc(x);
        assert!((got - wanted).abs() <= 1e-11 * wanted, "erfc({x}): {got}, not {wanted}");
    }
}
