package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"

	"upgrader.dev/upgrader/engine/private"
	"upgrader.dev/upgrader/steps/redact"
	"upgrader.dev/upgrader/steps/remote"
)

// Outputs keep the output of a run's effects in files, and remember the last line of each for the live view. What is
// open is what is at work.
type outputs struct {
	dir   runDir
	board *board

	mu     sync.Mutex
	atWork map[string]*output
}

func newOutputs(dir runDir, b *board) *outputs {
	return &outputs{dir: dir, board: b, atWork: map[string]*output{}}
}

// Open is an engine.Output. Output that cannot be kept is dropped: it is evidence, not state, and must not stop a run.
func (o *outputs) Open(node string) io.Writer {
	n := o.board.node(node)
	if n == nil {
		return io.Discard
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if w := o.atWork[node]; w != nil {
		return w
	}
	w := newOutput(o.dir.log(n))
	o.atWork[node] = w
	return w
}

// Last is the latest line that a node's effect has put out.
func (o *outputs) Last(node string) string {
	o.mu.Lock()
	w := o.atWork[node]
	o.mu.Unlock()
	if w == nil {
		return ""
	}
	return w.lastLine()
}

// Settle closes the file of a node that has settled, and forgets it.
func (o *outputs) Settle(node string) {
	o.mu.Lock()
	w := o.atWork[node]
	delete(o.atWork, node)
	o.mu.Unlock()
	if w != nil {
		_ = w.Close() // evidence only; see Open
	}
}

// Close closes all files.
func (o *outputs) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, w := range o.atWork {
		_ = w.Close() // evidence only; see Open
	}
}

// An output is one node's. Its file is made when there is something to write. What looks like a secret is left out of it,
// although no plan names it as one: it is for people.
type output struct {
	clean redact.Writer

	mu     sync.Mutex
	file   logFile
	closed bool
	line   []byte // the latest one, complete or not
	done   bool   // the line is complete, or will be written over: what comes next begins a new one
}

func newOutput(path string) *output {
	w := &output{file: logFile{path: path, limit: mostLog}}
	w.clean = redact.LikelyWriter(keeper(w.keep))
	return w
}

// A keeper takes output and cannot fail.
type keeper func(p []byte)

func (f keeper) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// Write keeps what an effect puts out. What comes after Close, as from a job that was let go of, is kept as well.
func (w *output) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.clean.Write(p) // to keep, which cannot fail
	if w.closed {
		_ = w.shut()
	}
	return len(p), nil
}

func (w *output) keep(p []byte) {
	w.remember(p)
	w.file.Write(p)
}

// longestLine is how much of a line the view needs to know.
const longestLine = 400

func (w *output) remember(p []byte) {
	for part := range bytes.Lines(p) {
		body := bytes.TrimRight(part, "\r\n")
		if w.done && len(body) > 0 {
			w.line, w.done = w.line[:0], false
		}
		if i := bytes.LastIndexByte(body, '\r'); i >= 0 { // a progress bar wrote over its line
			w.line, body = w.line[:0], body[i+1:]
		}
		w.line = append(w.line, body[:min(len(body), max(0, longestLine-len(w.line)))]...)
		w.done = w.done || bytes.HasSuffix(part, []byte("\n")) || bytes.HasSuffix(part, []byte("\r"))
	}
}

func (w *output) lastLine() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.ToValidUTF8(string(w.line), "?")
}

// Close closes the file. From here on it is open only while something is written to it.
func (w *output) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	return w.shut()
}

func (w *output) shut() error {
	_ = w.clean.Flush() // to keep, which cannot fail
	return w.file.Close()
}

// tailOf returns the last lines of a log file, as an error shows them, or nothing if there is none.
func tailOf(path string) []string {
	const most = 64 << 10 // bytes looked at
	f, err := private.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > most {
		if _, err := f.Seek(-most, io.SeekEnd); err != nil {
			return nil
		}
	}
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return []string{fmt.Sprintf("(the log cannot be read: %v)", err)}
	}
	last := remote.LastLines(string(data))
	if last == "" {
		return nil
	}
	return strings.Split(last, "\n")
}
