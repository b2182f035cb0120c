package promql

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"slices"

	"judge/internal/gen"
)

// Options of Compare.
type Options struct {
	Binary string // prometheus
	Seed   uint64
	Count  int // queries
	DirA   string
	DirB   string
}

// Report is the outcome of a comparison.
type Report struct {
	Queries     int      `json:"queries"`
	NonEmpty    int      `json:"non_empty"`
	Histograms  int      `json:"with_histograms"`
	Errors      int      `json:"errors"` // answered by an error, the same on both sides
	Blocks      int      `json:"blocks"`
	Differences []string `json:"differences,omitempty"`
}

// outOfReach is beyond what the HTTP API parses as a time.
const outOfReach = int64(1) << 47

// Compare asks both directories the same queries. Times and series of the
// queries come from the blocks of DirA.
func Compare(ctx context.Context, opt Options) (Report, error) {
	var rep Report
	a, err := start(ctx, opt.Binary, opt.DirA)
	if err != nil {
		return rep, err
	}
	defer a.stop()
	b, err := start(ctx, opt.Binary, opt.DirB)
	if err != nil {
		return rep, err
	}
	defer b.stop()
	windows, err := windowsOf(ctx, a, opt.DirA)
	if err != nil {
		return rep, err
	}
	if len(windows) == 0 {
		return rep, fmt.Errorf("no block of %s has a series at a time that can be asked for", opt.DirA)
	}
	rep.Blocks = len(windows)
	rng := rand.New(rand.NewPCG(opt.Seed, 0))
	for tries := 0; rep.Queries < opt.Count && tries < 40*opt.Count; tries++ {
		q := randomQuery(rng, windows[rng.IntN(len(windows))])
		left, err := a.get(ctx, q.path, q.params)
		if err != nil {
			return rep, err
		}
		// Most queries are to have an answer: only one in twelve may be empty.
		empty := isEmpty(left)
		if empty && (rep.Queries-rep.NonEmpty)*12 >= rep.Queries {
			continue
		}
		right, err := b.get(ctx, q.path, q.params)
		if err != nil {
			return rep, err
		}
		rep.count(left, empty)
		if l, r := canonical(left), canonical(right); !bytes.Equal(l, r) {
			rep.Differences = append(rep.Differences, fmt.Sprintf("%s\n  A: %.600s\n  B: %.600s", q, l, r))
		}
	}
	return rep, nil
}

func (r *Report) count(a answer, empty bool) {
	r.Queries++
	if !empty {
		r.NonEmpty++
	}
	if a.Status != "success" {
		r.Errors++
	}
	if bytes.Contains(a.Data, []byte(`"histogram"`)) || bytes.Contains(a.Data, []byte(`"histograms"`)) {
		r.Histograms++
	}
}

// windowsOf asks the server which series each block of dir holds.
func windowsOf(ctx context.Context, s *server, dir string) ([]window, error) {
	metas, err := filepath.Glob(filepath.Join(dir, "*", "meta.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(metas)
	var out []window
	for _, m := range metas {
		meta, err := gen.ReadMeta(filepath.Dir(m))
		if err != nil {
			return nil, err
		}
		if meta.MinTime < -outOfReach || meta.MaxTime > outOfReach {
			continue
		}
		w := window{minTime: meta.MinTime, maxTime: meta.MaxTime}
		got, err := s.get(ctx, "/api/v1/series", url.Values{
			"match[]": {`{__name__=~".+"}`}, "limit": {"200"},
			"start": {seconds(w.minTime)}, "end": {seconds(w.maxTime - 1)},
		})
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(got.Data, &w.series); err != nil {
			return nil, fmt.Errorf("series of %s: %w (%s)", m, err, got.Error)
		}
		if len(w.series) > 0 {
			out = append(out, w)
		}
	}
	return out, nil
}

// result is the part of an answer that both servers must agree on.
type result struct {
	Type   string            `json:"resultType"`
	Result []json.RawMessage `json:"result"`
}

func isEmpty(a answer) bool {
	var r result
	if a.Status != "success" || json.Unmarshal(a.Data, &r) != nil {
		return true
	}
	return len(r.Result) == 0
}

// canonical is the answer's data with its elements sorted: where PromQL leaves
// their order open, the two servers may differ.
func canonical(a answer) []byte {
	if a.Status != "success" {
		return []byte(a.Error)
	}
	var r result
	if json.Unmarshal(a.Data, &r) != nil {
		return a.Data
	}
	slices.SortFunc(r.Result, func(x, y json.RawMessage) int { return bytes.Compare(x, y) })
	out := []byte(r.Type)
	for _, e := range r.Result {
		out = append(append(out, '\n'), e...)
	}
	return out
}
