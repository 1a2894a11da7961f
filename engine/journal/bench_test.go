package journal

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// at is the record that a run of 5,000 hosts writes as its i-th: of every node that begins, waits and changes something,
// one to seven records in the order of a real run.
func at(i int) Record {
	host, node := i/7%5000, i/7/5000
	id := fmt.Sprintf("workers/packages-%d@worker-%04d.example.org", node%9, host)
	r := Record{Time: time.Unix(1767225600, int64(i)*1_234_567).UTC(), Elapsed: time.Duration(i) * 1_234_567, Node: id}
	digest := fmt.Sprintf("sha256:%016x%016x", host*40503, node*65537)
	ticket := fmt.Sprintf("20260101-%08x-%d-%d", host, node, i%7/4)
	switch i % 7 {
	case 0:
		r.Kind, r.Attempt = Start, 1
	case 1:
		r.Kind, r.Why, r.Until = Wait, "waits until this holds: node is Ready", r.Time.Add(10*time.Minute)
	case 2, 4:
		r.Kind, r.Ticket, r.Epoch, r.Repeat, r.Digest = Intent, ticket, 3, "guarded", digest
		r.Host, r.Uses, r.Outage = fmt.Sprintf("worker-%04d.example.org", host), "packages.install", time.Duration(i%5)*time.Minute
		r.Say = fmt.Sprintf("install kubelet 1.28.15-1.1 -> on worker-%04d", host)
	case 3:
		r.Kind, r.Ticket, r.State = Outcome, ticket, "ok"
		r.Facts = map[string]string{fmt.Sprintf("kubelet@worker-%04d", host): "1.28.15-1.1"}
	case 5:
		r.Kind, r.Ticket, r.State = Outcome, ticket, "ok"
	case 6:
		r.Kind, r.Digest, r.State = Settled, digest, "done"
	}
	return r
}

// long writes a journal of n records, as one process of a run leaves it, and returns its directory.
func long(b *testing.B, n int) string {
	b.Helper()
	dir := b.TempDir()
	f, err := os.Create(filepath.Join(dir, Name))
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	var c chain
	var line []byte
	for i := range n {
		r := at(i)
		if i == 0 {
			r = Record{Time: r.Time, Kind: Begin, Digest: "sha256:0", Epoch: 3, Format: Format}
		}
		r.Seq = int64(i + 1)
		if line, err = c.appendLine(line[:0], &r); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Write(line); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return dir
}

// peak measures how much the heap held at most, beyond what it held before, and reports it when the benchmark ends.
func peak(b *testing.B) {
	b.Helper()
	held := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	look := func() uint64 {
		metrics.Read(held)
		return held[0].Value.Uint64()
	}
	runtime.GC()
	before, most := look(), uint64(0)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				most = max(most, look())
			}
		}
	}()
	b.Cleanup(func() {
		close(stop)
		<-ended
		b.ReportMetric(float64(most-min(most, before))/1e6, "peak-MB")
	})
}

func BenchmarkJournalScan(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := long(b, n)
			peak(b)
			for b.Loop() {
				got := 0
				if err := Scan(dir, func(*Record) error { got++; return nil }); err != nil || got != n {
					b.Fatalf("%d records, %v", got, err)
				}
			}
		})
	}
}

// Appends of one record and of sixteen, as a run makes them; the disk's own time is in it, so compare on /dev/shm.
func BenchmarkJournalAppend(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			j, err := Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			batch := make([]Record, n)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				for k := range batch {
					batch[k] = at(i*n + k)
				}
				if err := j.Append(batch...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
