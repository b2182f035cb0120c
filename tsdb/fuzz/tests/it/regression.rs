//! Inputs that a target once failed for.
