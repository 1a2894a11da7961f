package remote

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file is read once as long as it stays as it is; an error, or a change, has it read again.
func TestMemoReadsAgainWhatHasChanged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "known_hosts")
	write(t, path, "one")
	var m memo[string]
	reads, failure := 0, error(nil)
	ask := func() string {
		got, _ := m.of([]string{path}, func() (string, error) {
			reads++
			data, _ := os.ReadFile(path)
			return string(data), failure
		})
		return got
	}
	if a, b := ask(), ask(); a != "one" || b != "one" || reads != 1 {
		t.Errorf("%q, %q after %d reads", a, b, reads)
	}
	write(t, path, "two")
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != "two" {
		t.Errorf("after a change: %q", got)
	}
	m.forget()
	failure = errors.New("not now")
	ask()
	failure = nil
	if got := ask(); got != "two" || reads != 4 {
		t.Errorf("after an error: %q, %d reads", got, reads)
	}
}
