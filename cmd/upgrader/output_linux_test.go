package main

import (
	"os"
	"strings"
	"testing"
)

// TestOutputsAreOpenWhileTheyAreWritten proves that a run over many hosts needs no more files than it has steps at work,
// and that a late word of a step that has settled is kept without one.
func TestOutputsAreOpenWhileTheyAreWritten(t *testing.T) {
	g := wide(500)
	o := newOutputs(runDir(t.TempDir()), newBoard(g))
	before, most := openFiles(t), 0
	for i := range g.Nodes {
		n := &g.Nodes[i]
		w := o.Open(n.ID)
		if i%9 != 0 { // one step a host is enough
			continue
		}
		for _, text := range []string{"first\n", "second\n"} {
			if _, err := w.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		most = max(most, openFiles(t)-before)
		o.Settle(n.ID)
		if _, err := w.Write([]byte("late\n")); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(o.dir.log(n)); err != nil || string(data) != "first\nsecond\nlate\n" {
			t.Fatalf("log of %s: %q, %v", n.ID, data, err)
		}
		if last := o.Last(n.ID); last != "" {
			t.Fatalf("%s has settled, and its last line is %q", n.ID, last)
		}
	}
	if left := openFiles(t) - before; most > 3 || left > 0 {
		t.Errorf("%d files were open at once, %d are at the end", most, left)
	}
}

// openFiles is the number of files that this test has open below its temporary directory.
func openFiles(t *testing.T) (n int) {
	t.Helper()
	links, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("no list of open files here: %v", err)
	}
	for _, link := range links {
		if to, err := os.Readlink("/proc/self/fd/" + link.Name()); err == nil && strings.Contains(to, t.Name()) {
			n++
		}
	}
	return n
}
