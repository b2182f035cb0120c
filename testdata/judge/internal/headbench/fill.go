package headbench

import (
	"context"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// filler appends to a database.
type filler struct {
	spec Spec
	db   *tsdb.DB
	refs []storage.SeriesRef
}

func newFiller(spec Spec) (*filler, error) {
	db, err := spec.Options.Open(spec.Dir)
	if err != nil {
		return nil, err
	}
	return &filler{spec: spec, db: db, refs: make([]storage.SeriesRef, spec.Series)}, nil
}

// create appends sample 0 of each series by its labels, which are built as they are needed.
func (f *filler) create() error {
	b := labels.NewScratchBuilder(8)
	return f.batches(0, f.spec.Series, func(app storage.Appender, i int) error {
		t, v := sample(i, 0, f.spec.StepMs)
		ref, err := app.Append(0, seriesLabels(&b, i), t, v)
		f.refs[i] = ref
		return err
	})
}

// batches calls append for series from to to, with an appender that is committed after each batch.
func (f *filler) batches(from, to int, append func(app storage.Appender, i int) error) error {
	for i := from; i < to; {
		app := f.db.Appender(context.Background())
		end := min(i+f.spec.Batch, to)
		for ; i < end; i++ {
			if err := append(app, i); err != nil {
				return err
			}
		}
		if err := app.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// scrapes appends samples from to to of each series by reference. Each writer has its own series.
func (f *filler) scrapes(from, to int) error {
	var g errgroup.Group
	share := (f.spec.Series + f.spec.Writers - 1) / f.spec.Writers
	for w := range f.spec.Writers {
		first, last := min(w*share, f.spec.Series), min((w+1)*share, f.spec.Series)
		g.Go(func() error {
			for k := from; k < to; k++ {
				err := f.batches(first, last, func(app storage.Appender, i int) error {
					t, v := sample(i, k, f.spec.StepMs)
					_, err := app.Append(f.refs[i], labels.EmptyLabels(), t, v)
					return err
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// fill appends all samples of all series.
func (f *filler) fill() error {
	if err := f.create(); err != nil {
		return err
	}
	return f.scrapes(1, f.spec.Samples)
}

// dirBytes adds up the lengths of the files in a directory.
func dirBytes(dir string) (total float64) {
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if info, err := d.Info(); err == nil {
				total += float64(info.Size())
			}
		}
		return nil
	})
	return total
}
