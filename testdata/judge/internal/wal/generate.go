package wal

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

// seriesPerRecord is how many series one random record is about, at most.
const seriesPerRecord = 60

// Records makes count random records, of every type in turn, one of a type that nobody knows, one of
// no bytes, and one of several pages.
func Records(seed uint64, count int) [][]byte {
	g := &generator{r: rand.New(rand.NewPCG(seed, 315))}
	var out [][]byte
	for i := range count {
		out = append(out, g.record(i))
	}
	out = append(out, []byte{200, 1, 2, 3}, []byte{}, g.long())
	g.r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

type generator struct {
	r *rand.Rand
	t int64
}

func (g *generator) refs() []chunks.HeadSeriesRef {
	refs := make([]chunks.HeadSeriesRef, 1+g.r.IntN(seriesPerRecord))
	ref := uint64(g.r.IntN(1 << 20))
	for i := range refs {
		ref += uint64(1 + g.r.IntN(5))
		refs[i] = chunks.HeadSeriesRef(ref)
	}
	g.t += 15000
	return refs
}

func (g *generator) long() []byte {
	var list []record.RefSample
	for i := range 9000 {
		list = append(list, record.RefSample{Ref: chunks.HeadSeriesRef(i), T: g.t, V: g.r.NormFloat64()})
	}
	return (&record.Encoder{}).Samples(list, nil)
}

// record makes the i-th record; the types take turns.
func (g *generator) record(i int) []byte {
	refs := g.refs()
	v1, v2 := &record.Encoder{}, &record.Encoder{EnableSTStorage: true}
	switch record.Type(1 + i%13) {
	case record.Series:
		var list []record.RefSeries
		for _, ref := range refs {
			list = append(list, record.RefSeries{Ref: ref, Labels: labels.FromStrings(
				"__name__", "http_requests_total", "instance", fmt.Sprintf("host-%d:9090", uint64(ref)%50),
				"job", "api", "path", fmt.Sprintf("/v1/%x", g.r.Uint32()))})
		}
		return v1.Series(list, nil)
	case record.Samples:
		return v1.Samples(g.samples(refs), nil)
	case record.SamplesV2:
		return v2.Samples(g.samples(refs), nil)
	case record.Tombstones:
		var list []tombstones.Stone
		for _, ref := range refs {
			iv := tombstones.Interval{Mint: g.t, Maxt: g.t + int64(g.r.IntN(1000))}
			if g.r.IntN(3) == 0 {
				iv = tombstones.Interval{Mint: math.MinInt64, Maxt: math.MaxInt64}
			}
			list = append(list, tombstones.Stone{Ref: storage.SeriesRef(ref), Intervals: tombstones.Intervals{iv}})
		}
		return v1.Tombstones(list, nil)
	case record.Exemplars:
		var list []record.RefExemplar
		for _, ref := range refs {
			list = append(list, record.RefExemplar{Ref: ref, T: g.t, V: g.r.Float64(),
				Labels: labels.FromStrings("trace_id", fmt.Sprintf("%032x", g.r.Uint64()))})
		}
		return v1.Exemplars(list, nil)
	case record.MmapMarkers:
		var list []record.RefMmapMarker
		for _, ref := range refs {
			list = append(list, record.RefMmapMarker{Ref: ref, MmapRef: chunks.ChunkDiskMapperRef(g.r.Uint64N(1 << 40))})
		}
		return v1.MmapMarkers(list, nil)
	case record.Metadata:
		var list []record.RefMetadata
		for _, ref := range refs {
			list = append(list, record.RefMetadata{Ref: ref, Type: uint8(g.r.IntN(8)), Unit: "seconds", Help: "How long it takes."})
		}
		return v1.Metadata(list, nil)
	case record.HistogramSamples:
		rec, _ := v1.HistogramSamples(g.histograms(refs, never), nil)
		return rec
	case record.CustomBucketsHistogramSamples:
		return v1.CustomBucketsHistogramSamples(g.histograms(refs, always), nil)
	case record.HistogramSamplesV2:
		rec, _ := v2.HistogramSamples(g.histograms(refs, g.either), nil)
		return rec
	case record.FloatHistogramSamples:
		rec, _ := v1.FloatHistogramSamples(g.floatHistograms(refs, never), nil)
		return rec
	case record.CustomBucketsFloatHistogramSamples:
		return v1.CustomBucketsFloatHistogramSamples(g.floatHistograms(refs, always), nil)
	default:
		rec, _ := v2.FloatHistogramSamples(g.floatHistograms(refs, g.either), nil)
		return rec
	}
}

func never(int) bool  { return false }
func always(int) bool { return true }

// either is for records that hold both kinds of buckets. The first histogram is exponential: 3.15 panics
// when it writes a checkpoint without start timestamps and a record that has them holds nothing but
// custom buckets.
func (g *generator) either(i int) bool { return i > 0 && g.r.IntN(2) == 0 }

// start is a start timestamp: none, a common one, one of its own.
func (g *generator) start() int64 {
	return []int64{0, g.t - 60000, g.t - int64(g.r.IntN(100000))}[g.r.IntN(3)]
}

func (g *generator) samples(refs []chunks.HeadSeriesRef) (list []record.RefSample) {
	for _, ref := range refs {
		list = append(list, record.RefSample{Ref: ref, ST: g.start(), T: g.t + int64(g.r.IntN(20)), V: float64(g.r.IntN(1000))})
	}
	return list
}

func (g *generator) histograms(refs []chunks.HeadSeriesRef, custom func(int) bool) (list []record.RefHistogramSample) {
	for i, ref := range refs {
		h := &histogram.Histogram{Schema: 3, ZeroThreshold: 0.001, ZeroCount: 2, Count: 12, Sum: g.r.Float64() * 100,
			PositiveSpans:   []histogram.Span{{Offset: -2, Length: 2}, {Offset: 3, Length: 1}},
			PositiveBuckets: []int64{1, 2, -1}, NegativeSpans: []histogram.Span{{Offset: 0, Length: 2}}, NegativeBuckets: []int64{1, 1}}
		if custom(i) {
			h = &histogram.Histogram{Schema: histogram.CustomBucketsSchema, Count: 6, Sum: g.r.Float64(),
				PositiveSpans: []histogram.Span{{Length: 3}}, PositiveBuckets: []int64{1, 1, 0}, CustomValues: []float64{0.1, 2.5, 10}}
		}
		list = append(list, record.RefHistogramSample{Ref: ref, ST: g.start(), T: g.t, H: h})
	}
	return list
}

func (g *generator) floatHistograms(refs []chunks.HeadSeriesRef, custom func(int) bool) (list []record.RefFloatHistogramSample) {
	for _, h := range g.histograms(refs, custom) {
		list = append(list, record.RefFloatHistogramSample{Ref: h.Ref, ST: h.ST, T: h.T, FH: h.H.ToFloat(nil)})
	}
	return list
}
