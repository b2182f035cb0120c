// Package digest reads every sample of a block with Prometheus's own reader
// and folds it into checksums.
//
// A sample is hashed as a record, every integer and every float's bits
// big-endian, counts as 32 bits:
//
//	float      1 | start i64 | time i64 | value f64
//	histogram  2 | start i64 | time i64 | schema i32 | zero threshold f64 |
//	           zero count u64 | count u64 | sum f64 |
//	           spans (n, offset i32, length u32 each), positive then negative |
//	           buckets (n, i64 delta each), positive then negative |
//	           custom values (n, f64 each)
//	float h.   3 | the same with counts and buckets as f64
//	hint       the counter reset hint as one byte, only where hints are asked for
package digest

import (
	"encoding/binary"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
)

func appendFloat(b []byte, st, t int64, v float64) []byte {
	b = append(b, 1)
	b = appendI64(b, st)
	b = appendI64(b, t)
	return appendF64(b, v)
}

func appendHistogram(b []byte, st, t int64, h *histogram.Histogram) []byte {
	b = append(b, 2)
	b = appendI64(b, st)
	b = appendI64(b, t)
	b = binary.BigEndian.AppendUint32(b, uint32(h.Schema))
	b = appendF64(b, h.ZeroThreshold)
	b = binary.BigEndian.AppendUint64(b, h.ZeroCount)
	b = binary.BigEndian.AppendUint64(b, h.Count)
	b = appendF64(b, h.Sum)
	b = appendSpans(b, h.PositiveSpans)
	b = appendSpans(b, h.NegativeSpans)
	for _, buckets := range [][]int64{h.PositiveBuckets, h.NegativeBuckets} {
		b = appendLen(b, len(buckets))
		for _, d := range buckets {
			b = appendI64(b, d)
		}
	}
	return appendFloats(b, h.CustomValues)
}

func appendFloatHistogram(b []byte, st, t int64, h *histogram.FloatHistogram) []byte {
	b = append(b, 3)
	b = appendI64(b, st)
	b = appendI64(b, t)
	b = binary.BigEndian.AppendUint32(b, uint32(h.Schema))
	for _, v := range []float64{h.ZeroThreshold, h.ZeroCount, h.Count, h.Sum} {
		b = appendF64(b, v)
	}
	b = appendSpans(b, h.PositiveSpans)
	b = appendSpans(b, h.NegativeSpans)
	b = appendFloats(b, h.PositiveBuckets)
	b = appendFloats(b, h.NegativeBuckets)
	return appendFloats(b, h.CustomValues)
}

func appendSpans(b []byte, spans []histogram.Span) []byte {
	b = appendLen(b, len(spans))
	for _, s := range spans {
		b = binary.BigEndian.AppendUint32(b, uint32(s.Offset))
		b = binary.BigEndian.AppendUint32(b, s.Length)
	}
	return b
}

func appendFloats(b []byte, values []float64) []byte {
	b = appendLen(b, len(values))
	for _, v := range values {
		b = appendF64(b, v)
	}
	return b
}

func appendLen(b []byte, n int) []byte   { return binary.BigEndian.AppendUint32(b, uint32(n)) }
func appendI64(b []byte, v int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(v)) }
func appendF64(b []byte, v float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(v))
}
