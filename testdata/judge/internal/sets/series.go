package sets

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb/tombstones"

	"judge/internal/gen"
)

// recipe is a series; its usual kind and encoding can differ in a block.
type recipe struct {
	labels labels.Labels
	kind   gen.Kind
	enc    gen.Encoding
	opt    gen.Options
}

func (b *builder) recipe(i int) recipe {
	r := recipe{
		labels: labels.FromStrings("__name__", fmt.Sprintf("judge_%c", 'a'+i%4), "set", fmt.Sprint(b.Number),
			"instance", fmt.Sprintf("host-%d", i), "zone", []string{"öst", "west", ""}[i%3]).WithoutEmpty(),
	}
	r.draw(b.rng)
	return r
}

// draw chooses how the series looks.
func (r *recipe) draw(rng *rand.Rand) {
	r.kind = gen.RandomKind(rng)
	r.enc = gen.Encoding{XOR2: rng.IntN(2) == 0, HistogramST: rng.IntN(2) == 0, PerChunk: 1 + rng.IntN(150)}
	r.opt = gen.Options{Start: gen.RandomStartMode(rng), Falling: rng.IntN(4) == 0}
	if rng.IntN(2) == 0 {
		r.opt.StaleProb = 0.05
	}
	if rng.IntN(2) == 0 {
		r.opt.ResetProb = 0.05
	}
}

// series makes what block i holds: most of the set's series, at least one.
func (b *builder) series(i int) (gen.SeriesList, error) {
	if b.Layout == "identical" && b.clone != nil {
		return slices.Clone(b.clone), nil
	}
	start, jitter := b.grid(i)
	step, count := b.step, b.count
	if b.Layout == "nested" && i == 0 {
		count *= 2
	}
	var out gen.SeriesList
	for n, r := range b.recipes {
		if n > 0 && b.rng.IntN(5) == 0 {
			continue
		}
		if b.rng.IntN(10) < 3 {
			r.draw(b.rng)
		}
		times := gen.Grid(b.rng, start, step, count, jitter)
		if b.Layout == "adjacent" || b.Layout == "gaps" {
			times = times[b.rng.IntN(len(times)):]
		}
		encoded, err := r.enc.Encode(gen.Samples(b.rng, r.kind, times, r.opt))
		if err != nil {
			return nil, err
		}
		s := gen.Series{Labels: r.labels, Chunks: encoded}
		if b.Tombstones && b.rng.IntN(5) < 2 {
			s.Stones = b.stones(times[0], times[len(times)-1])
		}
		out = append(out, s)
	}
	b.clone = out
	return slices.Clone(out), nil
}

func (b *builder) stones(first, last int64) tombstones.Intervals {
	var ivs tombstones.Intervals
	if b.rng.IntN(4) == 0 {
		return ivs.Add(tombstones.Interval{Mint: first, Maxt: last})
	}
	n := 1 + b.rng.IntN(4)
	if b.Trimmed {
		// With two, one before the end of the range and one behind it, 3.15 panics:
		// Intervals.Add counts from the wrong end where the new one ends at MaxInt64.
		n = 1
	}
	for range n {
		at := first + b.rng.Int64N(last-first+1)
		ivs = ivs.Add(tombstones.Interval{Mint: at, Maxt: min(at+b.rng.Int64N((last-first)/3+1), last)})
	}
	return ivs
}
