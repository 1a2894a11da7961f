package remote

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// A memo keeps what was made of files for as long as they stay as they are: five hundred hosts have one key and one
// known_hosts file between them, and read each once.
type memo[T any] struct {
	mu   sync.Mutex
	kept map[string]kept[T] // by the names of the files
}

type kept[T any] struct {
	stamp string
	value T
}

// of returns what read makes of these files. It is asked by one goroutine at a time, and again once a file has changed or
// after an error.
func (m *memo[T]) of(files []string, read func() (T, error)) (T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name, stamp := strings.Join(files, "\n"), stampOf(files)
	if k, ok := m.kept[name]; ok && k.stamp == stamp {
		return k.value, nil
	}
	value, err := read()
	if err != nil {
		return value, err
	}
	if m.kept == nil {
		m.kept = map[string]kept[T]{}
	}
	m.kept[name] = kept[T]{stamp, value}
	return value, nil
}

// forget drops everything.
func (m *memo[T]) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = nil
}

// stampOf is another one whenever a file has changed.
func stampOf(files []string) string {
	var b strings.Builder
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			fmt.Fprintf(&b, "%d %d\n", info.Size(), info.ModTime().UnixNano())
		} else {
			b.WriteString("-\n")
		}
	}
	return b.String()
}
