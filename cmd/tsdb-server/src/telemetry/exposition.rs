//! Which text format a scraper wants, and metrics in it.

use std::fmt;

use prometheus_client::encoding::{prometheus_text, text};

use crate::app::App;

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus's own, version 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The format that an `Accept` header likes best; Prometheus's own where it likes both as well.
pub(crate) fn negotiate(accept: &str) -> Format {
    let (mut prometheus, mut open_metrics) = (0.0f32, 0.0f32);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        match media.as_str() {
            "application/openmetrics-text" => open_metrics = open_metrics.max(quality),
            "text/plain" | "text/*" | "*/*" => prometheus = prometheus.max(quality),
            _ => {}
        }
    }
    if open_metrics > prometheus { Format::OpenMetrics } else { Format::Prometheus }
}

/// All metrics of the server; blocks, since the database looks at files.
pub(crate) fn write(app: &App, format: Format, out: &mut String) -> fmt::Result {
    let registries =
        std::iter::once(&app.metrics.registry).chain(app.opened().map(|opened| &opened.registry));
    match format {
        Format::Prometheus => {
            for registry in registries {
                prometheus_text::encode(out, registry)?;
            }
        }
        Format::OpenMetrics => {
            for registry in registries {
                text::encode_registry(out, registry)?;
            }
            text::encode_eof(out)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scraper_says_which_format() {
        let of_3_15 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,\
             */*;q=0.2";
        assert_eq!(negotiate(of_3_15), Format::OpenMetrics);
        for accept in ["", "*/*", "text/plain", "text/html,*/*;q=0.8", "nonsense;;q=x,"] {
            assert_eq!(negotiate(accept), Format::Prometheus, "{accept}");
        }
        let both = "application/openmetrics-text;q=0.3,text/plain;q=0.5";
        assert_eq!(negotiate(both), Format::Prometheus);
        assert_eq!(negotiate("application/openmetrics-text"), Format::OpenMetrics);
    }
}
