// Package compactor runs Prometheus's LeveledCompactor and measures it.
package compactor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"syscall"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// Job is one compaction.
type Job struct {
	Dest          string   `json:"dest"`
	Blocks        []string `json:"blocks"`
	SegmentSize   int64    `json:"segment_size"`   // 0 means the default
	FloatEncoding string   `json:"float_encoding"` // xor (default) or xor2
	Uncached      bool     `json:"uncached"`
}

// Result is what a job did. No ULID and no error mean that no sample was left.
type Result struct {
	ULID        string  `json:"ulid,omitempty"`
	WallSeconds float64 `json:"wall_s"`
	CPUSeconds  float64 `json:"cpu_s"`
	HeapBytes   uint64  `json:"go_heap_and_stacks_bytes"` // from the OS, at the end
	Error       string  `json:"error,omitempty"`
}

// Run compacts. The sources are left alone: Prometheus marks failed and empty
// sources in their meta.json, so it is given a shadow of each.
func Run(job Job) Result {
	id, res, err := run(job)
	if err != nil {
		res.Error = err.Error()
	}
	if id != (ulid.ULID{}) {
		res.ULID = id.String()
	}
	return res
}

func run(job Job) (id ulid.ULID, res Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("Prometheus panicked: %v", p)
		}
	}()
	if err := os.MkdirAll(job.Dest, 0o777); err != nil {
		return id, res, err
	}
	shadows, err := os.MkdirTemp("", "judge-sources")
	if err != nil {
		return id, res, err
	}
	defer os.RemoveAll(shadows)
	var dirs []string
	for i, b := range job.Blocks {
		// Two sources may have one name.
		dir, err := Shadow(b, filepath.Join(shadows, fmt.Sprint(i)))
		if err != nil {
			return id, res, err
		}
		dirs = append(dirs, dir)
	}
	float := chunkenc.EncXOR
	if job.FloatEncoding == "xor2" {
		float = chunkenc.EncXOR2
	}
	c, err := tsdb.NewLeveledCompactorWithOptions(context.Background(), nil, slog.New(slog.DiscardHandler),
		tsdb.ExponentialBlockRanges(tsdb.DefaultBlockDuration, 5, 3), chunkenc.NewPool(), tsdb.LeveledCompactorOptions{
			MaxBlockChunkSegmentSize:    job.SegmentSize,
			FloatChunkEncoding:          func() chunkenc.Encoding { return float },
			EnableOverlappingCompaction: true,
			UseUncachedIO:               job.Uncached,
		})
	if err != nil {
		return id, res, err
	}
	cpu, start := cpuSeconds(), time.Now()
	ids, err := c.Compact(job.Dest, dirs, nil)
	res.WallSeconds = time.Since(start).Seconds()
	res.CPUSeconds = cpuSeconds() - cpu
	res.HeapBytes = goMemory()
	if len(ids) > 0 {
		id = ids[0]
	}
	return id, res, err
}

// Shadow makes parent/ULID with the block's files as links and a copy of its
// meta.json, the only file that Prometheus rewrites in place.
func Shadow(block, parent string) (string, error) {
	abs, err := filepath.Abs(block)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(parent, filepath.Base(abs))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(abs)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.Name() == "meta.json" {
			continue
		}
		if err := os.Symlink(filepath.Join(abs, e.Name()), filepath.Join(dir, e.Name())); err != nil {
			return "", err
		}
	}
	buf, err := os.ReadFile(filepath.Join(abs, "meta.json"))
	if err != nil {
		return "", err
	}
	return dir, os.WriteFile(filepath.Join(dir, "meta.json"), buf, 0o666)
}

func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// goMemory is what Go's heap and stacks hold of the OS's memory.
func goMemory() uint64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
	}
	metrics.Read(samples)
	var sum uint64
	for _, s := range samples {
		if s.Value.Kind() == metrics.KindUint64 {
			sum += s.Value.Uint64()
		}
	}
	runtime.KeepAlive(samples)
	return sum
}
