package main

import (
	"errors"
	"flag"
	"os"

	"github.com/prometheus/prometheus/util/compression"

	"judge/internal/wal"
)

// walWriteCommand logs random records, or those of standard input.
func walWriteCommand(args []string) error {
	flags := flag.NewFlagSet("wal-write", flag.ExitOnError)
	seed := flags.Uint64("seed", fixturesSeed, "seed of random records")
	count := flags.Int("count", 0, "how many random records; 0 reads them from standard input")
	algorithm := flags.String("compression", string(compression.Snappy), "none, snappy or zstd")
	segmentBytes := flags.Int("segment", 128<<20, "length of a segment in bytes")
	batch := flags.Int("batch", 3, "records logged at once")
	kill := flags.Bool("kill", false, "leave the last page as it is")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("one directory to write is wanted")
	}
	next := wal.FromReader(os.Stdin)
	if *count > 0 {
		records := wal.Records(*seed, *count)
		next = func() (rec []byte, err error) {
			if len(records) > 0 {
				rec, records = records[0], records[1:]
			}
			return rec, nil
		}
	}
	options := wal.Options{
		Compression:  compression.Type(*algorithm),
		SegmentBytes: *segmentBytes,
		Batch:        *batch,
		Kill:         *kill,
	}
	return wal.Write(flags.Arg(0), options, next)
}

// walDumpCommand describes every record of a log.
func walDumpCommand(args []string) error {
	if len(args) != 1 {
		return errors.New("one directory to read is wanted")
	}
	return wal.Dump(args[0], os.Stdout)
}

// walCheckpointCommand makes a checkpoint that keeps the series with even references.
func walCheckpointCommand(args []string) error {
	flags := flag.NewFlagSet("wal-checkpoint", flag.ExitOnError)
	first := flags.Int("first", 0, "the first segment")
	to := flags.Int("to", 0, "the last segment it stands for")
	mint := flags.Int64("mint", 0, "samples before it are dropped, in milliseconds")
	algorithm := flags.String("compression", string(compression.Snappy), "none, snappy or zstd")
	starts := flags.Bool("start-timestamps", false, "write the records that have them")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("one log is wanted")
	}
	return wal.Checkpoint(flags.Arg(0), compression.Type(*algorithm), *first, *to, *mint, *starts)
}
