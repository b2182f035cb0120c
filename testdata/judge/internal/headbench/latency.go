package headbench

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// latencyCase commits at a steady rate: first while nothing else goes on, then while the database flushes
// and compacts all the time, because the time of the samples passes so fast.
func latencyCase(spec Spec) (map[string]float64, error) {
	f, err := newFiller(spec)
	if err != nil {
		return nil, err
	}
	if err := f.create(); err != nil {
		return nil, err
	}
	figures := map[string]float64{}
	p := &pacer{filler: f, next: 1}
	if err := p.run("idle_", figures); err != nil {
		return nil, err
	}
	f.db.EnableCompactions()
	before := len(f.db.Blocks())
	if err := p.run("busy_", figures); err != nil {
		return nil, err
	}
	figures["blocks"] = float64(len(f.db.Blocks()) - before)
	figures["last_sample"] = float64(p.next)
	return figures, f.db.Close()
}

// pacer goes on where it stopped.
type pacer struct {
	*filler
	next   int // sample of the series
	series int // with which the next batch begins
}

func (p *pacer) run(name string, figures map[string]float64) error {
	var commits, batches []float64
	every := time.Duration(float64(time.Second) / p.spec.Rate)
	started := time.Now()
	for n := 0; time.Since(started).Seconds() < p.spec.Seconds; n++ {
		due := started.Add(time.Duration(n) * every)
		time.Sleep(time.Until(due))
		begun := time.Now()
		app := p.db.Appender(context.Background())
		for range p.spec.Batch {
			t, v := sample(p.series, p.next, p.spec.StepMs)
			if _, err := app.Append(p.refs[p.series], labels.EmptyLabels(), t, v); err != nil {
				return err
			}
			p.series++
			if p.series == p.spec.Series {
				p.series = 0
				p.next++
			}
		}
		filled := time.Now()
		if err := app.Commit(); err != nil {
			return err
		}
		commits = append(commits, time.Since(filled).Seconds())
		batches = append(batches, time.Since(begun).Seconds())
	}
	percentiles(figures, name+"commit_", commits)
	percentiles(figures, name+"batch_", batches)
	figures[name+"commits"] = float64(len(commits))
	return nil
}

// percentiles are in microseconds: the smallest that a share of them did not exceed.
func percentiles(figures map[string]float64, name string, seconds []float64) {
	slices.Sort(seconds)
	at := func(parts, of int) float64 {
		rank := max((len(seconds)*parts+of-1)/of, 1)
		return seconds[rank-1] * 1e6
	}
	figures[name+"p50_us"] = at(50, 100)
	figures[name+"p99_us"] = at(99, 100)
	figures[name+"p999_us"] = at(999, 1000)
	figures[name+"max_us"] = seconds[len(seconds)-1] * 1e6
}
