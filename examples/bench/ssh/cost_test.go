package ssh

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// BenchmarkCost counts what one step makes a host do: the processes it starts (forks), the programs it loads (execs), and
// the times it waits for a disk (syncs), sshd's own for the session among them. Counts do not depend on what else runs.
func BenchmarkCost(b *testing.B) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		b.Skip("this benchmark wants strace: apt-get install strace")
	}
	for _, w := range []struct {
		name string
		step func(b *testing.B, s server, state string) func(n int) error
	}{{"bare", bareStep}, {"query", queryStep}, {"job", jobStep}} {
		b.Run(w.name, func(b *testing.B) {
			log := filepath.Join(b.TempDir(), "trace")
			s := start(b, []string{strace, "-f", "-qq", "-e", "trace=execve,fork,vfork,clone,clone3,sync,syncfs,fsync,fdatasync", "-e", "signal=none", "-o", log})
			step := w.step(b, s, filepath.Join(b.TempDir(), "state"))
			total := make([]int, 3)
			n := 0
			for b.Loop() {
				for range steps {
					if err := step(n); err != nil {
						b.Fatal(err)
					}
					n++
					if n == 1 { // the connection and what only the first job on a host has to do
						quiet(log)
						total = counts(b, log)
					}
				}
			}
			quiet(log)
			for i, unit := range []string{"forks/step", "execs/step", "syncs/step"} {
				b.ReportMetric(float64(counts(b, log)[i]-total[i])/float64(n-1), unit)
			}
			b.ReportMetric(0, "ns/op") // under strace it says nothing
		})
	}
}

func bareStep(b *testing.B, s server, _ string) func(int) error {
	c, err := s.dial()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	return func(int) error { return session(c, job) }
}

func queryStep(b *testing.B, s server, _ string) func(int) error {
	f := s.fleet(1, "")
	b.Cleanup(func() { _ = f.Close() })
	h, err := f.Host(name(0))
	if err != nil {
		b.Fatal(err)
	}
	return func(int) error {
		_, err := h.Query(b.Context(), scriptOf(job))
		return err
	}
}

func jobStep(b *testing.B, s server, state string) func(int) error {
	f := s.fleet(1, state)
	b.Cleanup(func() { _ = f.Close() })
	h, err := f.Host(name(0))
	if err != nil {
		b.Fatal(err)
	}
	return func(n int) error { return doJob(b, h, n, job) }
}

// quiet waits until the last step's processes are done.
func quiet(log string) {
	for size := int64(-1); ; time.Sleep(time.Second) {
		info, err := os.Stat(log)
		if err != nil || info.Size() == size {
			return
		}
		size = info.Size()
	}
}

// counts reads how many processes, programs and syncs a trace holds: one call a line, or two where another came between.
func counts(b *testing.B, log string) []int {
	data, err := os.ReadFile(log)
	if err != nil {
		b.Fatal(err)
	}
	n := make([]int, 3)
	for line := range bytes.Lines(data) {
		text := string(line)
		if strings.Contains(text, "resumed>") || strings.Contains(text, " = -1 ") {
			continue
		}
		_, call, _ := strings.Cut(strings.TrimLeft(text, "0123456789"), " ")
		word, _, _ := strings.Cut(strings.TrimSpace(call), "(")
		switch {
		case strings.Contains(word, "clone") && !strings.Contains(text, "CLONE_THREAD"), strings.HasSuffix(word, "fork"):
			n[0]++
		case word == "execve":
			n[1]++
		case strings.Contains(word, "sync"):
			n[2]++
		}
	}
	if n[1] == 0 {
		b.Fatal(fmt.Errorf("strace has seen nothing"))
	}
	return n
}
