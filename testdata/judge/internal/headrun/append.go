package headrun

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// appending runs what has to do with appenders.
func (r *runner) appending(op Op) (string, error) {
	if op.Op == "begin" {
		if r.header.API == "v1" {
			r.v1[op.Appender] = r.db.Appender(context.Background())
		} else {
			r.v2[op.Appender] = r.db.AppenderV2(context.Background())
		}
		return "ok", nil
	}
	var app storage.AppenderTransaction
	if r.header.API == "v1" {
		app = r.v1[op.Appender]
	} else {
		app = r.v2[op.Appender]
	}
	switch op.Op {
	case "commit":
		err := app.Commit()
		return r.times("ok"), err
	case "rollback":
		err := app.Rollback()
		return r.times("ok"), err
	}
	for len(r.series) <= op.Series {
		r.series = append(r.series, labels.EmptyLabels())
		r.refs = append(r.refs, 0)
	}
	if len(op.Labels) > 0 {
		r.series[op.Series] = op.Labels.build()
		r.refs[op.Series] = 0
	}
	if r.header.API == "v1" {
		return r.appendV1(r.v1[op.Appender], op)
	}
	return r.appendV2(r.v2[op.Appender], op)
}

// known is the series' reference, if it is to be named by it.
func (r *runner) known(op Op) storage.SeriesRef {
	if op.ByRef {
		return r.refs[op.Series]
	}
	return 0
}

func (r *runner) appendV2(app storage.AppenderV2, op Op) (string, error) {
	if op.Op != "append" {
		return "", errors.New("not in this interface")
	}
	value := float64(0)
	if op.Float != nil {
		value = float64(*op.Float)
	}
	opts := storage.AOptions{Exemplars: exemplars(op.Exemplars), Metadata: op.Metadata.build()}
	ref, err := app.Append(r.known(op), r.series[op.Series], op.ST, op.T, value, integer(op.Histogram), float(op.FloatH), opts)
	if ref != 0 {
		r.refs[op.Series] = ref
	}
	return outcome(ref, err)
}

func (r *runner) appendV1(app storage.Appender, op Op) (string, error) {
	ref, lset := r.known(op), r.series[op.Series]
	switch op.Op {
	case "append":
		var err error
		if op.Float != nil {
			ref, err = app.Append(ref, lset, op.T, float64(*op.Float))
		} else {
			ref, err = app.AppendHistogram(ref, lset, op.T, integer(op.Histogram), float(op.FloatH))
		}
		if err != nil {
			return outcome(0, err)
		}
		r.refs[op.Series] = ref
	case "exemplar", "metadata":
	default:
		return "", errors.New("there is no such operation")
	}
	var refused []error
	for _, e := range exemplars(op.Exemplars) {
		if _, err := app.AppendExemplar(ref, lset, e); err != nil {
			refused = append(refused, err)
		}
	}
	if op.Metadata != nil {
		if _, err := app.UpdateMetadata(ref, lset, op.Metadata.build()); err != nil {
			name, err := kind(err)
			return fmt.Sprintf("metadata %s", name), err
		}
	}
	return withExemplars(ref, refused)
}
