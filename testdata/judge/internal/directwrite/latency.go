package directwrite

import (
	"math"
	"slices"
	"time"
)

// Latency is a distribution, in microseconds.
type Latency struct {
	Count  int     `json:"count"`
	Mean   float64 `json:"mean"`
	StdDev float64 `json:"stddev"`
	P50    float64 `json:"p50"`
	P90    float64 `json:"p90"`
	P99    float64 `json:"p99"`
	P999   float64 `json:"p999"`
	P9999  float64 `json:"p9999"`
	Max    float64 `json:"max"`
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// summarize sorts calls.
func summarize(calls []time.Duration) Latency {
	slices.Sort(calls)
	var mean, variance float64
	for _, call := range calls {
		mean += micros(call) / float64(len(calls))
	}
	for _, call := range calls {
		variance += (micros(call) - mean) * (micros(call) - mean) / float64(len(calls))
	}
	// The smallest one that a share of the calls did not exceed.
	at := func(parts, of int) float64 {
		rank := (len(calls)*parts + of - 1) / of
		return micros(calls[min(max(rank, 1), len(calls))-1])
	}
	return Latency{
		Count:  len(calls),
		Mean:   mean,
		StdDev: math.Sqrt(variance),
		P50:    at(50, 100),
		P90:    at(90, 100),
		P99:    at(99, 100),
		P999:   at(999, 1000),
		P9999:  at(9999, 10_000),
		Max:    micros(calls[len(calls)-1]),
	}
}
