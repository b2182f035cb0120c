package headrun

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/tsdb"

	"judge/internal/gen"
)

// blocks copies what blocks appear in a data directory.
type blocks struct {
	to    string
	seen  map[string]bool
	fresh []string // what the last look found, described
}

// look copies new blocks to OPERATION-NUMBER, in the order of their times, those of late samples last.
func (b *blocks) look(operation int, dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*", "meta.json"))
	if err != nil {
		return err
	}
	var metas []*tsdb.BlockMeta
	for _, path := range paths {
		name := filepath.Base(filepath.Dir(path))
		if b.seen[name] {
			continue
		}
		b.seen[name] = true
		meta, err := gen.ReadMeta(filepath.Dir(path))
		if err != nil {
			return err
		}
		metas = append(metas, meta)
	}
	slices.SortFunc(metas, func(a, b *tsdb.BlockMeta) int {
		return strings.Compare(order(a), order(b))
	})
	b.fresh = b.fresh[:0]
	for i, meta := range metas {
		name := fmt.Sprintf("%d-%d", operation, i)
		if err := os.CopyFS(filepath.Join(b.to, name), os.DirFS(filepath.Join(dir, meta.ULID.String()))); err != nil {
			return err
		}
		b.fresh = append(b.fresh, fmt.Sprintf("%s %d..%d level %d series %d samples %d hints %v", name, meta.MinTime, meta.MaxTime,
			meta.Compaction.Level, meta.Stats.NumSeries, meta.Stats.NumSamples, meta.Compaction.Hints))
	}
	return nil
}

// order sorts as text.
func order(m *tsdb.BlockMeta) string {
	// Times of either sign, as numbers without one.
	sortable := func(t int64) uint64 { return uint64(t) ^ 1<<63 }
	return fmt.Sprintf("%t %020d %020d %d", m.Compaction.FromOutOfOrder(), sortable(m.MinTime), sortable(m.MaxTime), m.Compaction.Level)
}
