// Package workload writes the large sets of blocks that the benches compact.
package workload

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/oklog/ulid/v2"

	"github.com/prometheus/prometheus/model/labels"

	"judge/internal/gen"
)

const (
	hour = int64(3_600_000)
	base = int64(236_112) * 2 * hour
	// blockRange is what one block spans.
	blockRange = 2 * hour
)

// Spec is one workload.
type Spec struct {
	Series     int     // of a block
	Samples    int     // of a series in a block
	Ranges     int     // adjacent two-hour ranges
	Replicas   int     // overlapping blocks of each range
	Churn      float64 // share of the series that only one range has
	Histograms float64 // share of the series that are native histograms
	Seed       uint64
}

// Write writes the blocks under dir, the oldest first, and returns their
// directories.
func (s Spec) Write(dir string) ([]string, error) {
	var out []string
	ids := rand.New(rand.NewPCG(s.Seed, 0))
	for r := range s.Ranges {
		series := s.series(r)
		for replica := range s.Replicas {
			start := base + int64(r)*blockRange
			src := &source{spec: s, series: series, start: start, replica: replica}
			block := gen.Block{ID: newID(ids, len(out)), MinTime: start, MaxTime: start + blockRange}
			path, err := block.Write(dir, src)
			if err != nil {
				return nil, err
			}
			out = append(out, path)
		}
	}
	return out, nil
}

func newID(rng *rand.Rand, n int) ulid.ULID {
	var id ulid.ULID
	for i := range id {
		id[i] = byte(rng.IntN(256))
	}
	if err := id.SetTime(uint64(base) + uint64(n)); err != nil {
		panic(err) // The time is a constant that fits.
	}
	return id
}

// series is the label set of a series and the seed of its values.
type series struct {
	labels labels.Labels
	seed   uint64
}

// series makes the sorted series of range r: pods that each expose the same
// metrics, and a share of pods that are there in no other range.
func (s Spec) series(r int) []series {
	const metrics = 120
	out := make([]series, 0, s.Series)
	var b labels.ScratchBuilder
	for n := 0; len(out) < s.Series; n++ {
		pod := n / metrics
		metric := n % metrics
		// Which pods are replaced depends on the pod alone.
		generation := 0
		if float64(mix(s.Seed, uint64(pod))%1000) < s.Churn*1000 {
			generation = r
		}
		id := mix(s.Seed, uint64(pod)<<8|uint64(generation))
		b.Reset()
		b.Add("__name__", fmt.Sprintf("%s_%s_%02d", nouns[metric%len(nouns)], units[metric/8%len(units)], metric))
		b.Add("cluster", "eu-central-1")
		b.Add("container", nouns[pod%len(nouns)])
		b.Add("instance", fmt.Sprintf("10.%d.%d.%d:9100", id>>16&0xff, id>>8&0xff, id&0xff))
		b.Add("job", "kubernetes-"+nouns[pod%7])
		b.Add("namespace", fmt.Sprintf("team-%02d", pod%40))
		b.Add("pod", fmt.Sprintf("%s-%d-%08x-%05x", nouns[pod%len(nouns)], pod, uint32(id>>32), id&0xfffff))
		out = append(out, series{labels: b.Labels(), seed: mix(id, uint64(metric))})
	}
	slices.SortFunc(out, func(a, b series) int { return labels.Compare(a.labels, b.labels) })
	return out
}

var (
	nouns = []string{"http_requests", "cpu_usage", "memory_working_set", "network_receive", "disk_io", "queue", "cache",
		"gc", "grpc_server", "sql", "process", "node", "scheduler"}
	units = []string{"total", "bytes", "seconds", "ratio", "count", "bytes_total", "seconds_sum"}
)

// mix is SplitMix64's finalizer over both numbers.
func mix(a, b uint64) uint64 {
	x := a ^ (b+0x9e3779b97f4a7c15)*0xbf58476d1ce4e5b9
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
