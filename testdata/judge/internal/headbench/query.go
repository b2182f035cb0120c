package headbench

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// query is one that is timed; it returns how many series or values and samples it found.
type query struct {
	name string
	run  func(q storage.Querier) (found, samples int, err error)
}

func queries() []query {
	all := matcher(labels.MatchRegexp, "__name__", ".+")
	pod := matcher(labels.MatchRegexp, "pod", ".*-1[0-9]?-.*")
	name := matcher(labels.MatchEqual, "__name__", "http_requests_total_00")
	return []query{
		{"all_series", func(q storage.Querier) (int, int, error) { return walk(q, false, all) }},
		{"all_samples", func(q storage.Querier) (int, int, error) { return walk(q, true, all) }},
		{"one_metric", func(q storage.Querier) (int, int, error) { return walk(q, true, name) }},
		{"regexp", func(q storage.Querier) (int, int, error) { return walk(q, false, pod) }},
		{"label_values", func(q storage.Querier) (int, int, error) {
			values, _, err := q.LabelValues(context.Background(), "pod", nil)
			return len(values), 0, err
		}},
		{"label_names", func(q storage.Querier) (int, int, error) {
			names, _, err := q.LabelNames(context.Background(), nil)
			return len(names), 0, err
		}},
	}
}

func matcher(t labels.MatchType, name, value string) *labels.Matcher {
	return labels.MustNewMatcher(t, name, value)
}

// queryCase opens a database and asks each query Repeats times; the median counts.
func queryCase(spec Spec) (map[string]float64, error) {
	db, err := spec.Options.Open(spec.Dir)
	if err != nil {
		return nil, err
	}
	figures := map[string]float64{"blocks": float64(len(db.Blocks())), "head_series": float64(db.Head().NumSeries())}
	for _, q := range queries() {
		var took []float64
		for range spec.Repeats {
			seconds, err := ask(db, q, figures)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", q.name, err)
			}
			took = append(took, seconds)
		}
		slices.Sort(took)
		figures[q.name+"_seconds"] = took[len(took)/2]
	}
	return figures, db.Close()
}

func ask(db *tsdb.DB, q query, figures map[string]float64) (seconds float64, err error) {
	started := time.Now()
	querier, err := db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil {
		return 0, err
	}
	found, samples, err := q.run(querier)
	if err != nil {
		return 0, err
	}
	if err := querier.Close(); err != nil {
		return 0, err
	}
	seconds = time.Since(started).Seconds()
	figures[q.name+"_found"] = float64(found)
	if samples > 0 {
		figures[q.name+"_samples"] = float64(samples)
	}
	return seconds, nil
}

func walk(q storage.Querier, samples bool, m *labels.Matcher) (found, n int, err error) {
	set := q.Select(context.Background(), true, nil, m)
	var it chunkenc.Iterator
	for set.Next() {
		found++
		if !samples {
			continue
		}
		it = set.At().Iterator(it)
		for it.Next() != chunkenc.ValNone {
			n++
		}
		if err := it.Err(); err != nil {
			return 0, 0, err
		}
	}
	return found, n, set.Err()
}
