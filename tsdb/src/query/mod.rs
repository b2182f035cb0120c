//! Queries over blocks.
