package main

import (
	"encoding/json"
	"errors"
	"flag"
	"os"

	"judge/internal/directwrite"
)

// directwriteCommand prints what writing one file took.
func directwriteCommand(args []string) error {
	var spec directwrite.Spec
	flags := flag.NewFlagSet("directwrite", flag.ExitOnError)
	flags.StringVar(&spec.Writer, "writer", "direct",
		"direct: NewDirectIOWriter; buffered: NewBufioWriterWithSize; chunks: chunks.NewWriter, uncached")
	flags.Int64Var(&spec.Bytes, "bytes", 64<<20, "length of the file")
	flags.IntVar(&spec.CallBytes, "call-bytes", 64<<10, "length of one write")
	flags.IntVar(&spec.BufferBytes, "buffer-bytes", 8<<20, "buffer of direct and buffered")
	flags.Float64Var(&spec.ProduceNanosPerByte, "produce-nanos-per-byte", 0,
		"CPU time of work between the writes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("one file to write is needed (a directory for chunks)")
	}
	spec.Path = flags.Arg(0)
	result, err := spec.Run()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}
