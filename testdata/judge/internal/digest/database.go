package digest

import (
	"bufio"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// Database writes what a query of everything finds in db, head and blocks, a line for each series:
//
//	CRC-32C of the canonical records, samples, first and last time, labels
//	exemplars CRC-32C, how many, labels
//
// and at last the head's times and how many series it has.
func Database(db *tsdb.DB, to io.Writer) (err error) {
	out := bufio.NewWriter(to)
	defer func() {
		if e := out.Flush(); err == nil {
			err = e
		}
	}()
	if err := writeSeries(db, out); err != nil {
		return err
	}
	if err := writeExemplars(db, out); err != nil {
		return err
	}
	return nil
}

func writeSeries(db *tsdb.DB, out io.Writer) (err error) {
	q, err := db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return err
	}
	defer func() {
		if e := q.Close(); err == nil {
			err = e
		}
	}()
	set := q.Select(context.Background(), true, nil, everything())
	var it chunkenc.Iterator
	for set.Next() {
		s := set.At()
		it = s.Iterator(it)
		if err := writeOne(s, it, out); err != nil {
			return fmt.Errorf("series %s: %w", s.Labels(), err)
		}
	}
	if err := set.Err(); err != nil {
		return err
	}
	return nil
}

func everything() *labels.Matcher {
	return labels.MustNewMatcher(labels.MatchRegexp, "__name__", ".*")
}

func writeOne(s storage.Series, it chunkenc.Iterator, out io.Writer) error {
	var (
		buf         []byte
		crc         uint32
		n           int
		first, last int64
	)
	for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
		last = it.AtT()
		if n == 0 {
			first = last
		}
		n++
		buf = canonical(buf[:0], it, vt)
		crc = crc32.Update(crc, castagnoli, buf)
	}
	if err := it.Err(); err != nil {
		return err
	}
	if n == 0 {
		// Whether a series without samples is listed is no matter of what is stored.
		return nil
	}
	_, err := fmt.Fprintf(out, "%08x %d %d %d %s\n", crc, n, first, last, s.Labels())
	return err
}

func canonical(b []byte, it chunkenc.Iterator, vt chunkenc.ValueType) []byte {
	switch vt {
	case chunkenc.ValHistogram:
		t, h := it.AtHistogram(nil)
		return canonicalHistogram(b, it.AtST(), t, h)
	case chunkenc.ValFloatHistogram:
		t, h := it.AtFloatHistogram(nil)
		return canonicalFloatHistogram(b, it.AtST(), t, h)
	default:
		t, v := it.At()
		return appendFloat(b, it.AtST(), t, v)
	}
}

func writeExemplars(db *tsdb.DB, out io.Writer) error {
	q, err := db.ExemplarQuerier(context.Background())
	if err != nil {
		return err
	}
	found, err := q.Select(math.MinInt64, math.MaxInt64, []*labels.Matcher{everything()})
	if err != nil {
		return err
	}
	for _, series := range found {
		crc := uint32(0)
		for _, e := range series.Exemplars {
			text := fmt.Sprintf("%d %016x %s\n", e.Ts, math.Float64bits(e.Value), e.Labels)
			crc = crc32.Update(crc, castagnoli, []byte(text))
		}
		_, err := fmt.Fprintf(out, "exemplars %08x %d %s\n", crc, len(series.Exemplars), series.SeriesLabels)
		if err != nil {
			return err
		}
	}
	return nil
}
