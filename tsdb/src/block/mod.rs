//! A block: a directory with chunks, an index, tombstones and a meta.json.
