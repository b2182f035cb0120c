// Package sets writes random sets of source blocks, the same for the same
// seed and number.
package sets

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"

	"judge/internal/gen"
)

const hour = int64(3_600_000)

// Set is set.json: how the set is to be merged, and what is in it.
type Set struct {
	Seed          uint64   `json:"seed"`
	Number        int      `json:"number"`
	Layout        string   `json:"layout"`
	SegmentSize   int64    `json:"segment_size"` // of the merged block; 0 means the default
	FloatEncoding string   `json:"float_encoding"`
	Tombstones    bool     `json:"tombstones"`
	Trimmed       bool     `json:"trimmed"` // chunks reach over the stated range
	Blocks        []string `json:"blocks"`  // in the order to merge: by minTime, then ULID
}

// Write makes set-FIRST to set-(FIRST+COUNT-1) under dir.
func Write(dir string, seed uint64, first, count int) error {
	for n := first; n < first+count; n++ {
		path := filepath.Join(dir, fmt.Sprintf("set-%03d", n))
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if err := newSet(path, seed, n).write(); err != nil {
			return fmt.Errorf("seed %d, set %d: %w", seed, n, err)
		}
	}
	return nil
}

var layouts = []string{"adjacent", "gaps", "identical", "same-grid", "jittered", "staggered", "nested", "chaos"}

type builder struct {
	Set
	rng     *rand.Rand
	dir     string
	start   int64
	step    int64
	count   int // samples of a series in a block
	blocks  int
	recipes []recipe
	clone   gen.SeriesList
}

func newSet(dir string, seed uint64, n int) *builder {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	b := &builder{rng: rng, dir: dir}
	b.Seed, b.Number = seed, n
	b.Layout = layouts[rng.IntN(len(layouts))]
	b.FloatEncoding = []string{"xor", "xor2"}[rng.IntN(2)]
	if rng.IntN(10) < 7 {
		b.SegmentSize = 300 + rng.Int64N(1<<(8+rng.IntN(8)))
	}
	b.Tombstones = rng.IntN(5) < 2
	b.Trimmed = rng.IntN(5) == 0
	b.blocks = 2 + rng.IntN(4)
	// Sets do not overlap: all of a seed fit into one data directory.
	b.start = 236_000*2*hour + int64(n)*48*hour
	if rng.IntN(8) == 0 {
		b.start = -int64(n+1) * 48 * hour
	}
	b.step = []int64{1, 1_000, 15_000, 60_000}[rng.IntN(4)]
	b.count = 1 + rng.IntN(1<<(1+rng.IntN(8)))
	for i := range 3 + rng.IntN(30) {
		b.recipes = append(b.recipes, b.recipe(i))
	}
	return b
}

func (b *builder) write() error {
	if err := os.MkdirAll(b.dir, 0o777); err != nil {
		return err
	}
	type written struct {
		dir     string
		minTime int64
	}
	var all []written
	for i := range b.blocks {
		block, series, err := b.block(i)
		if err != nil {
			return err
		}
		dir, err := block.Write(b.dir, series)
		if err != nil {
			return err
		}
		meta, err := gen.ReadMeta(dir)
		if err != nil {
			return err
		}
		all = append(all, written{filepath.Base(dir), meta.MinTime})
	}
	slices.SortFunc(all, func(x, y written) int {
		if x.minTime != y.minTime {
			if x.minTime < y.minTime {
				return -1
			}
			return 1
		}
		return strings.Compare(x.dir, y.dir)
	})
	for _, w := range all {
		b.Blocks = append(b.Blocks, w.dir)
	}
	buf, err := json.MarshalIndent(b.Set, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.dir, "set.json"), append(buf, '\n'), 0o666)
}

// grid is where block i begins, and how far its samples stray.
func (b *builder) grid(i int) (start, jitter int64) {
	length := b.step * int64(b.count)
	at := int64(i)
	switch b.Layout {
	case "gaps":
		return b.start + at*(length+1+b.rng.Int64N(length+1)), 0
	case "identical", "same-grid":
		return b.start, 0
	case "jittered":
		return b.start + at/2*length, b.step / 3
	case "staggered":
		return b.start + at*(length/2+1), 0
	case "nested":
		return b.start + at*b.step, 0
	case "chaos":
		return b.start + b.rng.Int64N(2*length+1), b.rng.Int64N(b.step)
	default:
		return b.start + at*length, 0
	}
}

func (b *builder) block(i int) (gen.Block, gen.SeriesList, error) {
	blk := gen.Block{ID: b.id(), Level: 1 + b.rng.IntN(3), EmptySymbol: b.rng.IntN(3) == 0}
	if b.rng.IntN(3) == 0 {
		blk.Extra = []string{fmt.Sprintf("unused-%d", i), "zzz", "ünused"}
	}
	if b.rng.IntN(2) == 0 {
		blk.SegmentSize = 500 + b.rng.Int64N(20_000)
	}
	if b.rng.IntN(6) == 0 {
		blk.Hints = []string{[]string{"from-out-of-order", "from-stale-series", "from-selected-series"}[b.rng.IntN(3)]}
	}
	series, err := b.series(i)
	if err != nil {
		return blk, nil, err
	}
	first, last := bounds(series)
	blk.MinTime, blk.MaxTime = first, last+1
	if b.Trimmed && last > first+2 {
		cut := b.rng.Int64N((last - first) / 2)
		if i == 0 {
			blk.MinTime += cut
		} else if i == b.blocks-1 {
			blk.MaxTime -= cut
		}
	}
	return blk, series, nil
}

func (b *builder) id() ulid.ULID {
	var id ulid.ULID
	for i := range id {
		id[i] = byte(b.rng.IntN(256))
	}
	id[0] = 1 // A time that fits into a ULID.
	return id
}

func bounds(series gen.SeriesList) (first, last int64) {
	for i, s := range series {
		lo, hi := s.Chunks[0].MinTime, s.Chunks[len(s.Chunks)-1].MaxTime
		if i == 0 {
			first, last = lo, hi
		}
		first, last = min(first, lo), max(last, hi)
	}
	return first, last
}
