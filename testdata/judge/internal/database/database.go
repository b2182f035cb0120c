// Package database opens Prometheus's database as tests ask for it: with options that are said in
// JSON, and with nothing that happens by itself.
package database

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/compression"
)

var quiet = slog.New(slog.DiscardHandler)

// Options are those of a database that matter to its head. What is zero is as in Prometheus.
type Options struct {
	ChunkRangeMs       int64  `json:"chunk_range_ms,omitempty"`
	OutOfOrderWindowMs int64  `json:"out_of_order_window_ms,omitempty"`
	OutOfOrderCapMax   int64  `json:"out_of_order_cap_max,omitempty"`
	XOR2               bool   `json:"xor2,omitempty"`
	HistogramST        bool   `json:"histogram_start_timestamps,omitempty"`
	StoreST            bool   `json:"store_start_timestamps,omitempty"`
	ExemplarsMax       int64  `json:"exemplars_max,omitempty"`
	WALCompression     string `json:"wal_compression,omitempty"`
	WALSegmentBytes    int    `json:"wal_segment_bytes,omitempty"`
	NoIsolation        bool   `json:"no_isolation,omitempty"`
	// BlockRanges is how many ranges blocks are merged to, from the chunk range on; 0 stands for 1.
	BlockRanges int `json:"block_ranges,omitempty"`
	// NoOverlappingCompaction leaves blocks alone whose times overlap.
	NoOverlappingCompaction bool `json:"no_overlapping_compaction,omitempty"`
	// Uncached is Prometheus's use-uncached-io.
	Uncached bool `json:"uncached,omitempty"`
}

// Parse reads options; an empty text stands for none.
func Parse(text string) (o Options, err error) {
	if text == "" {
		return o, nil
	}
	in := json.NewDecoder(strings.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(&o); err != nil {
		return o, fmt.Errorf("options: %w", err)
	}
	return o, nil
}

// TSDB is what Prometheus is told.
func (o Options) TSDB() *tsdb.Options {
	t := tsdb.DefaultOptions()
	t.RetentionDuration = 0
	if o.ChunkRangeMs > 0 {
		t.MinBlockDuration = o.ChunkRangeMs
	}
	t.MaxBlockDuration = t.MinBlockDuration
	for range max(o.BlockRanges, 1) - 1 {
		t.MaxBlockDuration *= 3
	}
	t.OutOfOrderTimeWindow = o.OutOfOrderWindowMs
	t.OutOfOrderCapMax = o.OutOfOrderCapMax
	if o.XOR2 {
		t.FloatChunkEncoding = chunkenc.EncXOR2
	}
	t.EnableHistogramSTEncoding = o.HistogramST
	t.EnableSTStorage = o.StoreST
	t.EnableMetadataWALRecords = true
	t.EnableExemplarStorage = o.ExemplarsMax > 0
	t.MaxExemplars = o.ExemplarsMax
	if o.WALCompression != "" {
		t.WALCompression = compression.Type(o.WALCompression)
	}
	t.WALSegmentSize = o.WALSegmentBytes
	t.IsolationDisabled = o.NoIsolation
	t.EnableOverlappingCompaction = !o.NoOverlappingCompaction
	t.UseUncachedIO = o.Uncached
	return t
}

// Open opens a database that compacts only when it is told to.
func (o Options) Open(dir string) (*tsdb.DB, error) {
	db, err := tsdb.Open(dir, quiet, nil, o.TSDB(), nil)
	if err != nil {
		return nil, err
	}
	db.DisableCompactions()
	return db, nil
}

// Copy copies what a process that was killed at this moment would leave in dir.
func Copy(dir, to string) error {
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		return err
	}
	err := os.Remove(filepath.Join(to, "lock"))
	if os.IsNotExist(err) {
		return nil
	}
	return err
}
