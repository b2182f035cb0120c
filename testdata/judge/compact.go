package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"

	"judge/internal/compactor"
)

func compactCommand(args []string) error {
	var job compactor.Job
	flags := flag.NewFlagSet("compact", flag.ExitOnError)
	flags.Int64Var(&job.SegmentSize, "segment-size", 0, "bytes of a chunk file; 0 means 512 MiB")
	flags.StringVar(&job.FloatEncoding, "float-encoding", "xor", "of re-encoded floats: xor or xor2")
	flags.BoolVar(&job.Uncached, "uncached", false, "write chunks with use-uncached-io")
	flags.StringVar(&job.Dest, "dest", "", "directory that the block is written into")
	if err := flags.Parse(args); err != nil {
		return err
	}
	job.Blocks = flags.Args()
	if job.Dest == "" || len(job.Blocks) == 0 {
		return errors.New("--dest and at least one block are needed")
	}
	res := compactor.Run(job)
	if err := json.NewEncoder(os.Stdout).Encode(res); err != nil {
		return err
	}
	if res.Error != "" {
		return errors.New(res.Error)
	}
	return nil
}

// compactManyCommand answers each line of JSON, a Job, with a line, its Result.
func compactManyCommand([]string) error {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var job compactor.Job
		if err := json.Unmarshal(in.Bytes(), &job); err != nil {
			return fmt.Errorf("job %q: %w", in.Text(), err)
		}
		if err := out.Encode(compactor.Run(job)); err != nil {
			return err
		}
	}
	return in.Err()
}
