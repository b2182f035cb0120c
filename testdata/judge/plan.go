package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/prometheus/tsdb"
)

// planQuestion is a set of metas, one a line on standard input.
type planQuestion struct {
	RangesMs    []int64           `json:"ranges_ms"`
	Overlapping bool              `json:"overlapping"`
	Exclude     []ulid.ULID       `json:"exclude"`
	Metas       []json.RawMessage `json:"metas"`
}

// planAnswer is a line on standard output, in the order of the questions.
type planAnswer struct {
	// What LeveledCompactor.Plan chooses in a directory with these meta.json files.
	Plan []string `json:"plan"`
	// CompactBlockMetas of all metas in the order given, under the zero ULID.
	Merged *tsdb.BlockMeta `json:"merged,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// planCommand asks Prometheus's own planner about sets of block metas.
func planCommand(args []string) error {
	flags := flag.NewFlagSet("plan", flag.ExitOnError)
	scratch := flags.String("scratch", "", "directory for the meta.json files, best in memory")
	if err := flags.Parse(args); err != nil {
		return err
	}
	root, err := os.MkdirTemp(*scratch, "plan-judge-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	return answerPlans(root)
}

// answerPlans answers lines in parallel and prints the answers in order.
func answerPlans(root string) error {
	type job struct {
		line   []byte
		answer chan planAnswer
	}
	jobs := make(chan job)
	pending := make(chan chan planAnswer, 256)
	var workers sync.WaitGroup
	for i := range runtime.GOMAXPROCS(0) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			dir := filepath.Join(root, fmt.Sprint(i))
			s := planDir{path: dir}
			for j := range jobs {
				a, err := s.plan(j.line)
				if err != nil {
					a = planAnswer{Error: err.Error()}
				}
				j.answer <- a
			}
		}()
	}

	printed := make(chan error, 1)
	go func() {
		out := bufio.NewWriter(os.Stdout)
		enc := json.NewEncoder(out)
		var err error
		for a := range pending {
			if e := enc.Encode(<-a); e != nil && err == nil {
				err = e
			}
		}
		if e := out.Flush(); e != nil && err == nil {
			err = e
		}
		printed <- err
	}()

	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		j := job{line: append([]byte(nil), in.Bytes()...), answer: make(chan planAnswer, 1)}
		pending <- j.answer
		jobs <- j
	}
	close(jobs)
	workers.Wait()
	close(pending)
	if err := <-printed; err != nil {
		return err
	}
	return in.Err()
}

// planDir is a data directory that is used again for the next set: making and removing block
// directories would take most of the time.
type planDir struct {
	path   string
	blocks map[ulid.ULID]bool
}

// fill leaves exactly these blocks in the directory.
func (s *planDir) fill(metas []*tsdb.BlockMeta, raw []json.RawMessage) error {
	if s.blocks == nil {
		s.blocks = map[ulid.ULID]bool{}
	}
	wanted := make(map[ulid.ULID]bool, len(metas))
	for i, meta := range metas {
		if wanted[meta.ULID] {
			return fmt.Errorf("block %s twice", meta.ULID)
		}
		wanted[meta.ULID] = true
		dir := filepath.Join(s.path, meta.ULID.String())
		if !s.blocks[meta.ULID] {
			if err := os.MkdirAll(dir, 0o777); err != nil {
				return err
			}
			s.blocks[meta.ULID] = true
		}
		if err := os.WriteFile(filepath.Join(dir, "meta.json"), raw[i], 0o666); err != nil {
			return err
		}
	}
	for id := range s.blocks {
		if !wanted[id] {
			if err := os.RemoveAll(filepath.Join(s.path, id.String())); err != nil {
				return err
			}
			delete(s.blocks, id)
		}
	}
	return nil
}

func (s *planDir) plan(line []byte) (planAnswer, error) {
	var q planQuestion
	if err := json.Unmarshal(line, &q); err != nil {
		return planAnswer{}, err
	}
	metas := make([]*tsdb.BlockMeta, 0, len(q.Metas))
	for _, raw := range q.Metas {
		meta := &tsdb.BlockMeta{}
		if err := json.Unmarshal(raw, meta); err != nil {
			return planAnswer{}, err
		}
		metas = append(metas, meta)
	}
	if err := os.MkdirAll(s.path, 0o777); err != nil {
		return planAnswer{}, err
	}
	if err := s.fill(metas, q.Metas); err != nil {
		return planAnswer{}, err
	}

	excluded := make(map[ulid.ULID]bool, len(q.Exclude))
	for _, id := range q.Exclude {
		excluded[id] = true
	}
	c, err := tsdb.NewLeveledCompactorWithOptions(context.Background(), nil, nil, q.RangesMs, nil,
		tsdb.LeveledCompactorOptions{
			EnableOverlappingCompaction: q.Overlapping,
			BlockExcludeFilter:          func(m *tsdb.BlockMeta) bool { return excluded[m.ULID] },
		})
	if err != nil {
		return planAnswer{}, err
	}
	dirs, err := c.Plan(s.path)
	if err != nil {
		return planAnswer{}, err
	}
	a := planAnswer{Plan: []string{}}
	for _, d := range dirs {
		a.Plan = append(a.Plan, filepath.Base(d))
	}
	if len(metas) > 0 {
		a.Merged = tsdb.CompactBlockMetas(ulid.ULID{}, metas...)
	}
	return a, nil
}
