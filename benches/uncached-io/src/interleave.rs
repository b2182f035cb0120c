//! Rounds over all arms of a bench, every second one backwards, so that no arm always comes first
//! and what drifts meets all of them.

use anyhow::{Context as _, Result};

use crate::run::{Record, Run};

/// One arm in one case, and how it is run.
pub(crate) struct Arm<'a> {
    pub(crate) case: String,
    pub(crate) name: String,
    pub(crate) run: Box<dyn Fn() -> Result<Run> + 'a>,
}

impl<'a> Arm<'a> {
    pub(crate) fn new(
        case: impl Into<String>,
        name: impl Into<String>,
        run: impl Fn() -> Result<Run> + 'a,
    ) -> Self {
        Self { case: case.into(), name: name.into(), run: Box::new(run) }
    }
}

/// Runs each arm `repeats` times.
pub(crate) fn interleave(bench: &str, arms: &[Arm<'_>], repeats: u32) -> Result<Vec<Record>> {
    let record = |arm: &Arm<'_>| Record {
        bench: bench.to_owned(),
        case: arm.case.clone(),
        arm: arm.name.clone(),
        runs: Vec::new(),
    };
    let mut records: Vec<Record> = arms.iter().map(record).collect();
    for round in 0..repeats {
        let mut order: Vec<_> = arms.iter().zip(&mut records).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        eprintln!("{bench}: round {} of {repeats}", round + 1);
        for (arm, record) in order {
            let run =
                (arm.run)().with_context(|| format!("{bench}, {}: {}", arm.case, arm.name))?;
            let (seconds, rate) = (run.seconds, run.mib_per_second());
            eprintln!("  {}, {}: {seconds:.2} s, {rate:.0} MiB/s", arm.case, arm.name);
            record.runs.push(run);
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Fails if rounds are not interleaved: all runs of one arm, then all of the next.
    #[test]
    fn every_second_round_is_backwards() {
        let order = RefCell::new(String::new());
        let arms: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .map(|name| {
                let order = &order;
                Arm::new("case", name, move || {
                    order.borrow_mut().push_str(name);
                    Ok(Run { seconds: 1.0, ..Run::default() })
                })
            })
            .collect();
        let records = interleave("bench", &arms, 3).unwrap();
        assert_eq!(*order.borrow(), "abccbaabc");
        assert!(records.iter().all(|record| record.runs.len() == 3));
    }
}
