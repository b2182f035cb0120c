package headrun

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"judge/internal/database"
	"judge/internal/digest"
)

// runner is a program that runs.
type runner struct {
	header  Header
	dir     string
	blocks  blocks
	db      *tsdb.DB
	out     *bufio.Writer
	series  []labels.Labels
	refs    []storage.SeriesRef
	v1      map[int]storage.Appender
	v2      map[int]storage.AppenderV2
	started int // how often a database was opened
}

// Run runs the program that in holds on a database in dir; blocks are copied to copies.
func Run(in io.Reader, out io.Writer, dir, copies string) (err error) {
	lines := json.NewDecoder(bufio.NewReader(in))
	r := &runner{
		dir: dir, blocks: blocks{to: copies, seen: map[string]bool{}}, out: bufio.NewWriter(out),
		v1: map[int]storage.Appender{}, v2: map[int]storage.AppenderV2{},
	}
	if err := lines.Decode(&r.header); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	defer func() {
		if e := r.out.Flush(); err == nil {
			err = e
		}
	}()
	if r.db, err = r.header.Options.Open(dir); err != nil {
		return err
	}
	for n := 0; ; n++ {
		var op Op
		if err := lines.Decode(&op); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("operation %d: %w", n, err)
		}
		line, err := r.run(n, op)
		if err != nil {
			return fmt.Errorf("operation %d, %s: %w", n, op.Op, err)
		}
		fmt.Fprintln(r.out, line)
		if err := r.afterwards(op); err != nil {
			return fmt.Errorf("operation %d, %s: %w", n, op.Op, err)
		}
	}
	return r.db.Close()
}

func (r *runner) run(n int, op Op) (string, error) {
	ctx := context.Background()
	switch op.Op {
	case "begin", "append", "exemplar", "metadata", "commit", "rollback":
		return r.appending(op)
	case "delete":
		m, err := matchers(op.Matchers)
		if err != nil {
			return "", err
		}
		err = r.db.Delete(ctx, op.MinT, op.MaxT, m...)
		return r.times("ok"), err
	case "truncate":
		if r.empty() {
			return r.times("ok"), nil
		}
		err := r.db.Head().Truncate(op.MinT)
		return r.times("ok"), err
	case "map":
		r.db.ForceHeadMMap()
		return "ok", nil
	case "flush":
		if r.empty() || r.db.Head().MinTime() > op.MaxT {
			return r.flushed(n, nil)
		}
		head := tsdb.NewRangeHeadWithIsolationDisabled(r.db.Head(), r.db.Head().MinTime(), op.MaxT)
		return r.flushed(n, r.db.CompactHead(head))
	case "flush-ooo":
		return r.flushed(n, r.db.CompactOOOHead(ctx))
	case "compact":
		return r.flushed(n, r.db.Compact(ctx))
	case "reopen", "kill":
		err := r.reopen(op.Op == "kill")
		return r.times("ok"), err
	case "state":
		return r.times("ok"), nil
	}
	return "", errors.New("there is no such operation")
}

// empty says that the head never held a sample.
func (r *runner) empty() bool { return r.db.Head().MinTime() == math.MaxInt64 }

// afterwards writes the lines that belong to the operation.
func (r *runner) afterwards(op Op) error {
	switch op.Op {
	case "state":
		var text bytes.Buffer
		if err := digest.Database(r.db, &text); err != nil {
			return err
		}
		for line := range strings.Lines(text.String()) {
			r.out.WriteString("  " + line)
		}
	case "flush", "flush-ooo", "compact":
		for _, line := range r.blocks.fresh {
			fmt.Fprintln(r.out, "  "+line)
		}
	}
	return nil
}

// times says from when to when the head's samples are, in order and out of order, and how many series
// it has.
func (r *runner) times(word string) string {
	head := r.db.Head()
	span := func(mint, maxt int64) string {
		if mint == math.MaxInt64 || maxt == math.MinInt64 {
			return "none"
		}
		return fmt.Sprintf("%d..%d", mint, maxt)
	}
	return fmt.Sprintf("%s head=%s ooo=%s series=%d", word, span(head.MinTime(), head.MaxTime()),
		span(head.MinOOOTime(), head.MaxOOOTime()), head.NumSeries())
}

func (r *runner) flushed(n int, err error) (string, error) {
	if err != nil {
		return "", err
	}
	if err := r.blocks.look(n, r.db.Dir()); err != nil {
		return "", err
	}
	return r.times("ok"), nil
}

// reopen closes the database and opens it, or opens a copy of what is in its directory now.
func (r *runner) reopen(kill bool) error {
	from := r.dir
	if kill {
		r.started++
		r.dir = fmt.Sprintf("%s.%d", from, r.started)
		if err := database.Copy(from, r.dir); err != nil {
			return err
		}
	}
	if err := r.db.Close(); err != nil {
		return err
	}
	if kill {
		if err := os.RemoveAll(from); err != nil {
			return err
		}
	}
	db, err := r.header.Options.Open(r.dir)
	if err != nil {
		return err
	}
	r.db = db
	clear(r.refs) // A reference may by now belong to another series.
	return nil
}
