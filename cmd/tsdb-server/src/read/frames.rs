//! Frames of a stream.
//!
//! ```text
//!   frame     length, a varint │ CRC-32C of the message, big-endian │ message
//!   message   1 series  2 number of the query
//!   series    1 label*  2 chunk*
//!   label     1 name  2 value
//!   chunk     1 first time  2 last time  3 encoding  4 data
//! ```

use super::recode::Recoded;
use crate::protobuf::{Writer, encode_varint};

/// Writes frames behind each other. One frame has one series, or a part of its chunks.
#[derive(Debug)]
pub(super) struct FrameWriter {
    frame_bytes_max: usize,
    query: u64,
    labels: Writer,
    chunks: Writer,
    message: Writer,
    /// Frames that are done.
    out: Vec<u8>,
}

impl FrameWriter {
    pub(super) fn new(frame_bytes_max: usize) -> Self {
        Self {
            frame_bytes_max,
            query: 0,
            labels: Writer::new(),
            chunks: Writer::new(),
            message: Writer::new(),
            out: Vec::new(),
        }
    }

    /// Goes on with a series of this query. The one before has to be ended.
    pub(super) fn begin(&mut self, query: u64, labels: &[(&str, &str)]) {
        self.query = query;
        self.labels.clear();
        self.chunks.clear();
        for (name, value) in labels {
            self.labels.message(1, |label| {
                label.string(1, name);
                label.string(2, value);
            });
        }
    }

    /// Adds a chunk of the series, and ends the frame if it is long enough.
    pub(super) fn chunk(&mut self, chunk: Recoded<'_>) {
        self.chunks.message(2, |message| {
            message.int64(1, chunk.min_time);
            message.int64(2, chunk.max_time);
            message.uint64(3, chunk.encoding as u64);
            message.raw(4, chunk.data);
        });
        if self.labels.len() + self.chunks.len() >= self.frame_bytes_max {
            self.end();
        }
    }

    /// Ends the frame, if there is something in it.
    pub(super) fn end(&mut self) {
        if self.chunks.len() == 0 {
            return;
        }
        self.message.clear();
        self.message.pair(1, self.labels.bytes(), self.chunks.bytes());
        self.message.uint64(2, self.query);
        let message = self.message.bytes();
        let (length, length_len) = encode_varint(message.len() as u64);
        self.out.extend_from_slice(length.get(..length_len).unwrap_or_default());
        self.out.extend_from_slice(&crc32c::crc32c(message).to_be_bytes());
        self.out.extend_from_slice(message);
        self.chunks.clear();
    }

    /// How many bytes of frames are done.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// Takes the frames that are done.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let capacity = self.out.capacity();
        std::mem::replace(&mut self.out, Vec::with_capacity(capacity))
    }
}

#[cfg(test)]
mod tests {
    use tsdb::query::Encoding;

    use super::*;

    #[test]
    fn a_long_series_has_several_frames() {
        let mut frames = FrameWriter::new(300);
        frames.begin(0, &[("__name__", "up")]);
        for at in 0..5 {
            let data = [at as u8; 100];
            let encoding = Encoding::Xor;
            frames.chunk(Recoded { encoding, min_time: at, max_time: at, data: &data });
        }
        frames.end();
        // Three chunks make a frame full, two are left.
        let bytes = frames.take();
        let len = usize::from(bytes[0] & 0x7f) | usize::from(bytes[1]) << 7;
        let (crc, rest) = bytes[2..].split_first_chunk().unwrap();
        let (first, second) = rest.split_at(len);
        assert_eq!(u32::from_be_bytes(*crc), crc32c::crc32c(first));
        assert!(second.len() > 200 && second.len() < len, "{} {len}", second.len());
        frames.end();
        assert_eq!(frames.len(), 0, "an empty frame is none");
    }
}
