//! Which server an arm is, and how it is started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::arms::Side;
use super::load::Load;
use crate::output::UsageError;

/// What understands which flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    TsdbServer,
    Prometheus,
}

/// A server and its flags.
#[derive(Debug, Clone)]
pub(in super::super) struct Server {
    kind: Kind,
    program: PathBuf,
    flags: Vec<String>,
}

const FEATURE: &str = "use-uncached-io";

impl Server {
    /// Asks the program who it is. Without `flags`, the baseline is buffered and the candidate is not.
    pub(super) fn resolve(
        program: &Path,
        flags: Option<&str>,
        side: Side,
    ) -> Result<Self, UsageError> {
        let kind = kind_of(program)?;
        let flags = flags.unwrap_or(match (kind, side) {
            (Kind::TsdbServer, Side::Baseline) => "--uncached-io=off",
            (Kind::Prometheus, Side::Baseline) => "",
            (_, Side::Candidate) => "--enable-feature=use-uncached-io",
        });
        let flags: Vec<String> = flags.split_whitespace().map(str::to_owned).collect();
        let ours = ["--storage.tsdb.path", "--web.listen-address", "--config.file"];
        if let Some(flag) =
            flags.iter().find(|flag| ours.iter().any(|own| flag.split('=').next() == Some(*own)))
        {
            let text = format!("{flag} can't be part of an arm: each run sets it anew");
            return Err(UsageError(text));
        }
        Ok(Self { kind, program: program.to_owned(), flags })
    }

    /// How reports call it.
    pub(super) fn describe(&self) -> String {
        let name = match self.kind {
            Kind::TsdbServer => "tsdb-server",
            Kind::Prometheus => "prometheus",
        };
        [name]
            .into_iter()
            .chain(self.flags.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Whether it promises to go past the page cache; `None` where that is up to the filesystem.
    pub(super) fn is_direct(&self) -> Option<bool> {
        let has = |text: &str| self.flags.iter().any(|flag| flag.contains(text));
        match has("uncached-io=prefer") {
            true => None,
            false => Some(has(FEATURE) || has("uncached-io=required")),
        }
    }

    /// The command that serves `dir` at `address`.
    pub(super) fn command(&self, dir: &Path, address: SocketAddr, load: &Load) -> Command {
        let mut command = Command::new(&self.program);
        let ms = |duration: std::time::Duration| format!("{}ms", duration.as_millis());
        command
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-remote-write-receiver", "--log.level=warn"])
            .arg(format!("--storage.tsdb.min-block-duration={}", ms(load.block_range)))
            .arg(format!("--storage.tsdb.max-block-duration={}", ms(load.block_range_max)))
            .arg("--storage.tsdb.block-reload-interval=1s");
        match self.kind {
            Kind::TsdbServer => command.arg("--web.self-scrape-interval=0s"),
            Kind::Prometheus => {
                command.arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
            }
        };
        command.args(&self.flags);
        command
    }
}

fn kind_of(program: &Path) -> Result<Kind, UsageError> {
    let advice = "give a tsdb-server or a prometheus, as in --server=/usr/bin/prometheus";
    let shown = program.display();
    let output = Command::new(program)
        .arg("--version")
        .output()
        .map_err(|error| UsageError(format!("{shown} can't be run: {error}\n  {advice}")))?;
    let said = [output.stdout, output.stderr].concat();
    match String::from_utf8_lossy(&said).split_whitespace().next() {
        Some("tsdb-server") => Ok(Kind::TsdbServer),
        Some("prometheus,") => Ok(Kind::Prometheus),
        _ => Err(UsageError(format!("{shown} is no server that this program knows\n  {advice}"))),
    }
}

/// A `tsdb-server` beside this program, or else wherever the shell finds it.
pub(super) fn default_program() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name("tsdb-server"));
    beside.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from("tsdb-server"))
}
