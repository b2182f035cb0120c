package main

import (
	"errors"
	"flag"

	"judge/internal/sets"
)

func setsCommand(args []string) error {
	flags := flag.NewFlagSet("sets", flag.ExitOnError)
	seed := flags.Uint64("seed", 1, "seed of everything random")
	first := flags.Int("first", 0, "number of the first set")
	count := flags.Int("count", 50, "how many sets")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("one directory to write is needed")
	}
	return sets.Write(flags.Arg(0), *seed, *first, *count)
}
