//! Tries the targets without libFuzzer, and writes seeds for it.
//!
//! ```text
//! tsdb-fuzz list                          the names of the targets
//! tsdb-fuzz seed DIR                      DIR/TARGET/NUMBER: seeds from testdata
//! tsdb-fuzz run TARGET RUNS [SEED]        mutations of the seeds
//! tsdb-fuzz try TARGET FILE...            one input each
//! ```

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use tsdb_fuzz::{TARGETS, Target, run, seeds, target};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn dispatch(args: &[&str]) -> Result<(), Box<dyn Error>> {
    match args {
        ["list"] => TARGETS.iter().for_each(|target| println!("{}", target.name)),
        ["seed", dir] => write_seeds(Path::new(dir))?,
        ["run", name, runs] => run(named(name)?, 0, runs.parse()?),
        ["run", name, runs, seed] => run(named(name)?, seed.parse()?, runs.parse()?),
        ["try", name, files @ ..] => {
            for file in files {
                named(name)?.check(&fs::read(file)?);
            }
        }
        _ => {
            return Err(
                "usage: tsdb-fuzz list | seed DIR | run TARGET RUNS [SEED] | try TARGET FILE..."
                    .into(),
            );
        }
    }
    Ok(())
}

fn named(name: &str) -> Result<&'static Target, String> {
    target(name).ok_or_else(|| format!("no target {name:?}; `tsdb-fuzz list` lists them"))
}

fn write_seeds(dir: &Path) -> std::io::Result<()> {
    for target in TARGETS {
        let dir = dir.join(target.name);
        fs::create_dir_all(&dir)?;
        for (number, seed) in seeds(target).iter().enumerate() {
            fs::write(dir.join(format!("{number:03}")), seed)?;
        }
    }
    Ok(())
}
