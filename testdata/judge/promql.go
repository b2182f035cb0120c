package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"judge/internal/promql"
)

func promqlCommand(args []string) error {
	var opt promql.Options
	flags := flag.NewFlagSet("promql", flag.ExitOnError)
	flags.StringVar(&opt.Binary, "prometheus", "prometheus", "the server's binary")
	flags.Uint64Var(&opt.Seed, "seed", 1, "seed of the queries")
	flags.IntVar(&opt.Count, "count", 200, "how many queries")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 2 {
		return errors.New("two directories of blocks are needed")
	}
	opt.DirA, opt.DirB = flags.Arg(0), flags.Arg(1)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	rep, err := promql.Compare(ctx, opt)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(rep); err != nil {
		return err
	}
	switch {
	case len(rep.Differences) > 0:
		return fmt.Errorf("%d of %d answers differ", len(rep.Differences), rep.Queries)
	case rep.Queries < opt.Count || rep.NonEmpty*10 < rep.Queries*9:
		return fmt.Errorf("only %d queries, %d with an answer", rep.Queries, rep.NonEmpty)
	}
	return nil
}
