//! What was found out, for people and as JSON.

use serde_json::{Value, json};
use uncached_io::EngineKind;

use super::Probed;
use super::measure::Measured;
use crate::errors::chain;
use crate::output::{Table, path_json, say};
use crate::units::{display_bytes, display_count};

/// An engine must be faster by this much than the default one to be worth a word.
const MUCH_FASTER: f64 = 1.1;

/// What to do.
struct Recommendation {
    /// Of tsdb-compact.
    flag: &'static str,
    /// What it will write with.
    engine: EngineKind,
    why: String,
}

impl Probed {
    pub(super) fn print(&self) -> anyhow::Result<()> {
        say!("{}: {}", self.dir.display(), self.filesystem.text());
        match &self.direct {
            Ok(alignment) => say!(
                "  uncached I/O works; alignment: {} B in memory, {} B of writes, {} B of reads",
                alignment.mem_align,
                alignment.offset_align,
                alignment.read_offset_align
            ),
            Err(reason) => say!("  no uncached I/O: {}", chain(reason)),
        }
        if let Some(text) = self.cache_text() {
            say!("  {text}");
        }
        say!("");
        self.print_engines()?;
        say!("");
        let Recommendation { flag, engine, why } = self.recommendation();
        say!("recommended: {flag} (engine {engine}): {why}");
        Ok(())
    }

    /// What the page cache held of files written directly, if any were.
    fn cache_text(&self) -> Option<String> {
        let direct = self.measured().any(|(kind, _)| kind.is_direct());
        let seen =
            self.measured().any(|(kind, it)| kind.is_direct() && it.cached_pages_max.is_some());
        if let Some((kind, pages)) = self.cached_anyway() {
            let pages = display_count(pages);
            return Some(format!("not quite uncached: {pages} pages cached at most, with {kind}"));
        }
        let size = display_bytes(self.file_bytes);
        match (direct, seen) {
            (true, true) => Some(format!(
                "measured: no page of a file of {size} was cached while it was written, nor after"
            )),
            (true, false) => {
                Some("the kernel can't tell what is cached (Linux 6.5 can)".to_owned())
            }
            (false, _) => None,
        }
    }

    fn print_engines(&self) -> anyhow::Result<()> {
        let mut table =
            Table::new(&["ENGINE", "MIB/S", "CALL P50", "P99.9", "MAX", "CACHED AT MOST", "NOTE"]);
        for (report, measured) in &self.engines {
            let mut row = vec![report.kind.to_string()];
            match measured {
                Some(it) => row.extend(figures(it)),
                None => row.extend(["-"; 5].map(str::to_owned)),
            }
            row.push(match &report.result {
                Ok(()) if report.kind == self.engine => "works, the default here".to_owned(),
                Ok(()) => "works".to_owned(),
                Err(why) => chain(why),
            });
            table.row(row);
        }
        table.print()
    }

    fn recommendation(&self) -> Recommendation {
        let works = |wanted| {
            self.engines.iter().any(|(report, _)| report.kind == wanted && report.result.is_ok())
        };
        if self.direct.is_ok() {
            return Recommendation {
                flag: "--enable-feature=use-uncached-io",
                engine: self.engine,
                why: self.why_direct(),
            };
        }
        if works(EngineKind::DontCache) {
            let why = "files go through the page cache, and the kernel drops them again".to_owned();
            return Recommendation {
                flag: "--uncached-io=prefer",
                engine: EngineKind::DontCache,
                why,
            };
        }
        let why = "files go through the page cache with few dirty pages at a time; for uncached I/O \
                   take another filesystem (ext4, xfs, btrfs)";
        let engine = EngineKind::Buffered;
        Recommendation { flag: "--uncached-io=prefer", engine, why: why.to_owned() }
    }

    /// Figures, if there are any.
    fn why_direct(&self) -> String {
        let rate = |wanted| {
            self.measured().find(|(kind, _)| *kind == wanted).map(|(_, it)| it.mib_per_second())
        };
        let mut why = "nothing else is evicted from the page cache".to_owned();
        let Some(default) = rate(self.engine) else { return why };
        if let Some(buffered) = rate(EngineKind::Buffered) {
            why += &format!(", at {:.2} times the rate of buffered", default / buffered);
        }
        let direct = self.measured().filter(|(kind, _)| kind.is_direct());
        let fastest = direct.max_by(|a, b| a.1.mib_per_second().total_cmp(&b.1.mib_per_second()));
        if let Some((kind, it)) = fastest
            && it.mib_per_second() > default * MUCH_FASTER
        {
            let times = it.mib_per_second() / default;
            why += &format!(
                "; {kind} was {times:.2} times as fast: --uncached-io-engine={kind} takes it"
            );
        }
        why
    }

    /// As `--json` has it.
    pub(super) fn json(&self) -> Value {
        let alignment = self.direct.as_ref().ok().map(|it| {
            json!({ "memory": it.mem_align, "write": it.offset_align, "read": it.read_offset_align })
        });
        let engines: Vec<Value> = self
            .engines
            .iter()
            .map(|(report, measured)| {
                let why = report.result.as_ref().err();
                json!({
                    "engine": report.kind.name(),
                    "works": report.result.is_ok(),
                    "reason": why.map(|why| why.name()),
                    "message": why.map(|why| chain(why)),
                    "measured": measured.as_ref().map(measured_json),
                })
            })
            .collect();
        let Recommendation { flag, engine, why } = self.recommendation();
        let fallback = self.direct.as_ref().err();
        json!({
            "path": path_json(&self.dir),
            "filesystem": self.filesystem.kind,
            "device": self.filesystem.source,
            "uncached": self.direct.is_ok(),
            "fallbackReason": fallback.map(|reason| reason.name()),
            "fallbackErrno": fallback.and_then(|reason| reason.errno()).map(|errno| errno.0),
            "fallbackMessage": fallback.map(|reason| chain(reason)),
            "alignment": alignment,
            "fileBytes": self.file_bytes,
            "engines": engines,
            "recommendation": { "flag": flag, "engine": engine.name(), "why": why },
        })
    }
}

/// The cells of a measured engine.
fn figures(measured: &Measured) -> [String; 5] {
    let calls = &measured.calls;
    let cached = measured.cached_pages_max.map_or("-".to_owned(), |pages| {
        if pages == 0 { "nothing".to_owned() } else { format!("{} pages", display_count(pages)) }
    });
    [
        format!("{:.0}", measured.mib_per_second()),
        display_micros(calls.percentile(50.0)),
        display_micros(calls.percentile(99.9)),
        display_micros(calls.max()),
        cached,
    ]
}

fn display_micros(duration: std::time::Duration) -> String {
    let micros = duration.as_secs_f64() * 1e6;
    if micros < 1000.0 { format!("{micros:.0} us") } else { format!("{:.1} ms", micros / 1e3) }
}

fn measured_json(measured: &Measured) -> Value {
    let calls = &measured.calls;
    let micros = |duration: std::time::Duration| duration.as_secs_f64() * 1e6;
    json!({
        "seconds": measured.seconds,
        "bytes": measured.bytes,
        "files": measured.files,
        "mibPerSecond": measured.mib_per_second(),
        "cachedPagesMax": measured.cached_pages_max,
        "callMicroseconds": {
            "count": calls.count(),
            "mean": micros(calls.mean()),
            "stddev": micros(calls.stddev()),
            "p50": micros(calls.percentile(50.0)),
            "p99": micros(calls.percentile(99.0)),
            "p999": micros(calls.percentile(99.9)),
            "max": micros(calls.max()),
        },
    })
}
