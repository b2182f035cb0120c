package headbench

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"judge/internal/database"
)

// Spec says what a case does.
type Spec struct {
	Case    string
	Dir     string
	Series  int
	Samples int   // of each series
	StepMs  int64 // between them
	Batch   int   // samples of a commit
	Writers int
	Repeats int
	// Seconds is for how long latencies are taken, Rate how many commits there are in a second.
	Seconds float64
	Rate    float64
	Options database.Options
}

// Result is what was measured.
type Result struct {
	Case    string             `json:"case"`
	Figures map[string]float64 `json:"figures"`
}

var cases = map[string]func(Spec) (map[string]float64, error){
	"append":     appendCase,
	"new-series": newSeriesCase,
	"memory":     memoryCase,
	"prepare":    prepareCase,
	"replay":     replayCase,
	"flush":      flushCase,
	"query":      queryCase,
	"latency":    latencyCase,
	"load":       loadCase,
}

// Cases are their names.
func Cases() string { return strings.Join(slices.Sorted(maps.Keys(cases)), ", ") }

// Run measures one case.
func Run(spec Spec) (Result, error) {
	run, ok := cases[spec.Case]
	if !ok {
		return Result{}, fmt.Errorf("no case %q; there are %s", spec.Case, Cases())
	}
	figures, err := run(spec)
	if err != nil {
		return Result{}, err
	}
	figures["peak_rss_bytes"] = float64(usage().Maxrss) * 1024
	return Result{Case: spec.Case, Figures: figures}, nil
}

func usage() unix.Rusage {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u) // It has no reason to fail.
	return u
}

func cpuSeconds() float64 {
	u := usage()
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// stopwatch takes wall and CPU time.
type stopwatch struct {
	started time.Time
	cpu     float64
}

func start() stopwatch { return stopwatch{time.Now(), cpuSeconds()} }

// into adds the times since the start to the figures, named NAMEseconds and NAMEcpu_seconds.
func (w stopwatch) into(figures map[string]float64, name string) float64 {
	seconds := time.Since(w.started).Seconds()
	figures[name+"seconds"] = seconds
	figures[name+"cpu_seconds"] = cpuSeconds() - w.cpu
	return seconds
}

// anonymousBytes is the memory that is held, once all that is garbage was given back.
func anonymousBytes() (rss, heap float64, err error) {
	for range 2 {
		debug.FreeOSMemory()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var kib float64
		if _, err := fmt.Sscanf(s.Text(), "RssAnon: %f kB", &kib); err == nil {
			return kib * 1024, float64(stats.HeapAlloc + stats.StackInuse), nil
		}
	}
	return 0, 0, fmt.Errorf("no RssAnon in %s", f.Name())
}
