package workload

import (
	"math/rand/v2"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/tombstones"

	"judge/internal/gen"
)

// source streams the series of one block.
type source struct {
	spec    Spec
	series  []series
	start   int64
	replica int
}

// samplesPerChunk is what Prometheus's head aims at.
const samplesPerChunk = 120

func (s *source) Labels() []labels.Labels {
	out := make([]labels.Labels, len(s.series))
	for i := range s.series {
		out[i] = s.series[i].labels
	}
	return out
}

func (s *source) Chunks(i int) ([]chunks.Meta, tombstones.Intervals, error) {
	seed := s.series[i].seed
	// Which series are histograms must not change from block to block, what
	// they hold must.
	rng := rand.New(rand.NewPCG(seed, uint64(s.start)+uint64(s.replica)))
	if float64(mix(seed, 1)%1000) < s.spec.Histograms*1000 {
		metas, err := s.histograms(rng, seed)
		return metas, nil, err
	}
	metas, err := s.floats(rng, seed)
	return metas, nil, err
}

// step is the scrape interval; a replica scrapes at another moment.
func (s *source) step() int64 { return blockRange / int64(s.spec.Samples) }

func (s *source) first(seed uint64) int64 {
	return s.start + int64(mix(seed, 2)%uint64(s.step()/2+1)) + int64(s.replica)*(s.step()/3)
}

func (s *source) histograms(rng *rand.Rand, seed uint64) ([]chunks.Meta, error) {
	times := gen.Grid(rng, s.first(seed), s.step(), s.spec.Samples, 0)
	return gen.Encoding{}.Encode(gen.Samples(rng, gen.IntHistogram, times, gen.Options{ResetProb: 0.001}))
}

// floats are, in equal parts, counters of small and of large increments, gauges
// in decimal fractions, and byte counts: on average 4 bytes a sample.
func (s *source) floats(rng *rand.Rand, seed uint64) ([]chunks.Meta, error) {
	var (
		out   []chunks.Meta
		app   chunkenc.Appender
		kind  = mix(seed, 3) % 4
		value = float64(mix(seed, 4) % 100_000)
		t     = s.first(seed)
		step  = s.step()
	)
	for i := range s.spec.Samples {
		bits := rng.Uint64()
		switch kind {
		case 0:
			value += float64(bits % 16)
		case 1:
			value += float64(bits % 5_000)
		case 2:
			value = float64(bits%100_000) / 100
		default:
			value = float64(bits >> 44 << 12)
		}
		if i%samplesPerChunk == 0 {
			c := chunkenc.NewXORChunk()
			a, err := c.Appender()
			if err != nil {
				return nil, err
			}
			app = a
			out = append(out, chunks.Meta{Chunk: c, MinTime: t})
		}
		app.Append(0, t, value)
		out[len(out)-1].MaxTime = t
		t += step
		// Most scrapes are on time, some a few milliseconds late.
		if late := int64(bits >> 32 % 64); late < 4 && step > 100 {
			t += late - 2
		}
	}
	return out, nil
}
