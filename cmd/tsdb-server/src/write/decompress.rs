//! Decompressing a body: no more than a limit, whatever it claims.

use std::io::Read;

use super::negotiate::Encoding;

/// The most bytes that a message may have, as in Prometheus; a body, too.
pub(crate) const MESSAGE_BYTES_MAX: usize = 32 << 20;
/// The largest window that a Zstandard frame may ask for: 8 MiB, what its specification asks
/// decoders to support.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// A body that does not decompress.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecompressError {
    #[error("decoded size exceeds the {limit_bytes} bytes limit")]
    TooLarge { limit_bytes: usize },
    #[error("snappy: {0}")]
    Snappy(#[from] snap::Error),
    #[error("zstd: {0}")]
    Zstd(#[from] std::io::Error),
}

/// What `body` decompresses to.
pub(super) fn decompress(encoding: Encoding, body: &[u8]) -> Result<Vec<u8>, DecompressError> {
    match encoding {
        Encoding::Snappy => snappy(body, MESSAGE_BYTES_MAX),
        Encoding::Zstd => zstd(body, MESSAGE_BYTES_MAX),
    }
}

/// Snappy's block format, whose length stands in front: five bytes can claim 4 GiB.
pub(crate) fn snappy(body: &[u8], limit_bytes: usize) -> Result<Vec<u8>, DecompressError> {
    if snap::raw::decompress_len(body)? > limit_bytes {
        return Err(DecompressError::TooLarge { limit_bytes });
    }
    Ok(snap::raw::Decoder::new().decompress_vec(body)?)
}

/// Zstandard frames. What they claim is not believed: memory follows what is there.
fn zstd(body: &[u8], limit_bytes: usize) -> Result<Vec<u8>, DecompressError> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    let mut message = Vec::new();
    decoder.take(limit_bytes as u64 + 1).read_to_end(&mut message)?;
    if message.len() > limit_bytes {
        return Err(DecompressError::TooLarge { limit_bytes });
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_decompress() {
        let message = b"to be or not to be ".repeat(100);
        let snappy_body = snap::raw::Encoder::new().compress_vec(&message).unwrap();
        assert_eq!(decompress(Encoding::Snappy, &snappy_body).unwrap(), message);
        let zstd_body = zstd::encode_all(&message[..], 3).unwrap();
        assert_eq!(decompress(Encoding::Zstd, &zstd_body).unwrap(), message);
    }

    #[test]
    fn bombs_do_not_go_off() {
        // A claim of 4 GiB - 1, and nothing behind it.
        let claim = [0xff, 0xff, 0xff, 0xff, 0x0f];
        let refused = decompress(Encoding::Snappy, &claim).unwrap_err();
        assert!(matches!(refused, DecompressError::TooLarge { .. }), "{refused}");
        let zeros = zstd::encode_all(&vec![0; 1 << 20][..], 19).unwrap();
        assert!(zeros.len() < 200, "{}", zeros.len());
        let refused = zstd(&zeros, 1 << 16).unwrap_err();
        assert!(matches!(refused, DecompressError::TooLarge { limit_bytes: 65_536 }), "{refused}");
        assert_eq!(zstd(&zeros, 1 << 20).unwrap().len(), 1 << 20);
    }

    #[test]
    fn nonsense_is_refused() {
        for encoding in [Encoding::Snappy, Encoding::Zstd] {
            assert!(decompress(encoding, b"nonsense").is_err(), "{encoding:?}");
            assert!(decompress(encoding, b"\xff\xff\xff").is_err(), "{encoding:?}");
        }
    }
}
