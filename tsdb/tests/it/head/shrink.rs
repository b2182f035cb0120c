//! Makes a program that differs from Prometheus a short one, for whoever looks for the reason.

use std::collections::BTreeSet;

use super::program::{Op, Program};

/// `program` without whatever it differs without; `differs` tells of what kind the difference is.
///
/// Whole series go first, then runs of operations, shorter ones each time.
pub(crate) fn shrink(
    mut program: Program,
    mut differs: impl FnMut(&mut Program) -> Option<String>,
) -> Program {
    let Some(kind) = differs(&mut program) else { return program };
    let mut is_so = |shorter: &mut Program| differs(shorter).as_ref() == Some(&kind);
    let series = program.series.len();
    for part in parts(series) {
        for start in (0..series).step_by(part) {
            let range = start..start + part;
            let of_these = |_, op: &Op| op.series().is_some_and(|number| range.contains(&number));
            shorten(&mut program, of_these, &mut is_so);
        }
    }
    loop {
        let mut is_shorter = false;
        for part in parts(program.ops.len()) {
            let mut at = 0;
            while at < program.ops.len() {
                let range = at..at + part;
                let is_less =
                    shorten(&mut program, |number, _| range.contains(&number), &mut is_so);
                is_shorter |= is_less;
                at = if is_less { at } else { range.end };
            }
        }
        if !is_shorter {
            return program;
        }
    }
}

/// A half of `count`, a quarter, and so on to one.
fn parts(count: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(count.div_ceil(2).max(1)), |part| {
        (*part > 1).then(|| part.div_ceil(2))
    })
}

/// Leaves the operations of `which` out, if `program` is what it was without them.
fn shorten(
    program: &mut Program,
    which: impl Fn(usize, &Op) -> bool,
    is_so: &mut impl FnMut(&mut Program) -> bool,
) -> bool {
    let mut shorter = without(program, which);
    let is_less = shorter.ops.len() < program.ops.len() && is_so(&mut shorter);
    if is_less {
        *program = shorter;
    }
    is_less
}

/// Appenders stay, unless nothing is appended by them.
fn without(program: &Program, which: impl Fn(usize, &Op) -> bool) -> Program {
    let ops = program.ops.iter().enumerate().filter(|(number, op)| {
        let is_frame = matches!(op, Op::Begin { .. } | Op::Commit { .. } | Op::Rollback { .. });
        is_frame || !which(*number, op)
    });
    let mut ops: Vec<Op> = ops.map(|(_, op)| op.clone()).collect();
    let mut idle = BTreeSet::new();
    let mut begun: Vec<(usize, usize, bool)> = Vec::new();
    for (number, op) in ops.iter().enumerate() {
        match op {
            Op::Begin { appender } => begun.push((*appender, number, false)),
            Op::Append(append) => mark(&mut begun, append.appender),
            Op::Exemplars { appender, .. } | Op::Metadata { appender, .. } => {
                mark(&mut begun, *appender);
            }
            Op::Commit { appender } | Op::Rollback { appender } => {
                let place = begun.iter().position(|open| open.0 == *appender).unwrap();
                let (_, begin, is_used) = begun.remove(place);
                if !is_used {
                    idle.extend([begin, number]);
                }
            }
            _ => {}
        }
    }
    let mut number = 0;
    ops.retain(|_| {
        number += 1;
        !idle.contains(&(number - 1))
    });
    Program { ops, ..program.clone() }
}

fn mark(begun: &mut [(usize, usize, bool)], appender: usize) {
    begun.iter_mut().find(|open| open.0 == appender).unwrap().2 = true;
}
