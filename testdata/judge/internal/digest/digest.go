package digest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"log/slog"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/index"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Totals is the digest of one block, or of several one after the other.
type Totals struct {
	Block    string `json:"block"`
	Samples  string `json:"samples"`    // sha256 without the counter reset hints
	Hinted   string `json:"with_hints"` // sha256 with them
	Series   int    `json:"series"`
	Chunks   int    `json:"chunks"`
	Count    int    `json:"count"`
	Floats   int    `json:"floats"`
	Deleted  int    `json:"deleted"` // samples under tombstones, not hashed
	MinTime  int64  `json:"min_time"`
	MaxTime  int64  `json:"max_time"` // inclusive, of the samples
	Encoding [7]int `json:"chunks_by_encoding"`
}

// SeriesLine is the digest of one series.
type SeriesLine struct {
	Labels  labels.Labels
	Chunks  int
	Samples int
	CRC     uint32 // CRC-32C of the records, without hints
}

// Hasher adds up blocks.
type Hasher struct {
	plain, hinted hash.Hash
	totals        Totals
	// OnSeries, if set, is told each series.
	OnSeries func(SeriesLine)

	buf []byte
	h   histogram.Histogram
	fh  histogram.FloatHistogram
}

// NewHasher starts with nothing.
func NewHasher() *Hasher {
	return &Hasher{plain: sha256.New(), hinted: sha256.New()}
}

// Totals returns what was added so far.
func (d *Hasher) Totals() Totals {
	t := d.totals
	t.Samples = hex.EncodeToString(d.plain.Sum(nil))
	t.Hinted = hex.EncodeToString(d.hinted.Sum(nil))
	return t
}

// Add reads every sample of the block in dir. Samples under tombstones count
// as deleted.
func (d *Hasher) Add(dir string) (err error) {
	d.totals.Block = dir
	block, err := tsdb.OpenBlock(slog.New(slog.DiscardHandler), dir, nil, nil)
	if err != nil {
		return err
	}
	defer block.Close()
	ir, err := block.Index()
	if err != nil {
		return err
	}
	defer ir.Close()
	cr, err := block.Chunks()
	if err != nil {
		return err
	}
	defer cr.Close()
	stones, err := block.Tombstones()
	if err != nil {
		return err
	}
	defer stones.Close()
	name, value := index.AllPostingsKey()
	refs, err := ir.Postings(context.Background(), name, value)
	if err != nil {
		return err
	}
	var builder labels.ScratchBuilder
	var metas []chunks.Meta
	for refs.Next() {
		if err := ir.Series(refs.At(), &builder, &metas); err != nil {
			return err
		}
		deleted, err := stones.Get(refs.At())
		if err != nil {
			return err
		}
		if err := d.series(builder.Labels(), metas, cr, deleted); err != nil {
			return fmt.Errorf("series %s: %w", builder.Labels(), err)
		}
	}
	return refs.Err()
}

func (d *Hasher) series(lset labels.Labels, metas []chunks.Meta, cr tsdb.ChunkReader, deleted tombstones.Intervals) error {
	line := SeriesLine{Labels: lset, Chunks: len(metas)}
	d.buf = d.buf[:0]
	lset.Range(func(l labels.Label) {
		d.buf = append(d.buf, l.Name...)
		d.buf = append(d.buf, 0xff)
		d.buf = append(d.buf, l.Value...)
		d.buf = append(d.buf, 0xff)
	})
	d.plain.Write(d.buf)
	d.hinted.Write(d.buf)
	for _, m := range metas {
		c, _, err := cr.ChunkOrIterable(m)
		if err != nil {
			return err
		}
		d.totals.Encoding[c.Encoding()]++
		if err := d.chunk(c, m, deleted, &line); err != nil {
			return err
		}
	}
	d.totals.Series++
	d.totals.Chunks += len(metas)
	d.totals.Count += line.Samples
	if d.OnSeries != nil {
		d.OnSeries(line)
	}
	return nil
}

func (d *Hasher) chunk(c chunkenc.Chunk, m chunks.Meta, deleted tombstones.Intervals, line *SeriesLine) error {
	it := c.Iterator(nil)
	first, last := int64(0), int64(0)
	n := 0
	for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
		t := it.AtT()
		if n == 0 {
			first = t
		}
		last = t
		n++
		if under(deleted, t) {
			d.totals.Deleted++
			continue
		}
		if d.totals.Count+line.Samples == 0 {
			d.totals.MinTime, d.totals.MaxTime = t, t
		}
		d.totals.MinTime, d.totals.MaxTime = min(d.totals.MinTime, t), max(d.totals.MaxTime, t)
		d.sample(it, vt, line)
	}
	if err := it.Err(); err != nil {
		return err
	}
	if first != m.MinTime || last != m.MaxTime || n != c.NumSamples() {
		return fmt.Errorf("chunk at %d holds %d samples in [%d, %d], index and header say %d in [%d, %d]",
			m.Ref, n, first, last, c.NumSamples(), m.MinTime, m.MaxTime)
	}
	return nil
}

func (d *Hasher) sample(it chunkenc.Iterator, vt chunkenc.ValueType, line *SeriesLine) {
	hint := byte(0)
	d.buf = d.buf[:0]
	switch vt {
	case chunkenc.ValHistogram:
		t, h := it.AtHistogram(&d.h)
		d.buf = appendHistogram(d.buf, it.AtST(), t, h)
		hint = byte(h.CounterResetHint)
	case chunkenc.ValFloatHistogram:
		t, h := it.AtFloatHistogram(&d.fh)
		d.buf = appendFloatHistogram(d.buf, it.AtST(), t, h)
		hint = byte(h.CounterResetHint)
	default:
		t, v := it.At()
		d.buf = appendFloat(d.buf, it.AtST(), t, v)
		d.totals.Floats++
	}
	line.Samples++
	line.CRC = crc32.Update(line.CRC, castagnoli, d.buf)
	d.plain.Write(d.buf)
	d.hinted.Write(append(d.buf, hint))
}

func under(deleted tombstones.Intervals, t int64) bool {
	for _, iv := range deleted {
		if t >= iv.Mint && t <= iv.Maxt {
			return true
		}
	}
	return false
}
