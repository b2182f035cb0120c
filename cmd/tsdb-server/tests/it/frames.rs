//! Frames of a streamed answer to remote read, as a reader takes them apart.

use prost::Message;

use crate::messages::v1;

/// The messages of a stream, checksums checked.
pub(crate) fn frames(mut stream: &[u8]) -> Vec<v1::ChunkedReadResponse> {
    let mut frames = Vec::new();
    while !stream.is_empty() {
        let len = prost::encoding::decode_varint(&mut stream).unwrap() as usize;
        let (checksum, rest) = stream.split_first_chunk().unwrap();
        let (message, rest) = rest.split_at(len);
        assert_eq!(u32::from_be_bytes(*checksum), crc32c::crc32c(message));
        frames.push(v1::ChunkedReadResponse::decode(message).unwrap());
        stream = rest;
    }
    frames
}
