//! Write and scan large files past the page cache.
