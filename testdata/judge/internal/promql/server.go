// Package promql asks two real Prometheus servers the same questions.
package promql

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"judge/internal/compactor"
)

const startTimeout = 60 * time.Second

// server is one Prometheus over shadows of the blocks of a directory.
type server struct {
	cmd  *exec.Cmd
	dir  string
	url  string
	log  string
	done chan error
}

// start runs the binary over every block of dir; it neither compacts nor
// deletes, and works on a directory of its own.
func start(ctx context.Context, binary, dir string) (*server, error) {
	tmp, err := os.MkdirTemp("", "judge-prometheus")
	if err != nil {
		return nil, err
	}
	s := &server{dir: tmp, log: filepath.Join(tmp, "log"), done: make(chan error, 1)}
	if err := s.run(ctx, binary, dir); err != nil {
		err = fmt.Errorf("prometheus over %s: %w", dir, err)
		if text, e := os.ReadFile(s.log); e == nil && len(text) > 0 {
			err = fmt.Errorf("%w; its log:\n%s", err, text)
		}
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) run(ctx context.Context, binary, dir string) error {
	data := filepath.Join(s.dir, "data")
	metas, err := filepath.Glob(filepath.Join(dir, "*", "meta.json"))
	if err != nil {
		return err
	}
	if len(metas) == 0 {
		return errors.New("no block there")
	}
	for _, m := range metas {
		if _, err := compactor.Shadow(filepath.Dir(m), data); err != nil {
			return err
		}
	}
	config := filepath.Join(s.dir, "prometheus.yml")
	if err := os.WriteFile(config, nil, 0o666); err != nil {
		return err
	}
	addr, err := freeAddress()
	if err != nil {
		return err
	}
	log, err := os.Create(s.log)
	if err != nil {
		return err
	}
	defer log.Close()
	s.url = "http://" + addr
	s.cmd = exec.Command(binary, "--config.file="+config, "--storage.tsdb.path="+data, "--web.listen-address="+addr,
		"--storage.tsdb.retention.time=200y", "--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h",
		"--no-storage.tsdb.allow-overlapping-compaction", "--storage.tsdb.block-reload-interval=24h")
	s.cmd.Stdout, s.cmd.Stderr = log, log
	// It goes down with this process, whatever ends it.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	go func() { s.done <- s.cmd.Wait() }()
	return s.waitReady(ctx)
}

func (s *server) waitReady(ctx context.Context) error {
	deadline := time.Now().Add(startTimeout)
	for time.Now().Before(deadline) {
		select {
		case err := <-s.done:
			s.cmd = nil
			return fmt.Errorf("it ended at start-up: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		resp, err := http.Get(s.url + "/-/ready")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("not ready after %s", startTimeout)
}

// stop ends the process and removes its directory.
func (s *server) stop() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-s.done:
		case <-time.After(10 * time.Second):
			_ = s.cmd.Process.Kill()
			<-s.done
		}
	}
	_ = os.RemoveAll(s.dir)
}

// answer is what the HTTP API sends, as far as the comparison needs it.
type answer struct {
	Status string          `json:"status"`
	Data   json.RawMessage `json:"data"`
	Error  string          `json:"error"`
}

func (s *server) get(ctx context.Context, path string, params url.Values) (answer, error) {
	var a answer
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path+"?"+params.Encode(), nil)
	if err != nil {
		return a, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return a, fmt.Errorf("answer %.200q: %w", body, err)
	}
	return a, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
