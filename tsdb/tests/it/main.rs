//! Integration tests of the engine.

mod query_matchers;
