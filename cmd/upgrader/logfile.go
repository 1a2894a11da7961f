package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"upgrader.dev/upgrader/engine/private"
)

// mostLog is how large the log of a step may become. Of one that grows beyond, the head and the tail are kept.
const mostLog = 64 << 20

// A logFile keeps what is written to it, up to a limit. What is left out then is told in its place. It is opened when
// there is something to write.
type logFile struct {
	path  string
	limit int64
	file  *os.File
	size  int64
	dead  bool
}

// Write keeps a piece of output. What cannot be kept is dropped.
func (l *logFile) Write(p []byte) {
	if l.file == nil && !l.dead {
		l.dead = l.open() != nil
	}
	if l.file == nil {
		return
	}
	n, _ := l.file.Write(p) // evidence only; see outputs.Open
	if l.size += int64(n); l.size > l.limit {
		_ = l.shorten() // then it grows
	}
}

func (l *logFile) open() error {
	if err := private.MkdirAll(filepath.Dir(l.path)); err != nil {
		return err
	}
	f, err := private.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Close closes the file until something is written again.
func (l *logFile) Close() error {
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	return err
}

// shorten leaves out the middle: half of the limit is the head, which stays, and a quarter is the tail, so that this is
// done once for each quarter that comes.
func (l *logFile) shorten() (err error) {
	f, err := private.OpenFile(l.path, os.O_RDWR)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	layout, err := layoutOf(f, l.limit)
	if err != nil {
		return err
	}
	tail := layout.size - l.limit/4
	layout.missing += tail - layout.tail
	to := layout.head + gapLength
	if _, err := io.Copy(io.NewOffsetWriter(f, to), io.NewSectionReader(f, tail, layout.size-tail)); err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte(gap(layout.missing)), layout.head); err != nil {
		return err
	}
	l.size = to + layout.size - tail
	return f.Truncate(l.size)
}

// The gap has one length, so that a reader knows where the tail begins.
const (
	gapBegin  = "\n[upgrader: too much output, "
	gapEnd    = " bytes are left out here]\n"
	gapDigits = 19
	gapLength = int64(len(gapBegin) + gapDigits + len(gapEnd))
)

func gap(missing int64) string { return gapBegin + fmt.Sprintf("%*d", gapDigits, missing) + gapEnd }

// A logLayout is where the parts of a log file are.
type logLayout struct {
	size    int64
	head    int64 // where the head ends
	tail    int64 // where the tail begins: with the head's end, or behind the gap
	missing int64 // bytes between the two that were left out
}

func layoutOf(f *os.File, limit int64) (logLayout, error) {
	info, err := f.Stat()
	if err != nil {
		return logLayout{}, err
	}
	l := logLayout{size: info.Size(), head: limit / 2, tail: limit / 2}
	if l.size < l.head+gapLength {
		l.head, l.tail = min(l.head, l.size), min(l.tail, l.size)
		return l, nil
	}
	line := make([]byte, gapLength)
	if _, err := f.ReadAt(line, l.head); err != nil {
		return logLayout{}, err
	}
	digits, isEnd := strings.CutSuffix(string(line), gapEnd)
	digits, isGap := strings.CutPrefix(digits, gapBegin)
	if n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64); isEnd && isGap && err == nil {
		l.tail, l.missing = l.head+gapLength, n
	}
	return l, nil
}

// unread is what a log holds behind the first so many bytes of all that was ever written to it, and how many that are by
// then. What has been left out meanwhile is told.
func unread(f *os.File, seen, limit int64) (io.Reader, int64, error) {
	l, err := layoutOf(f, limit)
	if err != nil {
		return nil, seen, err
	}
	behind := l.head + l.missing // what came before the tail
	total := behind + l.size - l.tail
	var parts []io.Reader
	if seen < l.head {
		parts = append(parts, io.NewSectionReader(f, seen, l.head-seen))
	}
	if seen < behind && l.missing > 0 {
		parts = append(parts, strings.NewReader(gap(l.missing)))
	}
	from := max(seen, behind)
	if from < total {
		parts = append(parts, io.NewSectionReader(f, l.tail+from-behind, total-from))
	}
	return io.MultiReader(parts...), max(seen, total), nil
}
