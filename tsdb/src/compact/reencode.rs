//! Re-encoding of overlapping and trimmed chunks.
