package headbench

import (
	"context"
	"time"

	"github.com/prometheus/prometheus/tsdb"
)

// flushed appends samples from to to, and makes blocks of the head whenever 3.15 would.
func (f *filler) flushed(from, to int) (blocks int, err error) {
	for k := from; k < to; k++ {
		if err := f.scrapes(k, k+1); err != nil {
			return 0, err
		}
		head := f.db.Head()
		if head.MaxTime()-head.MinTime() > f.spec.Options.TSDB().MinBlockDuration*3/2 {
			if err := f.db.Compact(context.Background()); err != nil {
				return 0, err
			}
		}
	}
	return len(f.db.Blocks()), nil
}

// flushCase makes a block of a full head, then truncates it.
func flushCase(spec Spec) (map[string]float64, error) {
	f, err := newFiller(spec)
	if err != nil {
		return nil, err
	}
	if err := f.fill(); err != nil {
		return nil, err
	}
	head := f.db.Head()
	chunkRange := spec.Options.TSDB().MinBlockDuration
	maxt := head.MinTime()/chunkRange*chunkRange + chunkRange
	f.db.ForceHeadMMap()
	figures := map[string]float64{}
	watch := start()
	if err := f.db.CompactHead(tsdb.NewRangeHeadWithIsolationDisabled(head, head.MinTime(), maxt-1)); err != nil {
		return nil, err
	}
	watch.into(figures, "")
	for _, b := range f.db.Blocks() {
		figures["block_bytes"] += float64(b.Size())
		figures["samples"] += float64(b.Meta().Stats.NumSamples)
	}
	return figures, f.db.Close()
}

// loadCase appends as fast as it can while the database flushes and compacts, then waits until there
// is nothing left to compact.
func loadCase(spec Spec) (map[string]float64, error) {
	f, err := newFiller(spec)
	if err != nil {
		return nil, err
	}
	f.db.EnableCompactions()
	figures := map[string]float64{}
	watch := start()
	if err := f.fill(); err != nil {
		return nil, err
	}
	seconds := watch.into(figures, "load_")
	samples := float64(spec.Series) * float64(spec.Samples)
	figures["samples"] = samples
	figures["load_samples_per_second"] = samples / seconds
	// Until a compaction finds nothing to do, twice.
	for idle := 0; idle < 2; {
		before := ids(f.db)
		if err := f.db.Compact(context.Background()); err != nil {
			return nil, err
		}
		idle++
		if before != ids(f.db) {
			idle = 0
		}
		time.Sleep(10 * time.Millisecond)
	}
	seconds = watch.into(figures, "compacted_")
	figures["compacted_samples_per_second"] = samples / seconds
	figures["blocks"] = float64(len(f.db.Blocks()))
	return figures, f.db.Close()
}

func ids(db *tsdb.DB) (all string) {
	for _, b := range db.Blocks() {
		all += b.Meta().ULID.String()
	}
	return all
}
