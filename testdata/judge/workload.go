package main

import (
	"encoding/json"
	"errors"
	"flag"
	"os"

	"judge/internal/workload"
)

// workloadCommand prints the blocks that it wrote, in the order to merge.
func workloadCommand(args []string) error {
	var spec workload.Spec
	flags := flag.NewFlagSet("workload", flag.ExitOnError)
	flags.IntVar(&spec.Series, "series", 1000, "series of a block")
	flags.IntVar(&spec.Samples, "samples", 480, "samples of a series in a block")
	flags.IntVar(&spec.Ranges, "ranges", 3, "adjacent two-hour ranges")
	flags.IntVar(&spec.Replicas, "replicas", 1, "overlapping blocks of each range")
	flags.Float64Var(&spec.Churn, "churn", 0, "share of the series that only one range has")
	flags.Float64Var(&spec.Histograms, "histograms", 0, "share of native histograms")
	flags.Uint64Var(&spec.Seed, "seed", 1, "seed of everything random")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("one directory to write is needed")
	}
	blocks, err := spec.Write(flags.Arg(0))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string][]string{"blocks": blocks})
}
