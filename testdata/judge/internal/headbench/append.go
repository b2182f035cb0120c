package headbench

import (
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// appendCase appends by reference to series that are there.
func appendCase(spec Spec) (map[string]float64, error) {
	f, err := newFiller(spec)
	if err != nil {
		return nil, err
	}
	if err := f.create(); err != nil {
		return nil, err
	}
	figures := map[string]float64{}
	samples := float64(spec.Series) * float64(spec.Samples-1)
	watch := start()
	if err := f.scrapes(1, spec.Samples); err != nil {
		return nil, err
	}
	seconds := watch.into(figures, "")
	figures["samples"] = samples
	figures["samples_per_second"] = samples / seconds
	figures["wal_bytes"] = dirBytes(filepath.Join(spec.Dir, "wal"))
	return figures, f.db.Close()
}

// newSeriesCase appends one sample to each of many series. Their labels are built before.
func newSeriesCase(spec Spec) (map[string]float64, error) {
	f, err := newFiller(spec)
	if err != nil {
		return nil, err
	}
	sets := make([]labels.Labels, spec.Series)
	b := labels.NewScratchBuilder(8)
	for i := range sets {
		sets[i] = seriesLabels(&b, i)
	}
	figures := map[string]float64{}
	watch := start()
	err = f.batches(0, spec.Series, func(app storage.Appender, i int) error {
		t, v := sample(i, 0, spec.StepMs)
		_, err := app.Append(0, sets[i], t, v)
		return err
	})
	if err != nil {
		return nil, err
	}
	seconds := watch.into(figures, "")
	figures["series"] = float64(spec.Series)
	figures["series_per_second"] = float64(spec.Series) / seconds
	return figures, f.db.Close()
}

// memoryCase is what an active series takes, once all that is garbage was given back.
func memoryCase(spec Spec) (map[string]float64, error) {
	f, err := newFiller(spec)
	if err != nil {
		return nil, err
	}
	rssBefore, heapBefore, err := anonymousBytes()
	if err != nil {
		return nil, err
	}
	if err := f.fill(); err != nil {
		return nil, err
	}
	held := usage()
	rss, heap, err := anonymousBytes()
	if err != nil {
		return nil, err
	}
	n := float64(spec.Series)
	figures := map[string]float64{
		"bytes_per_series":      (rss - rssBefore) / n,
		"heap_bytes_per_series": (heap - heapBefore) / n,
		"peak_bytes_per_series": (float64(held.Maxrss)*1024 - rssBefore) / n,
	}
	return figures, f.db.Close()
}

// prepareCase fills a database and leaves what a killed process would: for replay and queries.
func prepareCase(spec Spec) (map[string]float64, error) {
	f, err := newFiller(spec)
	if err != nil {
		return nil, err
	}
	if err := f.create(); err != nil {
		return nil, err
	}
	blocks, err := f.flushed(1, spec.Samples)
	if err != nil {
		return nil, err
	}
	figures := map[string]float64{
		"blocks": float64(blocks), "wal_bytes": dirBytes(filepath.Join(spec.Dir, "wal")),
	}
	return figures, os.RemoveAll(filepath.Join(spec.Dir, "lock"))
}

// replayCase opens a database.
func replayCase(spec Spec) (map[string]float64, error) {
	figures := map[string]float64{}
	watch := start()
	db, err := spec.Options.Open(spec.Dir)
	if err != nil {
		return nil, err
	}
	watch.into(figures, "")
	figures["series"] = float64(db.Head().NumSeries())
	return figures, db.Close()
}
