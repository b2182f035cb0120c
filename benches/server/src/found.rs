//! What an answer to a read has: series and samples, counted.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use prost::Message as _;

use crate::frames::frames;
use crate::http::Answer;
use crate::messages::v1;

/// Series, and samples of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) series: usize,
    pub(crate) samples: usize,
}

/// # Errors
/// If the answer is no success or can't be read.
pub(crate) fn count(answer: &Answer, is_streamed: bool) -> Result<Found> {
    let text = || String::from_utf8_lossy(answer.body.get(..500).unwrap_or(&answer.body));
    ensure!(answer.status == 200, "a read: {}: {}", answer.status, text());
    if is_streamed { streamed(&answer.body) } else { sampled(&answer.body) }
}

/// Frames of one series follow each other, but a series of many chunks has several.
fn streamed(body: &[u8]) -> Result<Found> {
    let mut samples_of: BTreeMap<Vec<(String, String)>, usize> = BTreeMap::new();
    for series in frames(body).into_iter().flat_map(|frame| frame.chunked_series) {
        let labels = series.labels.into_iter().map(|label| (label.name, label.value)).collect();
        let samples = samples_of.entry(labels).or_default();
        for chunk in &series.chunks {
            // All encodings begin with the number of samples.
            let count = chunk.data.first_chunk().context("a chunk without samples")?;
            *samples += usize::from(u16::from_be_bytes(*count));
        }
    }
    Ok(Found { series: samples_of.len(), samples: samples_of.values().sum() })
}

fn sampled(body: &[u8]) -> Result<Found> {
    let message = snap::raw::Decoder::new().decompress_vec(body).context("a read's snappy")?;
    let response = v1::ReadResponse::decode(&message[..]).context("a read's message")?;
    let series = response.results.iter().flat_map(|result| &result.timeseries);
    let mut found = Found { series: 0, samples: 0 };
    for series in series {
        found.series += 1;
        found.samples += series.samples.len();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(message: &v1::ChunkedReadResponse) -> Vec<u8> {
        let message = message.encode_to_vec();
        let mut frame = Vec::new();
        prost::encoding::encode_varint(message.len() as u64, &mut frame);
        frame.extend(crc32c::crc32c(&message).to_be_bytes());
        frame.extend(message);
        frame
    }

    #[test]
    fn samples_of_all_frames_of_a_series_are_counted() {
        let series = |value: &str, counts: &[u8]| {
            let labels = vec![v1::Label { name: "a".into(), value: value.into() }];
            let chunk = |count: &u8| v1::Chunk { data: vec![0, *count, 7], ..Default::default() };
            let chunks = counts.iter().map(chunk).collect();
            let chunked_series = vec![v1::ChunkedSeries { labels, chunks }];
            v1::ChunkedReadResponse { chunked_series, query_index: 0 }
        };
        let frames = [series("1", &[120, 120]), series("1", &[3]), series("2", &[5])];
        let answer = Answer { status: 200, body: frames.iter().flat_map(frame).collect() };
        assert_eq!(count(&answer, true).unwrap(), Found { series: 2, samples: 248 });
        let refused = Answer { status: 400, body: b"why".to_vec() };
        assert!(count(&refused, true).unwrap_err().to_string().contains("why"));
    }
}
