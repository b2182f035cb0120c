//! The seam that every durable effect goes through.
