package promql

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// window is the time range of one block, in milliseconds, and the series that
// have samples in it.
type window struct {
	minTime, maxTime int64
	series           []map[string]string
}

// query is one request of the HTTP API.
type query struct {
	path   string
	params url.Values
}

func (q query) String() string { return q.path + " " + q.params.Encode() }

// expressions hold one selector each: %[1]s is it, %[2]s a duration.
var expressions = []string{
	"%[1]s", "%[1]s", "%[1]s offset %[2]s", "timestamp(%[1]s)", "sort(%[1]s)", "abs(%[1]s) + 1",
	"rate(%[1]s[%[2]s])", "increase(%[1]s[%[2]s])", "irate(%[1]s[%[2]s])", "delta(%[1]s[%[2]s])",
	"count_over_time(%[1]s[%[2]s])", "last_over_time(%[1]s[%[2]s])", "present_over_time(%[1]s[%[2]s])",
	"sum_over_time(%[1]s[%[2]s])", "avg_over_time(%[1]s[%[2]s])", "max_over_time(%[1]s[%[2]s])",
	"quantile_over_time(0.7, %[1]s[%[2]s])", "changes(%[1]s[%[2]s])", "resets(%[1]s[%[2]s])",
	"sum by (__name__) (%[1]s)", "count(%[1]s)", "avg(%[1]s)", "max by (zone) (%[1]s)", "topk(2, %[1]s)",
	"count_values(\"v\", %[1]s)", "sum(count_over_time(%[1]s[%[2]s]))", "absent(%[1]s)",
	"histogram_quantile(0.9, %[1]s)", "histogram_quantile(0.5, sum(rate(%[1]s[%[2]s])))",
	"histogram_count(%[1]s)", "histogram_sum(%[1]s)", "histogram_avg(%[1]s)",
	"histogram_fraction(0, 0.5, %[1]s)", "sum(%[1]s)", "avg_over_time(%[1]s[%[2]s])",
	"max_over_time(timestamp(%[1]s)[%[2]s:%[3]s])", "rate(%[1]s[%[2]s:%[3]s])",
}

// matrices answer with every raw sample.
var matrices = []string{"%[1]s[%[2]s]", "{__name__=~\".+\"}[%[2]s]"}

func randomQuery(rng *rand.Rand, w window) query {
	length := max(w.maxTime-w.minTime, 2)
	selector := w.selector(rng)
	duration := max(length/(1+rng.Int64N(6)), 1)
	if rng.IntN(3) == 0 {
		duration = 5 * 60_000
	}
	at := w.instant(rng)
	p := url.Values{}
	switch rng.IntN(8) {
	case 0:
		p.Set("query", fmt.Sprintf(matrices[rng.IntN(len(matrices))], selector, millis(duration)))
		if !strings.Contains(p.Get("query"), selector) {
			p.Set("query", selector+"["+millis(duration)+"]")
		}
		p.Set("time", seconds(at))
		return query{"/api/v1/query", p}
	case 1, 2, 3:
		p.Set("query", w.expression(rng, selector, duration))
		p.Set("time", seconds(at))
		return query{"/api/v1/query", p}
	default:
		p.Set("query", w.expression(rng, selector, duration))
		steps := 1 + rng.Int64N(50)
		from := at - rng.Int64N(length)
		p.Set("start", seconds(from))
		p.Set("end", seconds(from+length))
		p.Set("step", seconds(max(length/steps, 1)))
		return query{"/api/v1/query_range", p}
	}
}

func (w window) expression(rng *rand.Rand, selector string, duration int64) string {
	e := expressions[rng.IntN(len(expressions))]
	args := []any{selector, millis(duration), millis(max(duration/7, 1))}
	return fmt.Sprintf(e, args[:min(3, maxVerb(e))]...)
}

// maxVerb is the highest argument that the format uses.
func maxVerb(format string) int {
	for n := 3; n > 1; n-- {
		if strings.Contains(format, fmt.Sprintf("%%[%d]s", n)) {
			return n
		}
	}
	return 1
}

// instant is a time in the window, often at its very borders.
func (w window) instant(rng *rand.Rand) int64 {
	length := max(w.maxTime-w.minTime, 2)
	switch rng.IntN(5) {
	case 0:
		return w.minTime + rng.Int64N(3) - 1
	case 1:
		return w.maxTime + rng.Int64N(3) - 2
	default:
		return w.minTime + rng.Int64N(length)
	}
}

// selector matches a series of the window by some or all of its labels.
func (w window) selector(rng *rand.Rand) string {
	series := w.series[rng.IntN(len(w.series))]
	names := make([]string, 0, len(series))
	for n := range series {
		names = append(names, n)
	}
	slices.Sort(names)
	if rng.IntN(2) == 0 && len(names) > 1 {
		rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		names = names[:1+rng.IntN(len(names)-1)]
	}
	var matchers []string
	for _, n := range names {
		op, value := "=", series[n]
		if rng.IntN(6) == 0 && len(value) > 1 && plain(value) {
			op, value = "=~", value[:len(value)-1]+".*"
		}
		matchers = append(matchers, fmt.Sprintf("%s%s%s", strconv.Quote(n), op, strconv.Quote(value)))
	}
	return "{" + strings.Join(matchers, ",") + "}"
}

func plain(s string) bool {
	for _, r := range s {
		if r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return true
}

func millis(ms int64) string { return strconv.FormatInt(ms, 10) + "ms" }

func seconds(ms int64) string { return strconv.FormatFloat(float64(ms)/1000, 'f', 3, 64) }
