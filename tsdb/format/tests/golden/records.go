package main

import (
	"log/slog"
	"math"

	"github.com/prometheus/common/promslog"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/record"
	"github.com/prometheus/prometheus/tsdb/tombstones"
)

// What a case of records.bin is about: the number of the first record type that it may become.
const (
	kindSeries = iota + 1
	kindSamples
	kindTombstones
	kindExemplars
	kindMmapMarkers
	kindMetadata
	kindHistograms
	kindFloatHistograms
)

var quiet *slog.Logger = promslog.NewNopLogger()

// refGen makes references as a head does, and as nobody does.
type refGen struct {
	mode int
	ref  uint64
}

func newRefGen() *refGen {
	return &refGen{mode: r.Intn(4), ref: pick[uint64](0, 1, uint64(r.Intn(1<<30)), math.MaxUint64-5)}
}

func (g *refGen) next() chunks.HeadSeriesRef {
	switch g.mode {
	case 0:
		g.ref++
	case 1:
		g.ref += uint64(r.Intn(300))
	case 2:
		g.ref = uint64(r.Intn(5000))
	case 3:
		g.ref = pick(r.Uint64(), 0, math.MaxUint64, 1<<63, 7)
	}
	return chunks.HeadSeriesRef(g.ref)
}

// recordCase writes a list of one kind, the records that the encoder makes of it, and for histograms
// what the decoder makes of these.
func recordCase() {
	kind := byte(1 + r.Intn(kindFloatHistograms))
	enc := record.Encoder{EnableSTStorage: r.Intn(2) == 0}
	count := r.Intn(pickSize(pick(2, 12), 200))
	out = append(out, kind, b2i(enc.EnableSTStorage))
	putU(uint64(count))
	refs := newRefGen()
	switch kind {
	case kindSeries:
		seriesCase(enc, refs, count)
	case kindSamples:
		samplesCase(enc, refs, count)
	case kindTombstones:
		tombstonesCase(enc, refs, count)
	case kindExemplars:
		exemplarsCase(enc, refs, count)
	case kindMmapMarkers:
		mmapMarkersCase(enc, refs, count)
	case kindMetadata:
		metadataCase(enc, refs, count)
	case kindHistograms:
		histogramsCase(enc, refs, count)
	case kindFloatHistograms:
		floatHistogramsCase(enc, refs, count)
	}
}

func putRecords(records ...[]byte) {
	var kept [][]byte
	for _, rec := range records {
		if len(rec) > 0 {
			kept = append(kept, rec)
		}
	}
	putU(uint64(len(kept)))
	for _, rec := range kept {
		putB(rec)
	}
}

func randomText() string {
	switch r.Intn(5) {
	case 0:
		return ""
	case 1:
		return "ä\x00\n\"☃"
	case 2:
		return string(make([]byte, r.Intn(300)))
	}
	text := make([]byte, 1+r.Intn(10))
	for i := range text {
		text[i] = byte('a' + r.Intn(26))
	}
	return string(text)
}

func randomLabels() labels.Labels {
	b := labels.NewScratchBuilder(0)
	names := map[string]bool{}
	for i := r.Intn(6); i > 0; i-- {
		if name := randomText(); !names[name] {
			names[name] = true
			b.Add(name, randomText())
		}
	}
	b.Sort()
	return b.Labels()
}

func putText(s string) { putB([]byte(s)) }

func putLabels(set labels.Labels) {
	putU(uint64(set.Len()))
	set.Range(func(l labels.Label) {
		putText(l.Name)
		putText(l.Value)
	})
}

func seriesCase(enc record.Encoder, refs *refGen, count int) {
	var list []record.RefSeries
	for range count {
		s := record.RefSeries{Ref: refs.next(), Labels: randomLabels()}
		putU(uint64(s.Ref))
		putLabels(s.Labels)
		list = append(list, s)
	}
	putRecords(enc.Series(list, nil))
}

func samplesCase(enc record.Encoder, refs *refGen, count int) {
	g := newGen(chunkenc.ValFloat)
	var list []record.RefSample
	for range count {
		s, ref := g.next(), refs.next()
		putU(uint64(ref))
		putSample(s)
		list = append(list, record.RefSample{Ref: ref, ST: s.st, T: s.t, V: s.f})
	}
	putRecords(enc.Samples(list, nil))
}

func tombstonesCase(enc record.Encoder, refs *refGen, count int) {
	var list []tombstones.Stone
	for range count {
		iv := tombstones.Interval{Mint: r.Int63() >> r.Intn(64), Maxt: r.Int63() >> r.Intn(64)}
		if r.Intn(4) == 0 {
			iv = tombstones.Interval{Mint: math.MinInt64, Maxt: math.MaxInt64}
		}
		ref := refs.next()
		putU(uint64(ref))
		putI(iv.Mint)
		putI(iv.Maxt)
		list = append(list, tombstones.Stone{Ref: storage.SeriesRef(ref), Intervals: tombstones.Intervals{iv}})
	}
	putRecords(enc.Tombstones(list, nil))
}

