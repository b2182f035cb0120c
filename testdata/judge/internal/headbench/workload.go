// Package headbench measures Prometheus's head and database. Another implementation of a head runs the
// same cases on the same series and samples.
package headbench

import (
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
)

const (
	// base is a multiple of two hours in November 2023, in milliseconds.
	base = int64(236_112) * 7_200_000
	// metrics is how many series a pod exposes.
	metrics = 120
)

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

// seriesLabels are those of series i: pods that each expose the same metrics.
func seriesLabels(b *labels.ScratchBuilder, i int) labels.Labels {
	pod, metric := i/metrics, i%metrics
	id := mix(uint64(pod), 0)
	noun := nouns[pod%len(nouns)]
	b.Reset()
	b.Add("__name__", fmt.Sprintf("%s_%s_%02d", nouns[metric%len(nouns)], units[metric/8%len(units)], metric))
	b.Add("cluster", "eu-central-1")
	b.Add("container", noun)
	b.Add("instance", fmt.Sprintf("10.%d.%d.%d:9100", id>>16&0xff, id>>8&0xff, id&0xff))
	b.Add("job", "kubernetes-"+nouns[pod%7])
	b.Add("namespace", fmt.Sprintf("team-%02d", pod%40))
	b.Add("pod", fmt.Sprintf("%s-%d-%08x-%05x", noun, pod, uint32(id>>32), id&0xfffff))
	return b.Labels()
}

// sample k of series i, step milliseconds apart: in equal parts counters of small and of large increments,
// gauges in decimal fractions, and byte counts. Most are on time, some a few milliseconds late.
func sample(i, k int, step int64) (t int64, v float64) {
	bits := mix(uint64(i), uint64(k)+1)
	t = base + int64(k)*step + int64(i/metrics%1000)
	if late := int64(bits >> 32 & 63); late < 4 {
		t += late
	}
	switch i & 3 {
	case 0:
		v = float64(uint64(k)*16 + bits%16)
	case 1:
		v = float64(uint64(k)*5000 + bits%5000)
	case 2:
		v = float64(bits%100_000) / 100
	default:
		v = float64(bits >> 44 << 12)
	}
	return t, v
}
