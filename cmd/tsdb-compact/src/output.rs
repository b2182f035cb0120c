//! What commands print, and how they end.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use tracing_subscriber::filter::LevelFilter;
use tsdb::compact::CompactError;

use crate::args::LogLevel;
use crate::engine::stopped_by;
use crate::errors::{Told, advice_on_cause, chain, told, with_advice};

/// Whether something could not be written to stdout, for another reason than that nobody reads it.
static STDOUT_FAILED: AtomicBool = AtomicBool::new(false);
/// Whether nobody reads stdout any more.
static STDOUT_CLOSED: AtomicBool = AtomicBool::new(false);

/// Stdout, as every command writes it. What can't be written ends no command and changes no verdict
/// about blocks: a reader that has had enough is fine, any other failure is told at the end.
pub(crate) struct Stdout(io::StdoutLock<'static>);

/// Locks stdout.
pub(crate) fn stdout() -> Stdout {
    Stdout(io::stdout().lock())
}

/// Whether what is written to stdout still arrives anywhere.
pub(crate) fn stdout_is_read() -> bool {
    !STDOUT_CLOSED.load(Ordering::Relaxed) && !STDOUT_FAILED.load(Ordering::Relaxed)
}

impl Stdout {
    fn note<T>(result: io::Result<T>, otherwise: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                STDOUT_CLOSED.store(true, Ordering::Relaxed);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(_) => STDOUT_FAILED.store(true, Ordering::Relaxed),
            done => return done,
        }
        Ok(otherwise)
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::note(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::note(self.0.flush(), ())
    }
}

/// Prints a line to stdout. Unlike `println!` it does not end the process where nobody reads it:
/// whoever pipes a plan into `head` has enough of it.
macro_rules! say {
    ($($text:tt)*) => { $crate::output::write_line(format_args!($($text)*)) };
}
/// Prints a line to stderr; whether anybody reads it changes nothing.
macro_rules! complain {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}
pub(crate) use {complain, say};

pub(crate) fn write_line(text: std::fmt::Arguments<'_>) {
    // Never fails: see `Stdout`.
    let _ = writeln!(stdout(), "{text}");
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything is done and fine.
    Done,
    /// It ran, and found something wrong or failed in part.
    Findings,
}

/// A mistake in how the command was called, which the parser could not see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// A command that ended early, after it had done something that has to be told.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(crate) struct EndedEarly {
    #[source]
    pub(crate) error: CompactError,
    /// What `--json` says of it.
    pub(crate) document: serde_json::Value,
}

pub(crate) fn init_logging(level: LogLevel) {
    let level = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

/// The exit code of a command that ran to its end.
pub(crate) fn report_outcome(outcome: Outcome) -> ExitCode {
    let _ = stdout().flush();
    if STDOUT_FAILED.load(Ordering::Relaxed) {
        complain!(
            "error: not all that was to be printed could be written to stdout; what the command did \
             is done all the same"
        );
        return ExitCode::from(1);
    }
    match outcome {
        Outcome::Done => ExitCode::SUCCESS,
        Outcome::Findings => ExitCode::from(1),
    }
}

/// Says on stderr, and with `--json` on stdout, what went wrong; the process's exit code.
pub(crate) fn report_error(error: &anyhow::Error, json: bool) -> ExitCode {
    let early = error.downcast_ref::<EndedEarly>().map(|early| &early.error);
    let mut text = match early.or_else(|| error.downcast_ref::<CompactError>()) {
        Some(error) => with_advice(error),
        None => chain(error.as_ref()),
    };
    if let (None, Some(advice)) = (told(&text).advice, advice_on_cause(error.as_ref())) {
        text += &format!("\n  {advice}");
    }
    let code = if let Some((name, number)) = stopped_by() {
        complain!("stopped by {name}: what was finished stays, nothing else is left behind");
        128 + number
    } else {
        complain!("error: {text}");
        if error.is::<UsageError>() { 2 } else { 1 }
    };
    if json {
        let mut document = match error.downcast_ref::<EndedEarly>() {
            Some(early) => early.document.clone(),
            None => serde_json::json!({}),
        };
        let Told { error, advice } = told(&text);
        document["error"] = error.into();
        document["advice"] = advice.into();
        let _ = print_json(&document);
    }
    ExitCode::from(code)
}

/// A mistake on the command line as the parser words it, also as a JSON document where one was
/// asked for; help and version are printed as they are.
pub(crate) fn report_parse_error(error: &clap::Error) -> ExitCode {
    let json = std::env::args_os().take_while(|arg| arg != "--").any(|arg| arg == "--json");
    if error.use_stderr() && json {
        // The message ends at the first empty line; usage and hints follow.
        let text = error.render().to_string();
        let message: Vec<&str> =
            text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
        let message = message.join(" ");
        let message = message.trim_start_matches("error: ");
        let _ = print_json(&serde_json::json!({ "error": message }));
    }
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// Prints one JSON document.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = stdout();
    serde_json::to_writer_pretty(&mut out, value).map_err(std::io::Error::from)?;
    writeln!(out)?;
    Ok(())
}

/// A path as every JSON document has it. JSON is Unicode, a path is not: bytes that are no UTF-8 are
/// replaced, as they are in text. Never hand a path itself to `json!`: it would panic on such a one.
pub(crate) fn path_json(path: &Path) -> serde_json::Value {
    path.to_string_lossy().into()
}

/// Paths, as [`path_json`].
pub(crate) fn paths_json<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> serde_json::Value {
    paths.into_iter().map(|path| path_json(path.as_ref())).collect()
}

/// A table with aligned columns: text to the left, numbers to the right.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(crate) fn print(&self) -> anyhow::Result<()> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let numeric = |column: usize| {
            let is_number = |cell: &String| {
                cell.chars().next().is_some_and(|c| c.is_ascii_digit()) && !cell.contains('T')
            };
            self.rows.len() > 1
                && self.rows[1..].iter().filter_map(|r| r.get(column)).all(is_number)
                && self.rows[1..].iter().filter_map(|r| r.get(column)).all(|c| c.len() < 20)
        };
        let right: Vec<bool> = (0..columns).map(numeric).collect();
        let mut out = stdout();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let pad = " ".repeat(widths[column] - cell.chars().count());
                if column > 0 {
                    line.push_str("  ");
                }
                if right[column] {
                    line.push_str(&pad);
                    line.push_str(cell);
                } else {
                    line.push_str(cell);
                    line.push_str(&pad);
                }
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}
