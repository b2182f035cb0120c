//! Makes a program that differs from Prometheus a short one, for whoever looks for the reason.

use std::collections::BTreeSet;

use super::program::{Op, Program};

/// `program` without whatever it differs without; `differs` tells of what kind the difference is.
pub(crate) fn shrink(
    mut program: Program,
    differs: impl Fn(&mut Program) -> Option<String>,
) -> Program {
    let Some(kind) = differs(&mut program) else { return program };
    let mut part = program.ops.len().div_ceil(2);
    loop {
        let mut at = 0;
        let mut is_shorter = false;
        while at < program.ops.len() {
            let end = (at + part).min(program.ops.len());
            let mut shorter = without(&program, at..end);
            let is_less = shorter.ops.len() < program.ops.len();
            if is_less && differs(&mut shorter).as_ref() == Some(&kind) {
                program = shorter;
                is_shorter = true;
            } else {
                at = end;
            }
        }
        match part {
            1 if !is_shorter => return program,
            _ => part = part.div_ceil(2).max(1),
        }
    }
}

/// Appenders stay, unless nothing is appended by them.
fn without(program: &Program, range: std::ops::Range<usize>) -> Program {
    let ops = program.ops.iter().enumerate().filter(|(number, op)| {
        let is_frame = matches!(op, Op::Begin { .. } | Op::Commit { .. } | Op::Rollback { .. });
        is_frame || !range.contains(number)
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
