package ssh

import (
	"bytes"
	"testing"
)

// FuzzListener proves that a job's output comes through whole whatever it is cut into, and that a fact is a short line of
// it.
func FuzzListener(f *testing.F) {
	f.Add([]byte("noise\nfact of t: 6.1\nmore"), 3)
	f.Add([]byte("fact of t: \x1b]52;c;eA==\x07\n"), 1)
	f.Fuzz(func(t *testing.T, out []byte, size int) {
		var log bytes.Buffer
		l := &listener{to: &log, mark: "fact of t: "}
		size = max(size%100, 1)
		for rest := out; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			_, _ = l.Write(rest[:min(size, len(rest))])
		}
		if !bytes.Equal(log.Bytes(), out) {
			t.Errorf("the log has %q of %q", log.Bytes(), out)
		}
		if value, err := l.fact(); err == nil && (len(value) > factLimit || !bytes.Contains(out, []byte(value))) {
			t.Errorf("the fact is %q", value)
		}
	})
}
