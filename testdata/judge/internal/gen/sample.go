package gen

import (
	"math"
	"math/rand/v2"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/value"
)

// Sample is one point of a series: a float, an integer histogram (H) or a
// float histogram (FH). ST is the start timestamp, 0 if there is none.
type Sample struct {
	ST, T int64
	F     float64
	H     *histogram.Histogram
	FH    *histogram.FloatHistogram
}

// Kind says how the values of a series behave.
type Kind int

// The kinds of series that Samples makes.
const (
	Counter Kind = iota
	Gauge
	Constant
	Special // NaN payloads, infinities, negative zero, subnormals
	IntHistogram
	FloatHistogram
	IntGaugeHistogram
	FloatGaugeHistogram
	IntCustomHistogram
	FloatCustomHistogram
	numKinds
)

// RandomKind draws one of all kinds.
func RandomKind(rng *rand.Rand) Kind { return Kind(rng.IntN(int(numKinds))) }

// StartMode says which start timestamps the samples carry.
type StartMode int

// The start timestamp modes.
const (
	NoStart      StartMode = iota
	CumulativeST           // one start, a new one at every counter reset
	DeltaST                // the previous sample's timestamp
	LateST                 // unset at first, set from the middle on
	numStartModes
)

// RandomStartMode draws a mode; half of the draws are NoStart.
func RandomStartMode(rng *rand.Rand) StartMode {
	if rng.IntN(2) == 0 {
		return NoStart
	}
	return StartMode(rng.IntN(int(numStartModes)))
}

// Options steers Samples beside the kind.
type Options struct {
	Start     StartMode
	StaleProb float64 // chance that a sample is a stale marker
	ResetProb float64 // chance that a counter starts again
	Falling   bool    // histogram counters fall instead of growing
}

// Grid returns n timestamps, step apart, each moved by at most jitter.
func Grid(rng *rand.Rand, start, step int64, n int, jitter int64) []int64 {
	ts := make([]int64, n)
	for i := range ts {
		ts[i] = start + int64(i)*step
		if jitter > 0 {
			ts[i] += rng.Int64N(2*jitter+1) - jitter
			if i == 0 && ts[i] < start {
				ts[i] = start
			}
		}
		if i > 0 && ts[i] <= ts[i-1] {
			ts[i] = ts[i-1] + 1
		}
	}
	return ts
}

// Samples makes one sample of the kind for each timestamp.
func Samples(rng *rand.Rand, kind Kind, times []int64, opt Options) []Sample {
	out := make([]Sample, len(times))
	fg := floatGen{kind: kind, value: float64(rng.IntN(1000))}
	hg := newHistogramGen(rng, kind, opt.Falling)
	start := int64(0)
	if len(times) > 0 && opt.Start == CumulativeST {
		start = times[0] - 1 - rng.Int64N(60_000)
	}
	for i, t := range times {
		s := Sample{T: t}
		reset := opt.ResetProb > 0 && rng.Float64() < opt.ResetProb
		stale := opt.StaleProb > 0 && rng.Float64() < opt.StaleProb
		if kind >= IntHistogram {
			hg.next(rng, &s, reset, stale)
		} else {
			s.F = fg.next(rng, reset, stale)
		}
		switch {
		case opt.Start == CumulativeST:
			if reset {
				start = t - 1
			}
			s.ST = start
		case opt.Start == DeltaST && i > 0:
			s.ST = times[i-1]
		case opt.Start == LateST && i >= len(times)/2:
			s.ST = times[0] - 1000
		}
		out[i] = s
	}
	return out
}

var specials = []uint64{
	value.NormalNaN, value.StaleNaN,
	0x7ff8000000000000, 0xfff8000000000001, 0x7ff0000000000001, 0xffffffffffffffff, 0x7ffdeadbeefcafe1,
	math.Float64bits(math.Inf(1)), math.Float64bits(math.Inf(-1)), 0x8000000000000000, 0,
	1, 0x000fffffffffffff, math.Float64bits(math.MaxFloat64), math.Float64bits(-math.MaxFloat64),
	math.Float64bits(0.1), math.Float64bits(1e-300),
}

type floatGen struct {
	kind  Kind
	value float64
}

func (g *floatGen) next(rng *rand.Rand, reset, stale bool) float64 {
	switch {
	case stale:
		return math.Float64frombits(value.StaleNaN)
	case g.kind == Special:
		return math.Float64frombits(specials[rng.IntN(len(specials))])
	case g.kind == Gauge:
		g.value += rng.Float64()*10 - 5
	case g.kind == Counter && reset:
		g.value = float64(rng.IntN(3))
	case g.kind == Counter:
		g.value += float64(rng.IntN(50))
	}
	return g.value
}
