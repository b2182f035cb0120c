//! Protocol buffers as they are on the wire, read and written in place.
//!
//! ```text
//!   message   field*
//!   field     key = number << 3 | type   a varint
//!             0  varint
//!             1  8 bytes, little-endian
//!             2  length, a varint; bytes: a string, a message, or numbers one behind the other
//!             5  4 bytes, little-endian
//! ```
//!
//! Messages of remote write are walked, not built: strings are lent, samples go from the request's
//! bytes to the head without a copy in between. Unknown fields are skipped; groups, which went out of
//! use before there was remote write, are refused.
//!
//! Source: the encoding guide of Protocol Buffers. Tests hold it against `prost`.

mod reader;
mod writer;

#[cfg(test)]
pub(crate) use reader::Value;
pub(crate) use reader::{Field, Fields, WireError};
pub(crate) use writer::{Writer, encode_varint};
