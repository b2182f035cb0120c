package gen

import (
	"fmt"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// Encoding chooses the chunk encodings of a series and where its chunks end.
type Encoding struct {
	XOR2        bool // floats as XOR2 instead of XOR
	HistogramST bool // histograms with start timestamps
	PerChunk    int  // samples of a chunk at most; 0 means 120
}

func (e Encoding) of(s *Sample) chunkenc.Encoding {
	value := chunkenc.ValFloat
	switch {
	case s.H != nil:
		value = chunkenc.ValHistogram
	case s.FH != nil:
		value = chunkenc.ValFloatHistogram
	}
	return value.ChunkEncoding(e.XOR2, e.HistogramST)
}

// Encode packs the samples into chunks with Prometheus's own appenders.
func (e Encoding) Encode(samples []Sample) ([]chunks.Meta, error) {
	perChunk := e.PerChunk
	if perChunk <= 0 {
		perChunk = 120
	}
	var (
		out  []chunks.Meta
		app  chunkenc.Appender
		prev chunkenc.Appender
	)
	for i := range samples {
		s := &samples[i]
		enc := e.of(s)
		last := len(out) - 1
		if last < 0 || out[last].Chunk.Encoding() != enc || out[last].Chunk.NumSamples() >= perChunk {
			c, err := chunkenc.NewEmptyChunk(enc)
			if err != nil {
				return nil, err
			}
			prev = app
			if app, err = c.Appender(); err != nil {
				return nil, err
			}
			out = append(out, chunks.Meta{Chunk: c, MinTime: s.T})
			last++
		}
		replaced, recoded, next, err := appendSample(app, prev, s)
		if err != nil {
			return nil, fmt.Errorf("sample at %d: %w", s.T, err)
		}
		app, prev = next, nil
		switch {
		case replaced != nil && recoded:
			out[last].Chunk = replaced
		case replaced != nil:
			out = append(out, chunks.Meta{Chunk: replaced, MinTime: s.T})
			last++
		}
		out[last].MaxTime = s.T
	}
	return out, nil
}

func appendSample(app, prev chunkenc.Appender, s *Sample) (chunkenc.Chunk, bool, chunkenc.Appender, error) {
	switch {
	case s.H != nil:
		return app.AppendHistogram(prev, s.ST, s.T, s.H.Copy(), false)
	case s.FH != nil:
		return app.AppendFloatHistogram(prev, s.ST, s.T, s.FH.Copy(), false)
	default:
		app.Append(s.ST, s.T, s.F)
		return nil, false, app, nil
	}
}
