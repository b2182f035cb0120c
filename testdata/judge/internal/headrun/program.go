// Package headrun runs append programs on Prometheus's head: lists of operations that another
// implementation of a head ran too, or will run.
//
// A program is a JSON object for each line. The first one is a Header, the others are Ops. Of each Op
// comes a line back, what became of it; lines that belong to it begin with two spaces.
package headrun

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/prometheus/common/model"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"

	"judge/internal/database"
)

// Header begins a program.
type Header struct {
	Options database.Options `json:"options"`
	// API is "v1", Prometheus's Appender, which knows no start times, or "v2", its AppenderV2, which
	// takes exemplars and metadata with the sample only.
	API string `json:"api"`
}

// Op is one operation.
//
//	begin        makes appender A
//	append       a sample of series S by A, with exemplars and metadata
//	exemplar     one or more of series S by A, alone (v1 only)
//	metadata     of series S by A, alone (v1 only)
//	commit       A
//	rollback     A
//	delete       the samples of Matchers from MinT to MaxT, both inclusive
//	truncate     the head before MinT
//	map          full chunks are written to disk
//	flush        the head from its minimum to MaxT inclusive becomes a block
//	flush-ooo    what came out of order becomes blocks
//	compact      whatever is due: head, out of order, blocks
//	reopen       closes and opens
//	kill         opens what a killed process would leave
//	state        a digest of what can be read
type Op struct {
	Op        string            `json:"op"`
	Appender  int               `json:"a"`
	Series    int               `json:"s"`
	Labels    Labels            `json:"labels"` // of a series that is named for the first time
	ByRef     bool              `json:"ref"`    // if its reference is known
	T         int64             `json:"t"`
	ST        int64             `json:"st"`
	Float     *Bits             `json:"f"`
	Histogram *Histogram[int64] `json:"h"`
	FloatH    *Histogram[Bits]  `json:"fh"`
	Exemplars []Exemplar        `json:"exemplars"`
	Metadata  *Metadata         `json:"metadata"`
	Matchers  []Matcher         `json:"matchers"`
	MinT      int64             `json:"min"`
	MaxT      int64             `json:"max"`
}

// Bits are those of a float, as hexadecimal digits.
type Bits float64

// UnmarshalJSON reads digits in quotes.
func (b *Bits) UnmarshalJSON(text []byte) error {
	var digits string
	if err := json.Unmarshal(text, &digits); err != nil {
		return err
	}
	bits, err := strconv.ParseUint(digits, 16, 64)
	*b = Bits(math.Float64frombits(bits))
	return err
}

// Labels are pairs of name and value, in this order, valid or not.
type Labels [][2]string

func (l Labels) build() labels.Labels {
	b := labels.NewScratchBuilder(len(l))
	for _, pair := range l {
		b.Add(pair[0], pair[1])
	}
	return b.Labels()
}

// Histogram has counts and buckets of one type; integer ones are deltas.
type Histogram[B any] struct {
	Hint          byte       `json:"hint"`
	Schema        int32      `json:"schema"`
	ZeroThreshold Bits       `json:"zero_threshold"`
	ZeroCount     B          `json:"zero_count"`
	Count         B          `json:"count"`
	Sum           Bits       `json:"sum"`
	PositiveSpans [][2]int64 `json:"positive_spans"`
	NegativeSpans [][2]int64 `json:"negative_spans"`
	Positive      []B        `json:"positive"`
	Negative      []B        `json:"negative"`
	Custom        []Bits     `json:"custom"`
}

func integer(h *Histogram[int64]) *histogram.Histogram {
	if h == nil {
		return nil
	}
	return &histogram.Histogram{
		CounterResetHint: histogram.CounterResetHint(h.Hint), Schema: h.Schema, ZeroThreshold: float64(h.ZeroThreshold),
		ZeroCount: uint64(h.ZeroCount), Count: uint64(h.Count), Sum: float64(h.Sum),
		PositiveSpans: spans(h.PositiveSpans), NegativeSpans: spans(h.NegativeSpans),
		PositiveBuckets: h.Positive, NegativeBuckets: h.Negative, CustomValues: floats(h.Custom),
	}
}

func float(h *Histogram[Bits]) *histogram.FloatHistogram {
	if h == nil {
		return nil
	}
	return &histogram.FloatHistogram{
		CounterResetHint: histogram.CounterResetHint(h.Hint), Schema: h.Schema, ZeroThreshold: float64(h.ZeroThreshold),
		ZeroCount: float64(h.ZeroCount), Count: float64(h.Count), Sum: float64(h.Sum),
		PositiveSpans: spans(h.PositiveSpans), NegativeSpans: spans(h.NegativeSpans),
		PositiveBuckets: floats(h.Positive), NegativeBuckets: floats(h.Negative), CustomValues: floats(h.Custom),
	}
}

func spans(pairs [][2]int64) (out []histogram.Span) {
	for _, p := range pairs {
		out = append(out, histogram.Span{Offset: int32(p[0]), Length: uint32(p[1])})
	}
	return out
}

func floats(bits []Bits) (out []float64) {
	for _, b := range bits {
		out = append(out, float64(b))
	}
	return out
}

// Exemplar is one of a series.
type Exemplar struct {
	Labels Labels `json:"labels"`
	T      int64  `json:"t"`
	Value  Bits   `json:"v"`
}

func exemplars(list []Exemplar) (out []exemplar.Exemplar) {
	for _, e := range list {
		out = append(out, exemplar.Exemplar{Labels: e.Labels.build(), Value: float64(e.Value), Ts: e.T, HasTs: true})
	}
	return out
}

// Metadata is that of a series.
type Metadata struct {
	Type string `json:"type"`
	Unit string `json:"unit"`
	Help string `json:"help"`
}

func (m *Metadata) build() metadata.Metadata {
	if m == nil {
		return metadata.Metadata{}
	}
	return metadata.Metadata{Type: model.MetricType(m.Type), Unit: m.Unit, Help: m.Help}
}

// Matcher is name, operator and value.
type Matcher [3]string

func matchers(list []Matcher) (out []*labels.Matcher, err error) {
	operators := map[string]labels.MatchType{
		"=": labels.MatchEqual, "!=": labels.MatchNotEqual, "=~": labels.MatchRegexp, "!~": labels.MatchNotRegexp,
	}
	for _, m := range list {
		operator, ok := operators[m[1]]
		if !ok {
			return nil, fmt.Errorf("no such matcher: %q", m)
		}
		built, err := labels.NewMatcher(operator, m[0], m[2])
		if err != nil {
			return nil, err
		}
		out = append(out, built)
	}
	return out, nil
}
