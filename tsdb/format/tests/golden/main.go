// Command golden writes test vectors: random samples and the chunks and records that Prometheus makes
// of them.
//
// It is run inside a module that requires github.com/prometheus/prometheus v0.315.0:
//
//	go run *.go -small -kind append  -seed 1 -cases 150 -out append.bin
//	go run *.go -small -kind merge   -seed 1 -cases 36 -out merge.bin
//	go run *.go -small -kind trim    -seed 3 -cases 60 -out trim.bin
//	go run *.go -small -kind records -seed 1 -cases 320 -out records.bin
//
// The format of the files is documented in README.md beside this program.
package main

import (
	"encoding/binary"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand"
	"os"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

type sample struct {
	typ   chunkenc.ValueType
	st, t int64
	f     float64
	h     *histogram.Histogram
	fh    *histogram.FloatHistogram
}

var (
	r     *rand.Rand
	out   []byte
	small bool
)

func putU(v uint64)  { out = binary.AppendUvarint(out, v) }
func putI(v int64)   { out = binary.AppendVarint(out, v) }
func putF(v float64) { out = binary.LittleEndian.AppendUint64(out, math.Float64bits(v)) }
func putB(b []byte)  { putU(uint64(len(b))); out = append(out, b...) }

func main() {
	kind := flag.String("kind", "append", "append, merge, trim or records")
	seed := flag.Int64("seed", 1, "seed")
	cases := flag.Int("cases", 100, "number of cases")
	flag.BoolVar(&small, "small", false, "small cases, for the files that are kept")
	path := flag.String("out", "", "file to write")
	flag.Parse()
	r = rand.New(rand.NewSource(*seed))
	for i := 0; i < *cases; i++ {
		switch *kind {
		case "append":
			appendCase()
		case "merge":
			mergeCase()
		case "trim":
			trimCase()
		case "records":
			recordCase()
		}
	}
	if err := os.WriteFile(*path, out, 0o666); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Sample values.

func pick[T any](v ...T) T { return v[r.Intn(len(v))] }

func pickSize(smaller, larger int) int {
	if small {
		return smaller
	}
	return larger
}

type floatGen struct {
	mode int
	v    float64
}

func newFloatGen() *floatGen { return &floatGen{mode: r.Intn(6), v: float64(r.Intn(1000))} }

func (g *floatGen) next() float64 {
	if r.Intn(40) == 0 {
		return math.Float64frombits(pick(value.StaleNaN, value.NormalNaN, 0x7ff8dead0000beef, 0xfff0000000000001, 1<<63,
			math.Float64bits(math.Inf(1)), math.Float64bits(math.Inf(-1)), 1, r.Uint64()))
	}
	switch g.mode {
	case 0: // constant
	case 1: // integer counter
		g.v += float64(r.Intn(20))
	case 2: // gauge
		g.v += r.NormFloat64()
	case 3: // noise
		g.v = math.Float64frombits(r.Uint64())
	case 4: // rarely changing
		if r.Intn(10) == 0 {
			g.v = float64(r.Intn(5))
		}
	case 5: // many bits in common
		g.v = math.Float64frombits(math.Float64bits(g.v) ^ uint64(1)<<r.Intn(64))
	}
	return g.v
}

type timeGen struct {
	mode int
	t    int64
}

func (g *timeGen) next() int64 {
	switch g.mode {
	case 0:
		g.t += 15000
	case 1:
		g.t += 15000 + int64(r.Intn(21)) - 10
	case 2:
		g.t += 1 + int64(r.Intn(1<<r.Intn(40)))
	case 3:
		g.t += 1 + pick[int64](0, 8191, 8192, 8193, 65536, 65537, 524288, 524289, 4095, 4096, 4097, 1<<40)
	case 4:
		if r.Intn(5) == 0 {
			g.t += 15000
		}
		g.t += 15000
	}
	return g.t
}

func newTimeGen() *timeGen {
	return &timeGen{mode: r.Intn(5), t: pick[int64](0, 1700000000000, 1700000000000, -5000000, math.MinInt64+1, int64(r.Intn(1<<30)))}
}

type stGen struct {
	mode int
	st   int64
}

func (g *stGen) next(t int64) int64 {
	switch g.mode {
	case 0:
		return 0
	case 1: // constant
		if g.st == 0 {
			g.st = t - int64(r.Intn(100000)) - 1
		}
	case 2: // resets now and then
		if g.st == 0 || r.Intn(30) == 0 {
			g.st = t - int64(r.Intn(1000)) - 1
		}
	case 3: // set and unset
		if r.Intn(10) == 0 {
			g.st = pick(0, t-int64(r.Intn(1000))-1)
		}
	case 4: // each its own
		g.st = t - pick[int64](1, 2, 1000, 5, int64(r.Intn(1<<r.Intn(40))))
	case 5: // starts late
		if g.st == 0 && r.Intn(100) == 0 {
			g.st = t - 1
		}
	}
	return g.st
}

// Histograms.

type histGen struct {
	schema         int32
	zeroThreshold  float64
	gauge, custom  bool
	fine           bool // A schema above 8, with all buckets from the start.
	bounds         []float64
	p, n           map[int]int64
	zero           uint64
	width          int
	falls, changes int
	sum            float64
}

func newHistGen() *histGen {
	g := &histGen{p: map[int]int64{}, n: map[int]int64{}, width: 1 + r.Intn(pickSize(6, 30))}
	g.gauge = r.Intn(3) == 0
	g.custom = r.Intn(4) == 0
	g.fine = !g.custom && r.Intn(12) == 0
	g.falls = pick(0, 0, 5, 50)
	g.changes = pick(0, 0, 30)
	if g.fine {
		g.falls, g.changes = 0, 0
	}
	g.layout()
	return g
}

func (g *histGen) layout() {
	g.schema = int32(r.Intn(13) - 4)
	g.zeroThreshold = pick(0, math.Ldexp(1, -128), 0.001, math.Ldexp(0.5, 11), math.Ldexp(0.5, 12), math.Ldexp(0.5, -242), math.Ldexp(0.5, -243), r.Float64())
	g.bounds = nil
	clear(g.p)
	clear(g.n)
	if g.fine {
		g.schema = int32(9 + r.Intn(5))
		for idx := -g.width / 2; idx < 2*g.width-g.width/2; idx++ {
			if g.width%3 != idx%3 {
				g.p[idx], g.n[idx] = 0, 0
			}
		}
	}
	if g.custom {
		g.schema = histogram.CustomBucketsSchema
		g.zeroThreshold = 0
		b := pick(-1, 0, 0.5, -0.0005)
		for i := 0; i < g.width; i++ {
			b += pick(0.001, 0.1, 1, 1000, 20000, r.Float64())
			g.bounds = append(g.bounds, b)
		}
	}
}

func (g *histGen) step() {
	if r.Intn(100) < g.changes {
		g.layout()
	}
	for i := r.Intn(5); i > 0; i-- {
		side := g.p
		if r.Intn(3) == 0 && !g.custom {
			side = g.n
		}
		idx := r.Intn(g.width + 1)
		if !g.custom {
			idx = r.Intn(2*g.width) - g.width/2
		}
		if _, ok := side[idx]; g.fine && !ok {
			continue
		}
		side[idx] += int64(r.Intn(1 << r.Intn(12)))
	}
	if !g.custom {
		g.zero += uint64(r.Intn(3))
	}
	if r.Intn(100) < g.falls {
		if keys := slices.Sorted(maps.Keys(g.p)); len(keys) > 0 {
			k := keys[r.Intn(len(keys))]
			switch r.Intn(3) {
			case 0:
				delete(g.p, k)
			case 1:
				g.p[k] /= 2
			}
		}
		if r.Intn(4) == 0 {
			g.zero /= 2
		}
	}
	// A bucket that was never used comes or goes.
	if r.Intn(4) == 0 && !g.fine {
		idx := r.Intn(g.width + 1)
		if g.p[idx] == 0 {
			if _, ok := g.p[idx]; ok {
				delete(g.p, idx)
			} else {
				g.p[idx] = 0
			}
		}
	}
	g.sum += pick(0, 1, r.NormFloat64())
}

func side(m map[int]int64, fine bool) (spans []histogram.Span, counts []int64) {
	min, max := math.MaxInt, math.MinInt
	for k := range m {
		if k < min {
			min = k
		}
		if k > max {
			max = k
		}
	}
	if len(m) == 0 {
		return nil, nil
	}
	next := 0
	split := !fine && r.Intn(8) == 0 // Spans that are not as few as possible.
	for k := min; k <= max; k++ {
		c, ok := m[k]
		if !ok {
			continue
		}
		if len(spans) > 0 && k == next && !(split && r.Intn(3) == 0) {
			spans[len(spans)-1].Length++
		} else {
			if split && len(spans) > 0 && r.Intn(4) == 0 {
				spans = append(spans, histogram.Span{Offset: int32(k - next), Length: 0})
				next = k
			}
			spans = append(spans, histogram.Span{Offset: int32(k - next), Length: 1})
		}
		next = k + 1
		counts = append(counts, c)
	}
	return spans, counts
}

func (g *histGen) hint() histogram.CounterResetHint {
	if g.gauge {
		return histogram.GaugeType
	}
	return histogram.UnknownCounterReset
}

func (g *histGen) next(float bool) (*histogram.Histogram, *histogram.FloatHistogram) {
	g.step()
	ps, pc := side(g.p, g.fine)
	ns, nc := side(g.n, g.fine)
	h := &histogram.Histogram{
		CounterResetHint: g.hint(), Schema: g.schema, ZeroThreshold: g.zeroThreshold, ZeroCount: g.zero, Sum: g.sum,
		PositiveSpans: ps, NegativeSpans: ns, CustomValues: g.bounds,
	}
	h.Count = h.ZeroCount
	prev := int64(0)
	for _, c := range pc {
		h.PositiveBuckets = append(h.PositiveBuckets, c-prev)
		prev = c
		h.Count += uint64(c)
	}
	prev = 0
	for _, c := range nc {
		h.NegativeBuckets = append(h.NegativeBuckets, c-prev)
		prev = c
		h.Count += uint64(c)
	}
	if r.Intn(50) == 0 {
		h.Sum = math.Float64frombits(value.StaleNaN)
		if r.Intn(2) == 0 {
			h = &histogram.Histogram{Sum: h.Sum, CounterResetHint: h.CounterResetHint}
		}
	}
	if r.Intn(100) == 0 {
		h.CounterResetHint = histogram.CounterReset
	}
	if !float {
		return h, nil
	}
	fh := h.ToFloat(nil)
	if r.Intn(2) == 0 {
		for i := range fh.PositiveBuckets {
			fh.PositiveBuckets[i] *= 0.75
		}
	}
	return nil, fh
}

type gen struct {
	typ chunkenc.ValueType
	tg  *timeGen
	sg  *stGen
	fg  *floatGen
	hg  *histGen
}

func newGen(typ chunkenc.ValueType) *gen {
	g := &gen{typ: typ, tg: newTimeGen(), sg: &stGen{mode: r.Intn(6)}, fg: newFloatGen(), hg: newHistGen()}
	return g
}

func (g *gen) value(s sample) sample {
	s.typ = g.typ
	switch g.typ {
	case chunkenc.ValFloat:
		s.f = g.fg.next()
	case chunkenc.ValHistogram:
		s.h, _ = g.hg.next(false)
	case chunkenc.ValFloatHistogram:
		_, s.fh = g.hg.next(true)
	}
	return s
}

func (g *gen) next() sample {
	t := g.tg.next()
	return g.value(sample{t: t, st: g.sg.next(t)})
}

func putSpans(spans []histogram.Span) {
	putU(uint64(len(spans)))
	for _, s := range spans {
		putI(int64(s.Offset))
		putU(uint64(s.Length))
	}
}

func putSample(s sample) {
	putI(s.st)
	putI(s.t)
	switch s.typ {
	case chunkenc.ValFloat:
		putF(s.f)
	case chunkenc.ValHistogram:
		h := s.h
		out = append(out, byte(h.CounterResetHint))
		putI(int64(h.Schema))
		putF(h.ZeroThreshold)
		putU(h.ZeroCount)
		putU(h.Count)
		putF(h.Sum)
		putSpans(h.PositiveSpans)
		putSpans(h.NegativeSpans)
		for _, b := range h.PositiveBuckets {
			putI(b)
		}
		for _, b := range h.NegativeBuckets {
			putI(b)
		}
		putU(uint64(len(h.CustomValues)))
		for _, b := range h.CustomValues {
			putF(b)
		}
	case chunkenc.ValFloatHistogram:
		h := s.fh
		out = append(out, byte(h.CounterResetHint))
		putI(int64(h.Schema))
		putF(h.ZeroThreshold)
		putF(h.ZeroCount)
		putF(h.Count)
		putF(h.Sum)
		putSpans(h.PositiveSpans)
		putSpans(h.NegativeSpans)
		for _, b := range h.PositiveBuckets {
			putF(b)
		}
		for _, b := range h.NegativeBuckets {
			putF(b)
		}
		putU(uint64(len(h.CustomValues)))
		for _, b := range h.CustomValues {
			putF(b)
		}
	}
}

var encodings = []chunkenc.Encoding{
	chunkenc.EncXOR, chunkenc.EncHistogram, chunkenc.EncFloatHistogram,
	chunkenc.EncXOR2, chunkenc.EncHistogramST, chunkenc.EncFloatHistogramST,
}

func valueType(e chunkenc.Encoding) chunkenc.ValueType {
	switch e {
	case chunkenc.EncXOR, chunkenc.EncXOR2:
		return chunkenc.ValFloat
	case chunkenc.EncHistogram, chunkenc.EncHistogramST:
		return chunkenc.ValHistogram
	}
	return chunkenc.ValFloatHistogram
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// appendOne appends a copy of s (the appender changes its argument).
func appendOne(app, prev chunkenc.Appender, s sample, only bool) (chunkenc.Chunk, bool, chunkenc.Appender, error) {
	switch s.typ {
	case chunkenc.ValFloat:
		app.Append(s.st, s.t, s.f)
		return nil, false, app, nil
	case chunkenc.ValHistogram:
		return app.AppendHistogram(prev, s.st, s.t, s.h.Copy(), only)
	}
	return app.AppendFloatHistogram(prev, s.st, s.t, s.fh.Copy(), only)
}

const (
	appended = iota
	recodedChunk
	newChunk
	refused
)

// appendCase appends samples to chunks of one encoding. Now and then a new chunk is cut, and its
// first sample is compared with the chunk before it.
func appendCase() {
	enc := pick(encodings...)
	g := newGen(valueType(enc))
	only := r.Intn(4) == 0
	cutOneIn := pick(20, 150)
	usePrev := r.Intn(2) == 0
	count := 1 + r.Intn(pick(5, 40, 300))
	if small {
		count = 1 + r.Intn(pick(4, 20))
		if g.typ == chunkenc.ValFloat && r.Intn(8) == 0 {
			count = 140
		}
	}

	chk := must(chunkenc.NewEmptyChunk(enc))
	app := must(chk.Appender())
	var prev chunkenc.Appender
	var chks []chunkenc.Chunk

	out = append(out, byte(enc), b2i(only))
	putU(uint64(count))
	for i := 0; i < count; i++ {
		s := g.next()
		cut := i > 0 && r.Intn(cutOneIn) == 0
		if cut {
			chks = append(chks, chk)
			chk = must(chunkenc.NewEmptyChunk(enc))
			prev = nil
			if usePrev {
				prev = app
			}
			app = must(chk.Appender())
		}
		out = append(out, b2i(cut), b2i(cut && usePrev))
		putSample(s)
		c, recoded, a, err := appendOne(app, prev, s, only)
		prev = nil
		switch {
		case err != nil:
			out = append(out, refused)
			continue
		case c == nil:
			out = append(out, appended)
		case recoded:
			out = append(out, recodedChunk)
			chk = c
		default:
			out = append(out, newChunk)
			chks = append(chks, chk)
			chk = c
		}
		app = a
	}
	chks = append(chks, chk)
	putU(uint64(len(chks)))
	for _, c := range chks {
		putB(c.Bytes())
	}
}

func b2i(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func putMeta(m chunks.Meta) {
	out = append(out, byte(m.Chunk.Encoding()))
	putI(m.MinTime)
	putI(m.MaxTime)
	putB(m.Chunk.Bytes())
}

// encode makes chunks of samples of one type, in the encoding asked for. Samples that Prometheus
// puts into another chunk start one.
func encode(enc chunkenc.Encoding, samples []sample) (metas []chunks.Meta) {
	var chk chunkenc.Chunk
	var app chunkenc.Appender
	var mint, maxt int64
	for i, s := range samples {
		if i%200 == 0 {
			if chk != nil {
				metas = append(metas, chunks.Meta{Chunk: chk, MinTime: mint, MaxTime: maxt})
			}
			chk = must(chunkenc.NewEmptyChunk(enc))
			app = must(chk.Appender())
			mint = s.t
		}
		c, recoded, a, err := appendOne(app, nil, s, false)
		if err != nil {
			panic(err)
		}
		if c != nil {
			if !recoded {
				metas = append(metas, chunks.Meta{Chunk: chk, MinTime: mint, MaxTime: maxt})
				mint = s.t
			}
			chk = c
		}
		app = a
		maxt = s.t
	}
	if chk != nil {
		metas = append(metas, chunks.Meta{Chunk: chk, MinTime: mint, MaxTime: maxt})
	}
	return metas
}

func series(m chunks.Meta) storage.Series {
	return &storage.SeriesEntry{
		Lset: labels.EmptyLabels(),
		SampleIteratorFn: func(it chunkenc.Iterator) chunkenc.Iterator {
			return m.Chunk.Iterator(it)
		},
	}
}

// mergeCase merges a group of chunks as an overlapping group is merged: the first chunk last.
func mergeCase() {
	replicas := 1 + r.Intn(pick(2, 3, 6))
	mode := r.Intn(5)
	typ := pick(chunkenc.ValFloat, chunkenc.ValFloat, chunkenc.ValHistogram, chunkenc.ValFloatHistogram)
	base := newGen(typ)
	count := 1 + r.Intn(pick(10, 100, 600))
	if small {
		count = 1 + r.Intn(pick(10, 40))
		if typ == chunkenc.ValFloat && r.Intn(4) == 0 {
			count = 250
		}
	}
	var samples []sample
	for i := 0; i < count; i++ {
		samples = append(samples, base.next())
	}
	if r.Intn(20) == 0 {
		samples[0].t = math.MinInt64
	}
	var metas []chunks.Meta
	for k := 0; k < replicas+1; k++ {
		t := typ
		if r.Intn(5) == 0 {
			t = pick(chunkenc.ValFloat, chunkenc.ValHistogram, chunkenc.ValFloatHistogram)
		}
		g := newGen(t)
		if r.Intn(3) > 0 {
			g.hg.gauge = base.hg.gauge
			g.sg.mode = base.sg.mode
		}
		own := make([]sample, 0, count)
		drop := pick(0, 0, 10, 50, 90)
		lastT := int64(math.MinInt64)
		for i, s := range samples {
			if i > 0 && r.Intn(100) < drop {
				continue
			}
			if k > 0 && s.t != math.MinInt64 {
				switch mode {
				case 0: // the same times and values
				case 1: // jitter
					s.t += int64(r.Intn(200))
				case 2: // shifted
					s.t += int64(k * 7)
				case 3: // the same times, other values
					st := s.st
					s = g.value(sample{t: s.t, st: st})
				case 4: // anything
					s = g.value(sample{t: s.t + int64(r.Intn(3)), st: g.sg.next(s.t)})
				}
			}
			if s.t <= lastT && i > 0 {
				continue
			}
			lastT = s.t
			own = append(own, s)
		}
		if len(own) == 0 {
			continue
		}
		lo := r.Intn(len(own))
		if r.Intn(2) == 0 {
			lo = 0
		}
		own = own[lo:]
		enc := own[0].typ.ChunkEncoding(hasST(own) || r.Intn(3) == 0, hasST(own) || r.Intn(3) == 0)
		same := own[:0:0]
		for _, s := range own {
			if s.typ == own[0].typ {
				same = append(same, s)
			}
		}
		metas = append(metas, encode(enc, same)...)
	}
	// As the heap of chunk iterators pops them: by time.
	for i := 1; i < len(metas); i++ {
		for j := i; j > 0 && less(metas[j], metas[j-1]); j-- {
			metas[j], metas[j-1] = metas[j-1], metas[j]
		}
	}
	if len(metas) < 2 {
		mergeCase()
		return
	}
	floatEnc := pick(chunkenc.EncXOR, chunkenc.EncXOR2)
	out = append(out, byte(floatEnc))
	putU(uint64(len(metas)))
	var all []storage.Series
	for _, m := range metas[1:] {
		all = append(all, series(m))
	}
	all = append(all, series(metas[0]))
	for _, m := range metas {
		putMeta(m)
	}
	it := storage.NewSeriesToChunkEncoderWithFloatEncoding(storage.ChainedSeriesMerge(all...), floatEnc).Iterator(nil)
	var res []chunks.Meta
	for it.Next() {
		res = append(res, it.At())
	}
	if it.Err() != nil {
		panic(it.Err())
	}
	putU(uint64(len(res)))
	for _, m := range res {
		putMeta(m)
	}
}

func hasST(s []sample) bool {
	for _, x := range s {
		if x.st != 0 {
			return true
		}
	}
	return false
}

func less(a, b chunks.Meta) bool {
	if a.MinTime == b.MinTime {
		return a.MaxTime < b.MaxTime
	}
	return a.MinTime < b.MinTime
}

// trimCase removes intervals from a chunk as Prometheus does when it compacts: the samples that are
// left are appended to one chunk of the same encoding, and a sample that does not fit is an error.
func trimCase() {
	enc := pick(encodings...)
	g := newGen(valueType(enc))
	var samples []sample
	for i := 1 + r.Intn(pick(3, 30, pickSize(30, 150))); i > 0; i-- {
		samples = append(samples, g.next())
	}
	metas := encode(enc, samples)
	m := metas[r.Intn(len(metas))]
	type interval struct{ min, max int64 }
	var deleted []interval
	at := m.MinTime - 10
	for i := r.Intn(4); i >= 0; i-- {
		span := m.MaxTime - m.MinTime + 20
		if span <= 0 {
			span = math.MaxInt64
		}
		min := at + 2 + r.Int63n(span)/4
		max := min + r.Int63n(span)/pick[int64](1, 3, 20)
		if min < at || max < min {
			break
		}
		deleted = append(deleted, interval{min, max})
		at = max
	}
	if r.Intn(15) == 0 {
		deleted = []interval{{math.MinInt64, math.MaxInt64}}
	}
	if r.Intn(10) == 0 && len(deleted) > 0 {
		deleted[0].min = math.MinInt64
	}
	putMeta(m)
	putU(uint64(len(deleted)))
	for _, d := range deleted {
		putI(d.min)
		putI(d.max)
	}
	chk := must(chunkenc.NewEmptyChunk(enc))
	app := must(chk.Appender())
	it := m.Chunk.Iterator(nil)
	var res chunks.Meta
	kept := 0
	var err error
next:
	for vt := it.Next(); vt != chunkenc.ValNone; vt = it.Next() {
		for _, d := range deleted {
			if it.AtT() >= d.min && it.AtT() <= d.max {
				continue next
			}
		}
		switch vt {
		case chunkenc.ValFloat:
			_, v := it.At()
			app.Append(it.AtST(), it.AtT(), v)
		case chunkenc.ValHistogram:
			_, h := it.AtHistogram(nil)
			_, _, app, err = app.AppendHistogram(nil, it.AtST(), it.AtT(), h, true)
		case chunkenc.ValFloatHistogram:
			_, h := it.AtFloatHistogram(nil)
			_, _, app, err = app.AppendFloatHistogram(nil, it.AtST(), it.AtT(), h, true)
		}
		if err != nil {
			break
		}
		if kept == 0 {
			res.MinTime = it.AtT()
		}
		res.MaxTime = it.AtT()
		kept++
	}
	if it.Err() != nil {
		panic(it.Err())
	}
	switch {
	case err != nil:
		out = append(out, 2)
	case kept == 0:
		out = append(out, 0)
	default:
		out = append(out, 1)
		res.Chunk = chk
		putMeta(res)
	}
}
