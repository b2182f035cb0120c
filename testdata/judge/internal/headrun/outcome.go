package headrun

import (
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// kinds are what refusals are called; some have a name in common. The first that fits counts.
var kinds = []struct {
	err  error
	name string
}{
	{storage.ErrOutOfOrderSample, "out-of-order"},
	{storage.ErrOutOfBounds, "out-of-bounds"},
	{storage.ErrTooOldSample, "too-old"},
	{storage.ErrDuplicateSampleForTimestamp, "duplicate"},
	{storage.ErrOutOfOrderExemplar, "exemplar-out-of-order"},
	{storage.ErrDuplicateExemplar, "exemplar-duplicate"},
	{storage.ErrExemplarLabelLength, "exemplar-labels-too-long"},
	{storage.ErrExemplarsDisabled, "exemplars-disabled"},
	{histogram.ErrHistogramCountNotBigEnough, "histogram-count-not-big-enough"},
	{histogram.ErrHistogramCountMismatch, "histogram-count-mismatch"},
	{histogram.ErrHistogramNegativeCount, "histogram-negative-count"},
	{histogram.ErrHistogramNegativeBucketCount, "histogram-negative-bucket-count"},
	{histogram.ErrHistogramSpanNegativeOffset, "histogram-span-negative-offset"},
	{histogram.ErrHistogramSpansBucketsMismatch, "histogram-spans-buckets-mismatch"},
	{histogram.ErrHistogramCustomBucketsMismatch, "histogram-custom-bounds-mismatch"},
	{histogram.ErrHistogramCustomBucketsInvalid, "histogram-custom-bound"},
	{histogram.ErrHistogramCustomBucketsInfinite, "histogram-custom-bound"},
	{histogram.ErrHistogramCustomBucketsNaN, "histogram-custom-bound"},
	{histogram.ErrHistogramCustomBucketsZeroCount, "histogram-custom-other"},
	{histogram.ErrHistogramCustomBucketsZeroThresh, "histogram-custom-other"},
	{histogram.ErrHistogramCustomBucketsNegSpans, "histogram-custom-other"},
	{histogram.ErrHistogramCustomBucketsNegBuckets, "histogram-custom-other"},
	{histogram.ErrHistogramExpSchemaCustomBounds, "histogram-custom-bounds"},
	{histogram.ErrHistogramsInvalidSchema, "histogram-schema"},
	{histogram.ErrHistogramsUnknownSchema, "histogram-schema"},
}

// kind names a refusal; an error that is none is returned.
func kind(err error) (string, error) {
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return k.name, nil
		}
	}
	text := err.Error()
	switch {
	case errors.Is(err, tsdb.ErrInvalidSample) && strings.HasPrefix(text, "empty labelset"):
		return "empty-labels", nil
	case errors.Is(err, tsdb.ErrInvalidSample) && strings.Contains(text, "is not unique"):
		return "duplicate-label", nil
	case strings.Contains(text, "unknown HeadSeriesRef"), strings.Contains(text, "unknown series"):
		return "unknown-series", nil
	}
	return "", fmt.Errorf("an error that has no name: %w", err)
}

// outcome is a line for a sample: the series' reference, or why not; and refused exemplars.
func outcome(ref storage.SeriesRef, err error) (string, error) {
	var partial *storage.AppendPartialError
	if errors.As(err, &partial) {
		return withExemplars(ref, partial.ExemplarErrors)
	}
	if err != nil {
		return kind(err)
	}
	return fmt.Sprintf("ok %d", ref), nil
}

func withExemplars(ref storage.SeriesRef, refused []error) (string, error) {
	line := fmt.Sprintf("ok %d", ref)
	for _, e := range refused {
		name, err := kind(e)
		if err != nil {
			return "", err
		}
		line += " " + name
	}
	return line, nil
}
