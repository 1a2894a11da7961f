package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A log of any length is kept with its head and its tail, and a reader who comes again sees each byte once, or is told of
// those that are left out.
func TestLogFileKeepsHeadAndTail(t *testing.T) {
	const limit = 4 << 10
	for _, perLook := range []int{1, 7, 40, 1000} {
		l := logFile{path: filepath.Join(t.TempDir(), "a", "x.log"), limit: limit}
		var shown bytes.Buffer
		var seen int64
		look := func() {
			f, err := os.Open(l.path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			log, now, err := unread(f, seen, limit)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(&shown, log); err != nil {
				t.Fatal(err)
			}
			seen = now
		}
		const lines = 3000
		for i := range lines {
			l.Write(fmt.Appendf(nil, "line %06d\n", i))
			if i%perLook == 0 {
				look()
			}
			if i%500 == 0 { // another process goes on with it
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
		look()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(l.path)
		if err != nil || len(data) > limit || !bytes.HasPrefix(data, []byte("line 000000\n")) || !bytes.HasSuffix(data, []byte("line 002999\n")) {
			t.Fatalf("%d bytes, %v: %.60q ... %q", len(data), err, data, data[max(0, len(data)-60):])
		}
		if missing := lines*len("line 000000\n") - (len(data) - int(gapLength)); !bytes.Contains(data, []byte(gap(int64(missing)))) {
			t.Errorf("it does not say that %d bytes are missing", missing)
		}
		if seen != int64(lines*len("line 000000\n")) {
			t.Errorf("a look after every %d lines: %d bytes were seen", perLook, seen)
		}
		if told := strings.Contains(shown.String(), "left out"); perLook < 50 && (told || shown.Len() != int(seen)) {
			t.Errorf("a look after every %d lines: told %v, %d bytes shown of %d", perLook, told, shown.Len(), seen)
		} else if perLook == 1000 && !told {
			t.Error("one who comes late is not told of what is left out")
		}
	}
}

// A log is shown piece by piece: no rune is cut, no line doubled, and memory does not grow with it.
func TestShowLines(t *testing.T) {
	for _, end := range []string{"", "\n", "\r\n", "\r", "ä", "\xc3"} {
		text := strings.Repeat("äöü 語 \x1b[2J x\r\n", 20000) + "last" + end
		var shown strings.Builder
		if err := showLines(&shown, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		want := escapeLines(text)
		if !strings.HasSuffix(want, "\n") {
			want += "\n"
		}
		if shown.String() != want {
			t.Errorf("with the end %q: it ends in %q", end, shown.String()[max(0, shown.Len()-40):])
		}
	}
}

func TestShowLinesIsNoBurden(t *testing.T) {
	for name, line := range map[string]string{"lines": "a line\n", "one line": "xxxxxxx"} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		most, reads := uint64(0), 0
		log := io.LimitReader(endless(line), 64<<20)
		if err := showLines(io.Discard, sourceFunc(func(p []byte) (int, error) {
			n, err := log.Read(p)
			if reads++; reads%64 == 0 {
				runtime.ReadMemStats(&after)
				most = max(most, after.HeapInuse)
			}
			return n, err
		})); err != nil {
			t.Fatal(err)
		}
		if grown := int64(most) - int64(before.HeapInuse); grown > 16<<20 {
			t.Errorf("%s: 64 MiB took %d KiB of memory", name, grown>>10)
		}
	}
}

type sourceFunc func(p []byte) (int, error)

func (f sourceFunc) Read(p []byte) (int, error) { return f(p) }

// endless is a text that never ends.
type endless string

func (e endless) Read(p []byte) (int, error) {
	for n := 0; n < len(p); {
		n += copy(p[n:], e)
	}
	return len(p), nil
}

// What nobody has declared a secret, but looks like one, is not kept in a log, nor shown as the last line.
func TestOutputsHoldNoSecret(t *testing.T) {
	g := sample()
	o := newOutputs(runDir(t.TempDir()), newBoard(g))
	w := o.Open("workers/drain@w1")
	for _, part := range []string{"kubeadm join --token abc", "def.0123456789", "abcdef x\n"} {
		if _, err := w.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	last := o.Last("workers/drain@w1")
	o.Close()
	data, err := os.ReadFile(o.dir.log(g.Lookup("workers/drain@w1")))
	if want := "kubeadm join --token *** x"; err != nil || string(data) != want+"\n" || last != want {
		t.Errorf("%q, last line %q, %v", data, last, err)
	}
}
