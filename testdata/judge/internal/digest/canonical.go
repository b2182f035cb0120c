package digest

import (
	"encoding/binary"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
)

// A canonical record says what a sample is, whatever chunk it was read from: histograms without
// their empty buckets, and of the counter reset hint only whether it is a gauge. Integers and the
// bits of floats are big-endian:
//
//	float      1 | start i64 | time i64 | value f64
//	histogram  2 | start i64 | time i64 | sum f64 |          a stale marker ends here
//	           gauge u8 | schema i32 | zero threshold f64 | zero count u64 | count u64 |
//	           positive, negative: n u32, n x (index i32, count u64) |
//	           custom values: n u32, n x f64
//	float h.   3 | the same with counts as f64
func canonicalHistogram(b []byte, st, t int64, h *histogram.Histogram) []byte {
	b = append(b, 2)
	b = appendI64(b, st)
	b = appendI64(b, t)
	b = appendF64(b, h.Sum)
	if value.IsStaleNaN(h.Sum) {
		return b
	}
	b = appendGauge(b, h.CounterResetHint)
	b = binary.BigEndian.AppendUint32(b, uint32(h.Schema))
	b = appendF64(b, h.ZeroThreshold)
	b = binary.BigEndian.AppendUint64(b, h.ZeroCount)
	b = binary.BigEndian.AppendUint64(b, h.Count)
	b = appendIntBuckets(b, h.PositiveSpans, h.PositiveBuckets)
	b = appendIntBuckets(b, h.NegativeSpans, h.NegativeBuckets)
	return appendFloats(b, h.CustomValues)
}

func canonicalFloatHistogram(b []byte, st, t int64, h *histogram.FloatHistogram) []byte {
	b = append(b, 3)
	b = appendI64(b, st)
	b = appendI64(b, t)
	b = appendF64(b, h.Sum)
	if value.IsStaleNaN(h.Sum) {
		return b
	}
	b = appendGauge(b, h.CounterResetHint)
	b = binary.BigEndian.AppendUint32(b, uint32(h.Schema))
	for _, v := range []float64{h.ZeroThreshold, h.ZeroCount, h.Count} {
		b = appendF64(b, v)
	}
	b = appendFloatBuckets(b, h.PositiveSpans, h.PositiveBuckets)
	b = appendFloatBuckets(b, h.NegativeSpans, h.NegativeBuckets)
	return appendFloats(b, h.CustomValues)
}

func appendGauge(b []byte, hint histogram.CounterResetHint) []byte {
	if hint == histogram.GaugeType {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendIntBuckets(b []byte, spans []histogram.Span, deltas []int64) []byte {
	count := int64(0)
	return appendBuckets(b, spans, len(deltas), func(b []byte, i int, index int32) ([]byte, bool) {
		count += deltas[i]
		if count == 0 {
			return b, false
		}
		b = binary.BigEndian.AppendUint32(b, uint32(index))
		return appendI64(b, count), true
	})
}

func appendFloatBuckets(b []byte, spans []histogram.Span, counts []float64) []byte {
	return appendBuckets(b, spans, len(counts), func(b []byte, i int, index int32) ([]byte, bool) {
		if counts[i] == 0 {
			return b, false
		}
		b = binary.BigEndian.AppendUint32(b, uint32(index))
		return appendF64(b, counts[i]), true
	})
}

// appendBuckets calls put for each of n buckets and writes in front how many it kept.
func appendBuckets(b []byte, spans []histogram.Span, n int, put func(b []byte, i int, index int32) ([]byte, bool)) []byte {
	at := len(b)
	b = appendLen(b, 0)
	kept, i, index := uint32(0), 0, int32(0)
	for _, s := range spans {
		index += s.Offset
		for range s.Length {
			if i == n {
				break
			}
			var ok bool
			if b, ok = put(b, i, index); ok {
				kept++
			}
			i++
			index++
		}
	}
	binary.BigEndian.PutUint32(b[at:], kept)
	return b
}