func exemplarsCase(enc record.Encoder, refs *refGen, count int) {
	g := newGen(chunkenc.ValFloat)
	var list []record.RefExemplar
	for range count {
		s := g.next()
		e := record.RefExemplar{Ref: refs.next(), T: s.t, V: s.f, Labels: randomLabels()}
		putU(uint64(e.Ref))
		putI(e.T)
		putF(e.V)
		putLabels(e.Labels)
		list = append(list, e)
	}
	putRecords(enc.Exemplars(list, nil))
}

func mmapMarkersCase(enc record.Encoder, refs *refGen, count int) {
	var list []record.RefMmapMarker
	for range count {
		m := record.RefMmapMarker{Ref: refs.next(), MmapRef: chunks.ChunkDiskMapperRef(r.Uint64() >> r.Intn(64))}
		putU(uint64(m.Ref))
		putU(uint64(m.MmapRef))
		list = append(list, m)
	}
	putRecords(enc.MmapMarkers(list, nil))
}

func metadataCase(enc record.Encoder, refs *refGen, count int) {
	var list []record.RefMetadata
	for range count {
		m := record.RefMetadata{Ref: refs.next(), Type: uint8(r.Intn(8)), Unit: randomText(), Help: randomText()}
		putU(uint64(m.Ref))
		out = append(out, m.Type)
		putText(m.Unit)
		putText(m.Help)
		list = append(list, m)
	}
	putRecords(enc.Metadata(list, nil))
}

// mixed makes histograms of two series, so that custom and exponential buckets meet in one list.
func mixed(typ chunkenc.ValueType) func() sample {
	a, b := newGen(typ), newGen(typ)
	return func() sample { return pick(a, a, b).next() }
}

func histogramsCase(enc record.Encoder, refs *refGen, count int) {
	next := mixed(chunkenc.ValHistogram)
	var list []record.RefHistogramSample
	for range count {
		s, ref := next(), refs.next()
		s.h = s.h.Copy() // Whoever reduced one's resolution would change all of its series.
		if r.Intn(40) == 0 {
			s.h.Schema = pick[int32](-54, 53, 1000, -10)
			s.h.CustomValues = nil
		}
		putU(uint64(ref))
		putSample(s)
		list = append(list, record.RefHistogramSample{Ref: ref, ST: s.st, T: s.t, H: s.h})
	}
	rec, custom := enc.HistogramSamples(list, nil)
	records := [][]byte{rec}
	if len(custom) > 0 {
		records = append(records, enc.CustomBucketsHistogramSamples(custom, nil))
	}
	putRecords(records...)

	var decoded []record.RefHistogramSample
	dec := record.NewDecoder(nil, quiet)
	for _, rec := range records {
		if len(rec) > 0 {
			decoded = append(decoded, must(dec.HistogramSamples(rec, nil))...)
		}
	}
	putU(uint64(len(decoded)))
	for _, d := range decoded {
		putU(uint64(d.Ref))
		putSample(sample{typ: chunkenc.ValHistogram, st: d.ST, t: d.T, h: d.H})
	}
}

func floatHistogramsCase(enc record.Encoder, refs *refGen, count int) {
	next := mixed(chunkenc.ValFloatHistogram)
	var list []record.RefFloatHistogramSample
	for range count {
		s, ref := next(), refs.next()
		s.fh = s.fh.Copy()
		if r.Intn(40) == 0 {
			s.fh.Schema = pick[int32](-54, 53, 1000, -10)
			s.fh.CustomValues = nil
		}
		s.fh.CounterResetHint = pick(s.fh.CounterResetHint, histogram.NotCounterReset)
		putU(uint64(ref))
		putSample(s)
		list = append(list, record.RefFloatHistogramSample{Ref: ref, ST: s.st, T: s.t, FH: s.fh})
	}
	rec, custom := enc.FloatHistogramSamples(list, nil)
	records := [][]byte{rec}
	if len(custom) > 0 {
		records = append(records, enc.CustomBucketsFloatHistogramSamples(custom, nil))
	}
	putRecords(records...)

	var decoded []record.RefFloatHistogramSample
	dec := record.NewDecoder(nil, quiet)
	for _, rec := range records {
		if len(rec) > 0 {
			decoded = append(decoded, must(dec.FloatHistogramSamples(rec, nil))...)
		}
	}
	putU(uint64(len(decoded)))
	for _, d := range decoded {
		putU(uint64(d.Ref))
		putSample(sample{typ: chunkenc.ValFloatHistogram, st: d.ST, t: d.T, fh: d.FH})
	}
}
