package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"

	"judge/internal/digest"
)

func digestCommand(args []string) error {
	flags := flag.NewFlagSet("digest", flag.ExitOnError)
	perSeries := flags.Bool("series", false, "a text line for each series instead of JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("no block named")
	}
	out := json.NewEncoder(os.Stdout)
	total := digest.NewHasher()
	for _, dir := range flags.Args() {
		one := digest.NewHasher()
		if *perSeries {
			one.OnSeries = func(l digest.SeriesLine) {
				fmt.Printf("%08x %d %d %s\n", l.CRC, l.Chunks, l.Samples, l.Labels)
			}
		}
		if err := one.Add(dir); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		if *perSeries {
			continue
		}
		if err := out.Encode(one.Totals()); err != nil {
			return err
		}
		if err := total.Add(dir); err != nil {
			return err
		}
	}
	if *perSeries {
		return nil
	}
	t := total.Totals()
	t.Block = "total"
	return out.Encode(t)
}
