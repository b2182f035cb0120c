package gen

import (
	"context"
	"path/filepath"

	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

// sortedStones hands tombstones to Prometheus's file writer in series order.
// Prometheus keeps them in a map, whose order differs from run to run.
type sortedStones struct {
	tombstones.Reader
	stones []tombstones.Stone
}

func (s *sortedStones) Iter(f func(storage.SeriesRef, tombstones.Intervals) error) error {
	for _, stone := range s.stones {
		if err := f(stone.Ref, stone.Intervals); err != nil {
			return err
		}
	}
	return nil
}

// writeStones writes the tombstones file of a block whose index is complete.
// The keys of stones are positions in the order of the series.
func writeStones(dir string, stones map[int]tombstones.Intervals, meta *tsdb.BlockMeta) error {
	r, err := index.NewFileReader(filepath.Join(dir, "index"), index.DecodePostingsRaw)
	if err != nil {
		return err
	}
	defer r.Close()
	sorted := sortedStones{}
	name, value := index.AllPostingsKey()
	all, err := r.Postings(context.Background(), name, value)
	if err != nil {
		return err
	}
	for i := 0; all.Next() && len(stones) > 0; i++ {
		if ivs, ok := stones[i]; ok {
			sorted.stones = append(sorted.stones, tombstones.Stone{Ref: all.At(), Intervals: ivs})
			meta.Stats.NumTombstones += uint64(len(ivs))
		}
	}
	if err := all.Err(); err != nil {
		return err
	}
	_, err = tombstones.WriteFile(quiet, dir, &sorted)
	return err
}
