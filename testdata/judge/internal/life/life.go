// Package life plays random lives of a Prometheus database: scrapes, late samples, deletions, flushes,
// restarts. What is left in the directory is what another program has to open.
package life

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"judge/internal/database"
)

// base is a multiple of two hours in November 2023, in milliseconds.
const base = int64(236_112) * 7_200_000

// Spec says what a life is like.
type Spec struct {
	Seed    uint64
	Options database.Options
	// Series is how many there are at a time.
	Series int
	// Scrapes is how many rounds of appends there are, StepMs apart.
	Scrapes int
	StepMs  int64
	// Late is the share of samples that are appended late. It needs an out-of-order window.
	Late float64
	// Rollbacks, Deletes, Flushes, Maps and Restarts are chances for each round.
	Rollbacks, Deletes, Flushes, Maps, Restarts float64
	// Steady leaves out whatever 3.15 does in an order that differs from run to run.
	Steady bool
}

// Random makes a life in which there is a bit of everything.
func Random(seed uint64, options database.Options) Spec {
	rng := rand.New(rand.NewPCG(seed, 1))
	s := Spec{
		Seed: seed, Options: options,
		Series: 5 + rng.IntN(40), Scrapes: 100 + rng.IntN(400), StepMs: []int64{15_000, 30_000, 60_000}[rng.IntN(3)],
		Rollbacks: 0.02, Deletes: 0.01, Flushes: 0.5, Maps: 0.02, Restarts: 0.005,
	}
	if options.OutOfOrderWindowMs > 0 {
		s.Late = []float64{0.02, 0.1, 0.4}[rng.IntN(3)]
	}
	return s
}

// life is one that goes on.
type life struct {
	Spec
	rng     *rand.Rand
	dir     string
	db      *tsdb.DB
	members []*member
	born    int
	late    []lateSample
	// Acknowledged is told how many samples were committed so far.
	acknowledged func(samples int)
	samples      int
}

// Play opens a database in dir and plays the life; it returns the open database. After each commit
// it calls acknowledged, if that is not nil.
func (s Spec) Play(dir string, acknowledged func(samples int)) (*tsdb.DB, error) {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %d", s.Series, s.Scrapes)
	l := &life{Spec: s, rng: rand.New(rand.NewPCG(s.Seed, h.Sum64())), dir: dir, acknowledged: acknowledged}
	db, err := s.Options.Open(dir)
	if err != nil {
		return nil, err
	}
	l.db = db
	for round := range s.Scrapes {
		if err := l.round(round); err != nil {
			return l.db, fmt.Errorf("round %d: %w", round, err)
		}
	}
	return l.db, nil
}

func (l *life) chance(p float64) bool { return l.rng.Float64() < p }

func (l *life) round(round int) error {
	l.population(round)
	if err := l.scrape(round); err != nil {
		return fmt.Errorf("scrape: %w", err)
	}
	if len(l.late) > 0 && l.chance(0.15) {
		if err := l.catchUp(); err != nil {
			return fmt.Errorf("late samples: %w", err)
		}
	}
	if l.chance(l.Deletes) {
		if err := l.remove(); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	if l.chance(l.Maps) {
		l.db.ForceHeadMMap()
	}
	head := l.db.Head()
	if head.MaxTime()-head.MinTime() > l.Options.TSDB().MinBlockDuration*3/2 && l.chance(l.Flushes) {
		if err := l.flush(); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
	}
	if l.chance(l.Restarts) {
		return l.restart()
	}
	return nil
}

// flush makes blocks, and merges them unless the life is a steady one.
func (l *life) flush() error {
	ctx := context.Background()
	if !l.Steady {
		return l.db.Compact(ctx)
	}
	head, chunkRange := l.db.Head(), l.Options.TSDB().MinBlockDuration
	maxt := head.MinTime()/chunkRange*chunkRange + chunkRange - 1
	if err := l.db.CompactHead(tsdb.NewRangeHeadWithIsolationDisabled(head, head.MinTime(), maxt)); err != nil {
		return err
	}
	return l.db.CompactOOOHead(ctx)
}

// population lets series come and go.
func (l *life) population(round int) {
	alive := l.members[:0]
	for _, m := range l.members {
		if m.next < len(m.samples) {
			alive = append(alive, m)
		}
	}
	l.members = alive
	for len(l.members) < l.Series {
		l.members = append(l.members, l.birth(round))
		l.born++
	}
}

// scrape appends a sample of each series.
func (l *life) scrape(round int) error {
	app := l.db.AppenderV2(context.Background())
	n := 0
	for _, m := range l.members {
		s := m.samples[m.next]
		m.next++
		if l.chance(l.Late) {
			l.late = append(l.late, lateSample{m, s})
			continue
		}
		if l.rng.IntN(50) == 0 {
			continue // A gap.
		}
		opts := l.extras(m, s)
		if err := m.append(app, s, opts, l.rng.IntN(10) == 0); err != nil {
			return fmt.Errorf("%s at %d: %w", m.labels, s.T, err)
		}
		n++
	}
	if l.chance(l.Rollbacks) {
		return app.Rollback()
	}
	return l.commit(app, n)
}

func (l *life) commit(app storage.AppenderTransaction, samples int) error {
	if err := app.Commit(); err != nil {
		return err
	}
	l.samples += samples
	if l.acknowledged != nil {
		l.acknowledged(l.samples)
	}
	return nil
}

// catchUp appends some of what was held back, in any order.
func (l *life) catchUp() error {
	l.rng.Shuffle(len(l.late), func(i, j int) { l.late[i], l.late[j] = l.late[j], l.late[i] })
	if l.Steady {
		sortByMember(l.late)
	}
	app := l.db.AppenderV2(context.Background())
	n := 0
	taken := 1 + l.rng.IntN(len(l.late))
	for i, late := range l.late[:taken] {
		err := late.member.append(app, late.sample, storage.AOptions{}, l.rng.IntN(10) == 0)
		if err != nil && !errors.Is(err, storage.ErrTooOldSample) && !errors.Is(err, storage.ErrDuplicateSampleForTimestamp) {
			return fmt.Errorf("%s at %d: %w", late.member.labels, late.sample.T, err)
		}
		if err == nil {
			n++
		}
		if l.Steady && i+1 < taken && l.late[i+1].member != late.member {
			if err := l.commit(app, n); err != nil {
				return err
			}
			app, n = l.db.AppenderV2(context.Background()), 0
		}
	}
	l.late = append(l.late[:0], l.late[taken:]...)
	return l.commit(app, n)
}

// remove deletes a part of some series.
func (l *life) remove() error {
	head := l.db.Head()
	span := max(head.MaxTime()-base, 1)
	mint := base + l.rng.Int64N(span)
	maxt := mint + l.rng.Int64N(span/4+1)
	matcher := labels.MustNewMatcher(labels.MatchEqual, "shard", fmt.Sprint(l.rng.IntN(shards)))
	if l.Steady {
		// A block's tombstones are written in no order.
		matcher = labels.MustNewMatcher(labels.MatchEqual, "number", fmt.Sprint(l.rng.IntN(l.born)))
	}
	return l.db.Delete(context.Background(), mint, maxt, matcher)
}

func (l *life) restart() error {
	if err := l.db.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	db, err := l.Options.Open(l.dir)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	l.db = db
	for _, m := range l.members {
		// A reference may by now belong to another series.
		m.ref = 0
	}
	for _, late := range l.late {
		late.member.ref = 0
	}
	return nil
}
