// Package gen makes TSDB blocks with Prometheus's own encoders and writers,
// the same bytes for the same seed.
package gen

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/oklog/ulid/v2"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

// Block says what one block on disk looks like.
type Block struct {
	ID          ulid.ULID
	MinTime     int64 // inclusive; with MaxTime 0 both follow from the chunks
	MaxTime     int64 // exclusive
	Level       int   // 0 means 1
	Hints       []string
	Parents     []tsdb.BlockDesc
	SegmentSize int64 // 0 means Prometheus's default
	EmptySymbol bool  // the empty string is the first symbol, as in flushes of the head
	Extra       []string
}

// Series is one series of a block in memory.
type Series struct {
	Labels labels.Labels
	Chunks []chunks.Meta
	Stones tombstones.Intervals
}

// Source hands out a block's series one by one, so that large blocks never
// stand in memory. Labels must be sorted and unique.
type Source interface {
	Labels() []labels.Labels
	Chunks(i int) ([]chunks.Meta, tombstones.Intervals, error)
}

// SeriesList is a Source over series in memory; Write sorts it.
type SeriesList []Series

// Labels returns the label sets in order.
func (l SeriesList) Labels() []labels.Labels {
	slices.SortFunc(l, func(a, b Series) int { return labels.Compare(a.Labels, b.Labels) })
	out := make([]labels.Labels, len(l))
	for i := range l {
		out[i] = l[i].Labels
	}
	return out
}

// Chunks returns chunks and tombstones of series i.
func (l SeriesList) Chunks(i int) ([]chunks.Meta, tombstones.Intervals, error) {
	return l[i].Chunks, l[i].Stones, nil
}

// Write writes the block into parent/ULID and returns its directory.
func (b Block) Write(parent string, src Source) (string, error) {
	dir := filepath.Join(parent, b.ID.String())
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	opts := []chunks.WriterOption{}
	if b.SegmentSize > 0 {
		opts = append(opts, chunks.WithSegmentSize(b.SegmentSize))
	}
	cw, err := chunks.NewWriter(filepath.Join(dir, "chunks"), opts...)
	if err != nil {
		return "", err
	}
	iw, err := index.NewWriter(context.Background(), filepath.Join(dir, "index"))
	if err != nil {
		return "", err
	}
	lsets := src.Labels()
	if err := b.symbols(iw, lsets); err != nil {
		return "", err
	}
	w := blockWriter{chunks: cw, index: iw, meta: b.meta(), fixedRange: b.MaxTime != 0}
	for i, lset := range lsets {
		if err := w.series(i, lset, src); err != nil {
			return "", fmt.Errorf("series %s: %w", lset, err)
		}
	}
	if err := iw.Close(); err != nil {
		return "", err
	}
	if err := cw.Close(); err != nil {
		return "", err
	}
	if err := writeStones(dir, w.stones, &w.meta); err != nil {
		return "", err
	}
	return dir, WriteMeta(dir, &w.meta)
}

func (b Block) symbols(iw *index.Writer, lsets []labels.Labels) error {
	seen := map[string]struct{}{}
	if b.EmptySymbol {
		seen[""] = struct{}{}
	}
	for _, s := range b.Extra {
		seen[s] = struct{}{}
	}
	for _, lset := range lsets {
		lset.Range(func(l labels.Label) {
			seen[l.Name] = struct{}{}
			seen[l.Value] = struct{}{}
		})
	}
	sorted := make([]string, 0, len(seen))
	for s := range seen {
		sorted = append(sorted, s)
	}
	slices.Sort(sorted)
	for _, s := range sorted {
		if err := iw.AddSymbol(s); err != nil {
			return err
		}
	}
	return nil
}

func (b Block) meta() tsdb.BlockMeta {
	meta := tsdb.BlockMeta{ULID: b.ID, MinTime: b.MinTime, MaxTime: b.MaxTime, Version: 1}
	if b.MaxTime == 0 {
		meta.MinTime, meta.MaxTime = math.MaxInt64, math.MinInt64
	}
	meta.Compaction.Level = max(b.Level, 1)
	meta.Compaction.Sources = []ulid.ULID{b.ID}
	meta.Compaction.Hints = b.Hints
	meta.Compaction.Parents = b.Parents
	return meta
}

type blockWriter struct {
	chunks     *chunks.Writer
	index      *index.Writer
	meta       tsdb.BlockMeta
	fixedRange bool
	stones     map[int]tombstones.Intervals // by the series' position
}

func (w *blockWriter) series(i int, lset labels.Labels, src Source) error {
	metas, deleted, err := src.Chunks(i)
	if err != nil {
		return err
	}
	if err := w.chunks.WriteChunks(metas...); err != nil {
		return err
	}
	if err := w.index.AddSeries(storage.SeriesRef(i), lset, metas...); err != nil {
		return err
	}
	stats := &w.meta.Stats
	stats.NumSeries++
	stats.NumChunks += uint64(len(metas))
	for _, m := range metas {
		n := uint64(m.Chunk.NumSamples())
		stats.NumSamples += n
		if e := m.Chunk.Encoding(); e == chunkenc.EncXOR || e == chunkenc.EncXOR2 {
			stats.NumFloatSamples += n
		} else {
			stats.NumHistogramSamples += n
		}
	}
	if len(metas) > 0 && !w.fixedRange {
		w.meta.MinTime = min(w.meta.MinTime, metas[0].MinTime)
		w.meta.MaxTime = max(w.meta.MaxTime, metas[len(metas)-1].MaxTime+1)
	}
	if len(deleted) > 0 {
		if w.stones == nil {
			w.stones = map[int]tombstones.Intervals{}
		}
		w.stones[i] = deleted
	}
	return nil
}

// WriteMeta writes meta.json as Prometheus formats it.
func WriteMeta(dir string, meta *tsdb.BlockMeta) error {
	buf, err := json.MarshalIndent(meta, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "meta.json"), buf, 0o666)
}

// ReadMeta reads a block's meta.json.
func ReadMeta(dir string) (*tsdb.BlockMeta, error) {
	buf, err := os.ReadFile(filepath.Join(dir, "meta.json"))
	if err != nil {
		return nil, err
	}
	var meta tsdb.BlockMeta
	return &meta, json.Unmarshal(buf, &meta)
}

var quiet = slog.New(slog.DiscardHandler)
