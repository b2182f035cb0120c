// Package wal writes and reads write-ahead logs with Prometheus's wlog.
package wal

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/prometheus/common/promslog"

	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/wlog"
	"github.com/prometheus/prometheus/util/compression"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var quiet *slog.Logger = promslog.NewNopLogger()

// Options say how a log is written.
type Options struct {
	Compression  compression.Type
	SegmentBytes int
	// Batch is how many records are logged at once.
	Batch int
	// Kill leaves the log as a killed process would: not closed, its last page not padded.
	Kill bool
}

// Write logs the records of next, until it returns nil.
func Write(dir string, o Options, next func() ([]byte, error)) error {
	w, err := wlog.NewSize(quiet, nil, dir, o.SegmentBytes, o.Compression)
	if err != nil {
		return err
	}
	var batch [][]byte
	for {
		rec, err := next()
		if err != nil {
			return err
		}
		if rec != nil {
			batch = append(batch, rec)
		}
		if rec == nil || len(batch) == o.Batch {
			if err := w.Log(batch...); err != nil {
				return err
			}
			batch = batch[:0]
		}
		if rec == nil {
			break
		}
	}
	if o.Kill {
		return nil
	}
	return w.Close()
}

// FromReader reads records that stand behind their lengths, as four bytes, big-endian.
func FromReader(r io.Reader) func() ([]byte, error) {
	in := bufio.NewReader(r)
	return func() ([]byte, error) {
		var head [4]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return nil, err
		}
		rec := make([]byte, uint32(head[0])<<24|uint32(head[1])<<16|uint32(head[2])<<8|uint32(head[3]))
		_, err := io.ReadFull(in, rec)
		return rec, err
	}
}

// Dump writes a line for each record of a log, checkpoint first: its type, entries, length and CRC-32C.
// How reading ends is the last line.
func Dump(dir string, out io.Writer) error {
	ranges := []wlog.SegmentRange{{Dir: dir, First: -1, Last: -1}}
	if checkpoint, index, err := wlog.LastCheckpoint(dir); err == nil {
		ranges[0].First = index + 1
		ranges = append([]wlog.SegmentRange{{Dir: checkpoint, First: -1, Last: -1}}, ranges...)
	}
	segments, err := wlog.NewSegmentsRangeReader(ranges...)
	if err != nil {
		return err
	}
	defer segments.Close()
	buffered := bufio.NewWriter(out)
	defer buffered.Flush()
	r := wlog.NewReader(segments)
	for r.Next() {
		rec := r.Record()
		name, entries, err := describe(rec)
		if err != nil {
			return err
		}
		fmt.Fprintf(buffered, "%s %d %d %08x\n", name, entries, len(rec), crc32.Checksum(rec, castagnoli))
	}
	var corruption *wlog.CorruptionErr
	switch err := r.Err(); {
	case err == nil:
		fmt.Fprintln(buffered, "end")
	case errors.As(err, &corruption):
		fmt.Fprintf(buffered, "corrupt %s\n", filepath.Base(wlog.SegmentName(corruption.Dir, corruption.Segment)))
	default:
		return err
	}
	return nil
}

// DumpFile writes a dump to a file.
func DumpFile(dir, path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := Dump(dir, f); err != nil {
		return err
	}
	return f.Close()
}

// describe decodes a record: the name of its type, and how many entries it has.
func describe(rec []byte) (string, int, error) {
	dec := record.NewDecoder(nil, quiet)
	var (
		n   int
		err error
	)
	t := dec.Type(rec)
	switch t {
	case record.Series:
		n, err = count(dec.Series(rec, nil))
	case record.Samples, record.SamplesV2:
		n, err = count(dec.Samples(rec, nil))
	case record.Tombstones:
		n, err = count(dec.Tombstones(rec, nil))
	case record.Exemplars:
		n, err = count(dec.Exemplars(rec, nil))
	case record.MmapMarkers:
		n, err = count(dec.MmapMarkers(rec, nil))
	case record.Metadata:
		n, err = count(dec.Metadata(rec, nil))
	case record.HistogramSamples, record.CustomBucketsHistogramSamples, record.HistogramSamplesV2:
		n, err = count(dec.HistogramSamples(rec, nil))
	case record.FloatHistogramSamples, record.CustomBucketsFloatHistogramSamples, record.FloatHistogramSamplesV2:
		n, err = count(dec.FloatHistogramSamples(rec, nil))
	}
	return t.String(), n, err
}

func count[T any](list []T, err error) (int, error) { return len(list), err }

// Checkpoint makes a checkpoint of segments first to to that keeps the series with even references. It
// begins a segment, which stays empty.
func Checkpoint(dir string, algorithm compression.Type, first, to int, mint int64, starts bool) error {
	w, err := wlog.New(quiet, nil, dir, algorithm)
	if err != nil {
		return err
	}
	keep := func(ref chunks.HeadSeriesRef) bool { return ref%2 == 0 }
	if _, err := wlog.Checkpoint(quiet, w, first, to, keep, mint, starts); err != nil {
		return err
	}
	return w.Close()
}
