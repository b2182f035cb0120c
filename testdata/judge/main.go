// Command judge runs the real Prometheus 3.15 for the project's tests: it
// makes source blocks, compacts them, digests every sample, and asks two real
// servers the same questions.
package main

import (
	"fmt"
	"os"
)

const usage = `usage: judge COMMAND [ARGUMENTS]

  fixtures [--seed N] DIR [CASE...]    write the committed test data
  sets --seed N --count M DIR          random sets of source blocks
  workload [--series N ...] DIR        large blocks for the benches
  compact --dest DIR BLOCK...          one compaction by LeveledCompactor
  compact-many                         jobs as JSON lines on standard input
  digest [--series] BLOCK...           every sample read and hashed
  plan                                 sets of metas as JSON lines, planned
  wal-write [--count N ...] DIR        log random records, or those of standard input
  wal-dump DIR                         every record of a log, described
  wal-checkpoint --to N --mint T DIR   what its checkpoint keeps: every second series
  head-run --dir DIR --blocks DIR      an append program, from standard input, on the real head
  head-bench CASE [--series N ...] DIR one measured case of the head
  datadir [--seed N --kill TIME] DIR   a random life of a database
  digest-dir [--options JSON] DIR      what a database reads of a data directory, of a copy
  promql [--prometheus PATH] DIR DIR   two servers, the same queries
  directwrite [--writer W ...] FILE    one file, timed call by call
`

var commands = map[string]func([]string) error{
	"fixtures":       fixturesCommand,
	"plan":           planCommand,
	"workload":       workloadCommand,
	"promql":         promqlCommand,
	"sets":           setsCommand,
	"digest":         digestCommand,
	"wal-write":      walWriteCommand,
	"wal-dump":       walDumpCommand,
	"wal-checkpoint": walCheckpointCommand,
	"compact":        compactCommand,
	"compact-many":   compactManyCommand,
	"directwrite":    directwriteCommand,
	"head-run":       headRunCommand,
	"head-bench":     headBenchCommand,
	"datadir":        datadirCommand,
	"digest-dir":     digestDirCommand,
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	command, ok := commands[os.Args[1]]
	if !ok {
		fmt.Fprintf(os.Stderr, "judge: unknown command %q\n%s", os.Args[1], usage)
		os.Exit(2)
	}
	if err := command(os.Args[2:]); err != nil {
		fmt.Fprintf(os.Stderr, "judge %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}
