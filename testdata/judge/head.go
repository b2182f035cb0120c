package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"judge/internal/database"
	"judge/internal/digest"
	"judge/internal/headrun"
	"judge/internal/life"
)

// headRunCommand runs an append program on the real head.
func headRunCommand(args []string) error {
	flags := flag.NewFlagSet("head-run", flag.ExitOnError)
	dir := flags.String("dir", "", "the data directory to make")
	blocks := flags.String("blocks", "", "where blocks are copied to, as soon as they are there")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 0 || *dir == "" || *blocks == "" {
		return errors.New("--dir and --blocks are wanted, and the program on standard input")
	}
	return headrun.Run(os.Stdin, os.Stdout, *dir, *blocks)
}

// datadirCommand plays a random life of a database and ends it, cleanly or not.
func datadirCommand(args []string) error {
	flags := flag.NewFlagSet("datadir", flag.ExitOnError)
	seed := flags.Uint64("seed", 1, "seed of everything random")
	text := flags.String("options", "", "options of the database, as JSON")
	kill := flags.Duration("kill", 0, "end by SIGKILL at a random moment of this time; 0 closes at the end")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("one directory to make is wanted")
	}
	options, err := database.Parse(*text)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	if *kill > 0 {
		rng := rand.New(rand.NewPCG(*seed, 2))
		go func() {
			time.Sleep(time.Duration(rng.Int64N(int64(*kill))))
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}()
	}
	db, err := life.Random(*seed, options).Play(flags.Arg(0), nil)
	if err != nil {
		return err
	}
	if *kill > 0 {
		// It was over before its end.
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return db.Close()
}

// digestDirCommand says what Prometheus reads of a data directory, of a copy.
func digestDirCommand(args []string) error {
	flags := flag.NewFlagSet("digest-dir", flag.ExitOnError)
	text := flags.String("options", "", "options of the database, as JSON")
	inPlace := flags.Bool("in-place", false, "open the directory itself, which may change it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("one data directory is wanted")
	}
	options, err := database.Parse(*text)
	if err != nil {
		return err
	}
	dir := flags.Arg(0)
	if !*inPlace {
		tmp, err := os.MkdirTemp("", "judge-dir")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = filepath.Join(tmp, "data")
		if err := database.Copy(flags.Arg(0), dir); err != nil {
			return err
		}
	}
	db, err := options.Open(dir)
	if err != nil {
		return err
	}
	if err := digest.Database(db, os.Stdout); err != nil {
		return errors.Join(err, db.Close())
	}
	head := db.Head()
	summary, err := json.Marshal(map[string]any{
		"min_time": head.MinTime(), "max_time": head.MaxTime(), "series": head.NumSeries(), "blocks": len(db.Blocks()),
	})
	if err != nil {
		return err
	}
	fmt.Printf("head %s\n", summary)
	return db.Close()
}
