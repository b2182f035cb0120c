//! `--enable-feature`: Prometheus's names, as far as they mean something here.

use crate::error::ConfigError;

/// Features that have a meaning here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Features {
    /// `exemplar-storage`: exemplars are kept in memory.
    pub exemplar_storage: bool,
    /// `metadata-wal-records`: type, unit and help of series are logged.
    pub metadata_wal_records: bool,
    /// `st-storage`: start timestamps are stored, of what remote write brings as well.
    pub st_storage: bool,
    /// `xor2-encoding`: floats are encoded so.
    pub xor2_encoding: bool,
    /// `histograms-st-encoding`: chunks of histograms keep start timestamps.
    pub histograms_st_encoding: bool,
    /// `use-uncached-io`: bulk I/O goes past the page cache, or the server does not start.
    pub use_uncached_io: bool,
}

/// Features of Prometheus that are on here in any case.
const ALWAYS_ON: [&str; 2] = ["native-histograms", "ooo-native-histograms"];

type Set = fn(&mut Features);

const KNOWN: [(&str, Set); 6] = [
    ("exemplar-storage", |features| features.exemplar_storage = true),
    ("metadata-wal-records", |features| features.metadata_wal_records = true),
    ("st-storage", |features| features.st_storage = true),
    ("xor2-encoding", |features| features.xor2_encoding = true),
    ("histograms-st-encoding", |features| features.histograms_st_encoding = true),
    ("use-uncached-io", |features| features.use_uncached_io = true),
];

impl Features {
    /// The features of these names.
    ///
    /// # Errors
    /// [`ConfigError::UnknownFeature`]: Prometheus only warns, but who asks for what there is not
    /// should know before samples come.
    pub(crate) fn parse<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, ConfigError> {
        let mut features = Self::default();
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            match KNOWN.iter().find(|(known, _)| *known == name) {
                Some((_, set)) => set(&mut features),
                None if ALWAYS_ON.contains(&name) => {}
                None => {
                    let known = KNOWN.map(|(known, _)| known).join(", ");
                    return Err(ConfigError::UnknownFeature { name: name.to_owned(), known });
                }
            }
        }
        Ok(features)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_features_are_refused_by_name() {
        let features = Features::parse(["st-storage", "native-histograms", ""]).unwrap();
        assert!(features.st_storage && !features.exemplar_storage);
        let refused = Features::parse(["agent"]).unwrap_err().to_string();
        assert!(refused.contains("\"agent\"") && refused.contains("exemplar-storage"), "{refused}");
    }
}
