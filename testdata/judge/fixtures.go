package main

import (
	"errors"
	"flag"

	"judge/internal/fixtures"
)

// fixturesSeed is the seed of the committed blocks.
const fixturesSeed = 315

func fixturesCommand(args []string) error {
	flags := flag.NewFlagSet("fixtures", flag.ExitOnError)
	seed := flags.Uint64("seed", fixturesSeed, "seed of everything random")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() < 1 {
		return errors.New("the directory to write is missing")
	}
	return fixtures.Write(flags.Arg(0), *seed, flags.Args()[1:])
}
