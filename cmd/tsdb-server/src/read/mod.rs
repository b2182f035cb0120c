//! `/api/v1/read`: remote read, as samples and as a stream of chunks.
//!
//! ```text
//!   SAMPLES               ReadResponse, snappy            whole in memory: limited
//!   STREAMED_XOR_CHUNKS   frame*                          a few frames in memory
//!     frame               length, a varint │ CRC-32C of the message, big-endian │ message
//!     message             ChunkedReadResponse: one series, or a part of its chunks
//! ```
//!
//! Chunks go out as they stand in blocks and head. Those that overlap each other, hold deleted
//! samples or reach out of the range are encoded anew. What can't be read ends the answer: a stream is
//! then cut off, so that nobody takes a part for the whole.
//!
//! Source: the specification of remote read; Prometheus 3.15, `storage/remote/read_handler.go`,
//! `storage/remote/codec.go`, `storage/remote/chunked.go`.

mod chunks;
mod error;
mod frames;
mod handler;
mod recode;
mod request;
mod samples;
mod stream;

pub(crate) use handler::read;
