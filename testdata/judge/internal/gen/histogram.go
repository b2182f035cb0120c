package gen

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
)

// histogramGen walks through the states of one histogram series.
type histogramGen struct {
	kind    Kind
	falling bool
	schema  int32
	pos     map[int32]int64
	neg     map[int32]int64
	zero    int64
	bounds  []float64
	sum     float64
}

func newHistogramGen(rng *rand.Rand, kind Kind, falling bool) *histogramGen {
	g := &histogramGen{kind: kind, falling: falling, pos: map[int32]int64{}, neg: map[int32]int64{}}
	if kind < IntHistogram {
		return g
	}
	g.schema = int32(rng.IntN(5)) - 1
	if g.custom() {
		g.schema = histogram.CustomBucketsSchema
		g.newBounds(rng)
	}
	base := int64(1)
	if falling {
		base = 100_000
	}
	for range 2 + rng.IntN(5) {
		g.pos[g.randomBucket(rng)] += base + rng.Int64N(50)
	}
	if !g.custom() {
		g.zero = base
		if rng.IntN(2) == 0 {
			g.neg[g.randomBucket(rng)] += base
		}
	}
	return g
}

func (g *histogramGen) custom() bool {
	return g.kind == IntCustomHistogram || g.kind == FloatCustomHistogram
}

func (g *histogramGen) gauge() bool {
	return g.kind == IntGaugeHistogram || g.kind == FloatGaugeHistogram
}

func (g *histogramGen) float() bool {
	return g.kind == FloatHistogram || g.kind == FloatGaugeHistogram || g.kind == FloatCustomHistogram
}

func (g *histogramGen) newBounds(rng *rand.Rand) {
	g.bounds = nil
	b := 0.005 * float64(1+rng.IntN(4))
	for range 5 + rng.IntN(4) {
		g.bounds = append(g.bounds, b)
		b *= 2.5
	}
}

func (g *histogramGen) randomBucket(rng *rand.Rand) int32 {
	if g.custom() {
		return int32(rng.IntN(len(g.bounds) + 1))
	}
	return int32(rng.IntN(14)) - 4
}

func (g *histogramGen) next(rng *rand.Rand, s *Sample, reset, stale bool) {
	if stale {
		if g.float() {
			s.FH = &histogram.FloatHistogram{Sum: math.Float64frombits(value.StaleNaN)}
		} else {
			s.H = &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}
		}
		return
	}
	g.step(rng, reset)
	h := g.build()
	if !g.float() {
		s.H = h
		return
	}
	s.FH = h.ToFloat(nil)
	if g.schema%2 == 0 {
		// Counts that no integer histogram could hold.
		for i := range s.FH.PositiveBuckets {
			s.FH.PositiveBuckets[i] += 0.25
			s.FH.Count += 0.25
		}
	}
}

func (g *histogramGen) step(rng *rand.Rand, reset bool) {
	if reset {
		clear(g.pos)
		clear(g.neg)
		g.pos[g.randomBucket(rng)] = 1
		g.zero = 0
		g.sum = 0
		switch {
		case g.custom():
			g.newBounds(rng)
			clear(g.pos)
			g.pos[0] = 1
		case rng.IntN(2) == 0:
			g.schema = int32(rng.IntN(5)) - 1
		}
	}
	if rng.IntN(12) == 0 {
		g.pos[g.randomBucket(rng)]++
	}
	for _, b := range sortedKeys(g.pos) {
		g.pos[b] = g.move(rng, g.pos[b])
	}
	for _, b := range sortedKeys(g.neg) {
		g.neg[b] = g.move(rng, g.neg[b])
	}
	if !g.custom() && rng.IntN(3) == 0 {
		g.zero = g.move(rng, g.zero)
	}
	if g.gauge() && len(g.pos) > 2 && rng.IntN(10) == 0 {
		delete(g.pos, sortedKeys(g.pos)[0])
	}
	g.sum += math.Round(rng.Float64()*1000) / 8
}

func (g *histogramGen) move(rng *rand.Rand, n int64) int64 {
	switch {
	case g.gauge():
		n += rng.Int64N(21) - 10
	case g.falling:
		n -= rng.Int64N(20)
	default:
		n += rng.Int64N(6)
	}
	return max(n, 0)
}

func (g *histogramGen) build() *histogram.Histogram {
	h := &histogram.Histogram{Schema: g.schema, Sum: g.sum}
	if g.gauge() {
		h.CounterResetHint = histogram.GaugeType
	}
	var count uint64
	h.PositiveSpans, h.PositiveBuckets, count = spans(g.pos)
	h.Count = count
	if g.custom() {
		h.CustomValues = g.bounds
		return h
	}
	h.NegativeSpans, h.NegativeBuckets, count = spans(g.neg)
	h.ZeroThreshold = 0.001
	h.ZeroCount = uint64(g.zero)
	h.Count += count + h.ZeroCount
	return h
}

// spans turns absolute bucket counts into spans and delta-encoded buckets.
func spans(m map[int32]int64) ([]histogram.Span, []int64, uint64) {
	var (
		out     []histogram.Span
		buckets []int64
		total   uint64
		last    int64
		next    int32
	)
	for i, b := range sortedKeys(m) {
		if i == 0 || b != next {
			out = append(out, histogram.Span{Offset: b - next})
		}
		out[len(out)-1].Length++
		next = b + 1
		buckets = append(buckets, m[b]-last)
		last = m[b]
		total += uint64(m[b])
	}
	return out, buckets, total
}

func sortedKeys(m map[int32]int64) []int32 {
	keys := make([]int32, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
