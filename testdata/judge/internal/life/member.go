package life

import (
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/common/model"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"

	"judge/internal/gen"
)

// shards is how many values the label has by which series are deleted.
const shards = 5

// member is a series and the samples that it will have.
type member struct {
	number  int
	labels  labels.Labels
	samples []gen.Sample
	next    int
	ref     storage.SeriesRef
}

type lateSample struct {
	member *member
	sample gen.Sample
}

func sortByMember(late []lateSample) {
	slices.SortStableFunc(late, func(a, b lateSample) int { return a.member.number - b.member.number })
}

// birth makes a series that begins with this round.
func (l *life) birth(round int) *member {
	m := &member{number: l.born}
	kind := gen.RandomKind(l.rng)
	if l.born < 10 {
		kind = gen.Kind(l.born) // Each of them at least once.
	}
	m.labels = labels.FromStrings("__name__", fmt.Sprintf("kind_%d", kind), "number", fmt.Sprint(m.number),
		"shard", fmt.Sprint(m.number%shards), "zone", []string{"a", "b", "", "ä\"\n"}[l.rng.IntN(4)])
	left := l.Scrapes - round
	length := left
	if l.rng.IntN(3) > 0 {
		length = min(left, 20+l.rng.IntN(400))
	}
	start := gen.NoStart
	if l.Options.StoreST {
		start = gen.RandomStartMode(l.rng)
	}
	opt := gen.Options{Start: start, StaleProb: 0.01, ResetProb: 0.01}
	at := base + int64(round)*l.StepMs
	if l.rng.IntN(8) == 0 {
		// Another kind from the middle on.
		half := length / 2
		m.samples = gen.Samples(l.rng, kind, gen.Grid(l.rng, at, l.StepMs, half, l.StepMs/20), opt)
		at += int64(half) * l.StepMs
		length -= half
		kind = gen.RandomKind(l.rng)
	}
	m.samples = append(m.samples, gen.Samples(l.rng, kind, gen.Grid(l.rng, at, l.StepMs, length, l.StepMs/20), opt)...)
	for i := range m.samples {
		s := &m.samples[i]
		if (s.H != nil && value.IsStaleNaN(s.H.Sum) || s.FH != nil && value.IsStaleNaN(s.FH.Sum)) && l.rng.IntN(2) == 0 {
			// As a scrape does it, which does not know what the series was.
			s.H, s.FH, s.F = nil, nil, math.Float64frombits(value.StaleNaN)
		}
	}
	return m
}

// append appends a sample by reference, or by its labels.
func (m *member) append(app storage.AppenderV2, s gen.Sample, opts storage.AOptions, byLabels bool) error {
	ref := m.ref
	if byLabels {
		ref = 0
	}
	ref, err := app.Append(ref, m.labels, s.ST, s.T, s.F, s.H, s.FH, opts)
	if err == nil {
		m.ref = ref
	}
	return err
}

// extras are exemplars and metadata now and then.
func (l *life) extras(m *member, s gen.Sample) (opts storage.AOptions) {
	if l.Options.ExemplarsMax > 0 && l.rng.IntN(20) == 0 {
		opts.Exemplars = append(opts.Exemplars, exemplar.Exemplar{
			Labels: labels.FromStrings("trace_id", fmt.Sprintf("%016x", l.rng.Uint64())),
			Value:  l.rng.Float64(), Ts: s.T, HasTs: true,
		})
	}
	if l.rng.IntN(30) == 0 && (!l.Steady || m.number == 0) {
		opts.Metadata = metadata.Metadata{
			Type: []model.MetricType{model.MetricTypeCounter, model.MetricTypeGauge, model.MetricTypeHistogram}[l.rng.IntN(3)],
			Unit: []string{"", "bytes"}[l.rng.IntN(2)],
			Help: fmt.Sprintf("what number %d counts", m.number),
		}
	}
	return opts
}
