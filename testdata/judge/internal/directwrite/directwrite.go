// Package directwrite writes a file with a writer of Prometheus 3.15 and
// times it, call by call.
package directwrite

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"time"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/fileutil"
	"golang.org/x/sys/unix"
)

// Spec says what to write.
type Spec struct {
	Path                string
	Writer              string
	Bytes               int64
	CallBytes           int
	BufferBytes         int
	ProduceNanosPerByte float64
}

// Result is what it took; the names are those of the bench that reads them.
type Result struct {
	Seconds        float64 `json:"seconds"`
	Bytes          int64   `json:"bytes"`
	CPUSeconds     float64 `json:"cpu_seconds"`
	ProduceSeconds float64 `json:"produce_seconds"`
	// BlockedSeconds is the time spent in calls, the last one included.
	BlockedSeconds float64 `json:"blocked_seconds"`
	FinishSeconds  float64 `json:"finish_seconds"`
	Calls          Latency `json:"calls"`
}

// writer appends, and makes all of it durable at the end.
type writer interface {
	write(p []byte) error
	finish() error
}

// Run writes the file.
func (s Spec) Run() (Result, error) {
	if s.CallBytes <= 0 || s.Bytes <= 0 {
		return Result{}, errors.New("there is nothing to write")
	}
	// The producer is timed by the CPU clock of its thread.
	runtime.LockOSThread()
	content := make([]byte, s.CallBytes)
	random := rand.NewChaCha8([32]byte{7})
	if _, err := random.Read(content); err != nil {
		return Result{}, err
	}
	calls := make([]time.Duration, 0, s.Bytes/int64(s.CallBytes)+2)
	producer := producer{nanosPerByte: s.ProduceNanosPerByte}

	cpu, begin := processCPU(), time.Now()
	w, err := s.open()
	if err != nil {
		return Result{}, err
	}
	for left := s.Bytes; left > 0; {
		p := content[:min(left, int64(s.CallBytes))]
		producer.produce(len(p))
		call := time.Now()
		if err := w.write(p); err != nil {
			return Result{}, err
		}
		calls = append(calls, time.Since(call))
		left -= int64(len(p))
	}
	call := time.Now()
	if err := w.finish(); err != nil {
		return Result{}, err
	}
	finish := time.Since(call)
	calls = append(calls, finish)
	seconds, cpu := time.Since(begin), processCPU()-cpu

	var blocked time.Duration
	for _, took := range calls {
		blocked += took
	}
	return Result{
		Seconds:        seconds.Seconds(),
		Bytes:          s.Bytes,
		CPUSeconds:     cpu.Seconds(),
		ProduceSeconds: producer.worked.Seconds(),
		BlockedSeconds: blocked.Seconds(),
		FinishSeconds:  finish.Seconds(),
		Calls:          summarize(calls),
	}, nil
}

func (s Spec) open() (writer, error) {
	if s.Writer == "chunks" {
		w, err := chunks.NewWriter(s.Path, chunks.WithUncachedIO(true))
		return &chunkWriter{w: w}, err
	}
	f, err := os.OpenFile(s.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	var w fileutil.BufWriter
	switch s.Writer {
	case "direct":
		w, err = fileutil.NewDirectIOWriter(f, s.BufferBytes)
	case "buffered":
		w, err = fileutil.NewBufioWriterWithSize(f, s.BufferBytes)
	default:
		err = fmt.Errorf("no writer is called %q", s.Writer)
	}
	return &fileWriter{f: f, w: w}, err
}

// fileWriter does with a file what the chunk writer does with a segment: it
// flushes, syncs, and cuts off what was padded.
type fileWriter struct {
	f   *os.File
	w   fileutil.BufWriter
	len int64
}

func (f *fileWriter) write(p []byte) error {
	n, err := f.w.Write(p)
	f.len += int64(n)
	return err
}

func (f *fileWriter) finish() error {
	if err := f.w.Flush(); err != nil {
		return err
	}
	if err := f.f.Sync(); err != nil {
		return err
	}
	if err := f.f.Truncate(f.len); err != nil {
		return err
	}
	return f.f.Close()
}

// chunkWriter gives each write to the chunk writer as the bytes of a chunk.
type chunkWriter struct {
	w *chunks.Writer
}

func (c *chunkWriter) write(p []byte) error {
	chunk, err := chunkenc.FromData(chunkenc.EncXOR, p)
	if err != nil {
		return err
	}
	return c.w.WriteChunks(chunks.Meta{Chunk: chunk})
}

func (c *chunkWriter) finish() error { return c.w.Close() }

// producer works for a given CPU time for each byte.
type producer struct {
	nanosPerByte float64
	owed, worked time.Duration
	state        uint64
}

// least is how much is owed before it is worked off: reading the clock for
// less would cost more than the work.
const least = 5 * time.Microsecond

func (p *producer) produce(n int) {
	p.owed += time.Duration(p.nanosPerByte * float64(n))
	if p.owed < least {
		return
	}
	for begin := threadCPU(); ; {
		for range 500 {
			p.state = p.state*6364136223846793005 + 1
		}
		if worked := threadCPU() - begin; worked >= p.owed {
			p.worked += worked
			p.owed = 0
			return
		}
	}
}

// threadCPU is the CPU time of the calling thread so far.
func threadCPU() time.Duration { return cpuTime(unix.CLOCK_THREAD_CPUTIME_ID) }

// processCPU is the CPU time of all threads so far.
func processCPU() time.Duration { return cpuTime(unix.CLOCK_PROCESS_CPUTIME_ID) }

func cpuTime(clock int32) time.Duration {
	var t unix.Timespec
	// It cannot fail for these two.
	_ = unix.ClockGettime(clock, &t)
	return time.Duration(t.Nano())
}
