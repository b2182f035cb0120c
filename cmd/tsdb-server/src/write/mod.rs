//! `/api/v1/write`: remote write 1.0 and 2.0.
//!
//! ```text
//!   body ──negotiate──> message type, compression      415
//!     │ limits (http::body)                            408, 413
//!   decompress                                         400
//!     │ v1, v2: fields are walked where they are
//!   labels ──> receiver ──> DbAppender ──commit──> 204, or 400 with what was refused
//! ```
//!
//! Nothing is allocated for a sample: labels are lent from the request and copied into a set that is
//! used again, histograms into another; the head finds a series by numbers that it remembers of the
//! labels before.
//!
//! Where we differ from Prometheus 3.15: what it refuses of a 1.0 request takes the rest of that
//! request with it, and series with labels that can't be are left out with a 204. Here the rest is
//! written either way, and the sender is told with a 400.
//!
//! Source: the specifications of remote write 1.0 and 2.0; Prometheus 3.15,
//! `storage/remote/write_handler.go`.

mod decompress;
mod handler;
mod histogram;
mod labels;
mod negotiate;
mod outcome;
mod receiver;
mod v1;
mod v2;

pub(crate) use decompress::{DecompressError, MESSAGE_BYTES_MAX, snappy};
pub(crate) use handler::write;
pub use labels::LabelLimits;
pub use negotiate::MessageType;
