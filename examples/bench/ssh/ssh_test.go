// Package ssh measures what reaching hosts over SSH costs: 100 inventory names behind one real sshd on loopback, 10 steps
// each. It compares steps/remote with a bare program on the same SSH library, and with ansible-core where that is
// installed. See ../README.md.
package ssh

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/remote"
)

const (
	hosts = 100
	steps = 10
	// What a step runs. It is small on purpose: what is measured is the way there and back.
	query = "uname -r"
	job   = "echo working; uname -r"
)

// A way is one of the programs compared. The hosts are worked on all at once, the steps of each one after the other.
type way struct {
	name string
	run  func(b *testing.B, s server, disk string, text string)
}

func BenchmarkQueries(b *testing.B) {
	compare(b, query, os.TempDir(), []way{{"bare", bare}, {"upgrader", queries}, {"ansible", ansible}})
}

// BenchmarkJobs keeps the hosts' state on the disk that holds the temporary directory.
func BenchmarkJobs(b *testing.B) {
	compare(b, job, os.TempDir(), []way{{"bare", bare}, {"upgrader", jobs}, {"ansible", ansible}})
}

// BenchmarkJobsInMemory keeps the hosts' state on a memory file system, where a sync costs nothing.
func BenchmarkJobsInMemory(b *testing.B) {
	if _, err := os.Stat("/dev/shm"); err != nil {
		b.Skip("there is no memory file system at /dev/shm")
	}
	compare(b, job, "/dev/shm", []way{{"bare", bare}, {"upgrader", jobs}})
}

func compare(b *testing.B, text, disk string, ways []way) {
	for _, w := range ways {
		b.Run(w.name, func(b *testing.B) {
			s := start(b, nil)
			state, err := os.MkdirTemp(disk, "upgrader-bench-")
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = os.RemoveAll(state) })
			busy, n := machineBusy(b), 0
			for b.Loop() {
				n++
				w.run(b, s, filepath.Join(state, fmt.Sprint(n)), text)
			}
			b.ReportMetric((machineBusy(b)-busy).Seconds()/float64(n), "cpu-s/op")
		})
	}
}

// everywhere does something on every host at once.
func everywhere(b *testing.B, each func(i int) error) {
	var all sync.WaitGroup
	for i := range hosts {
		all.Go(func() {
			if err := each(i); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
}

// bare is the least that a program on golang.org/x/crypto/ssh can do: a connection for each host, a session for each step.
func bare(b *testing.B, s server, _, text string) {
	everywhere(b, func(int) error {
		c, err := s.dial()
		if err != nil {
			return err
		}
		defer c.Close()
		for range steps {
			if err := session(c, text); err != nil {
				return err
			}
		}
		return nil
	})
}

func session(c *ssh.Client, text string) error {
	s, err := c.NewSession()
	if err != nil {
		return err
	}
	defer s.Close()
	out, err := s.Output(text)
	if err == nil && len(out) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func queries(b *testing.B, s server, _, text string) {
	f := s.fleet(hosts, "")
	defer f.Close()
	everywhere(b, func(i int) error {
		h, err := f.Host(name(i))
		if err != nil {
			return err
		}
		for range steps {
			if r, err := h.Query(b.Context(), scriptOf(text)); err != nil || r.Stdout == "" {
				return fmt.Errorf("said %q: %w", r.Stdout, err)
			}
		}
		return nil
	})
}

// jobs gives every host a fleet of its own: they are one machine, and must not share one state directory.
func jobs(b *testing.B, s server, state, text string) {
	everywhere(b, func(i int) error {
		dir := filepath.Join(state, name(i))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		f := s.fleet(1, dir)
		defer f.Close()
		h, err := f.Host(name(0))
		if err != nil {
			return err
		}
		for n := range steps {
			if err := doJob(b, h, n, text); err != nil {
				return err
			}
		}
		return nil
	})
}

func doJob(b *testing.B, h remote.Host, n int, text string) error {
	var out bytes.Buffer
	t := engine.Ticket{ID: fmt.Sprintf("bench-%d", n), Epoch: 1, Learn: func(engine.Facts) {}, Out: &out}
	if err := h.Do(b.Context(), t, remote.Job{Name: "bench", Script: scriptOf(text)}); err != nil {
		return err
	}
	if out.Len() == 0 {
		return fmt.Errorf("job %s said nothing", t.ID)
	}
	return nil
}

func scriptOf(text string) remote.Script { return remote.Script{Text: text} }
