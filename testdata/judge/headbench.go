package main

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"runtime"

	"judge/internal/database"
	"judge/internal/headbench"
)

// headBenchCommand measures one case of the head and prints what it found as JSON.
func headBenchCommand(args []string) error {
	if len(args) == 0 {
		return errors.New("a case is wanted: " + headbench.Cases())
	}
	spec := headbench.Spec{Case: args[0]}
	flags := flag.NewFlagSet("head-bench", flag.ExitOnError)
	flags.IntVar(&spec.Series, "series", 10_000, "how many series")
	flags.IntVar(&spec.Samples, "samples", 120, "samples of each series")
	flags.Int64Var(&spec.StepMs, "step", 15_000, "milliseconds between them")
	flags.IntVar(&spec.Batch, "batch", 5_000, "samples of a commit")
	flags.IntVar(&spec.Writers, "writers", 1, "how many append at a time")
	flags.IntVar(&spec.Repeats, "repeats", 5, "how often a query is asked")
	flags.Float64Var(&spec.Seconds, "seconds", 10, "for how long latencies are taken, each time")
	flags.Float64Var(&spec.Rate, "rate", 200, "commits in a second, for latencies")
	cores := flags.Int("cores", 0, "how many to use; 0 for all")
	text := flags.String("options", "", "options of the database, as JSON")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("one directory is wanted")
	}
	spec.Dir = flags.Arg(0)
	if *cores > 0 {
		runtime.GOMAXPROCS(*cores)
	}
	var err error
	if spec.Options, err = database.Parse(*text); err != nil {
		return err
	}
	result, err := headbench.Run(spec)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}
