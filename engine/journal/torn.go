package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// sector is what a disk writes whole or not at all. A file system's blocks are one or more of them.
const sector = 512

// A tail is all that follows a journal's last whole record: a line that is wrong or has no end, and whatever comes after.
//
// It is torn, and may be cut off, if a crash in the middle of the last append can have left it. An append is durable
// before the next one begins, so a crash leaves all before the last one, and of that one any sectors, in a file of any
// length up to its end. What was not written is missing or reads as NULs, which no record has in it. Anything else is
// damage: a line that has all its bytes and is wrong, NULs that are not whole sectors, or a record that was appended when
// the one that cannot be read was durable already.
type tail struct {
	at     int64 // where in the file it begins
	seq    int64 // of the record that should begin there
	format int   // of the records before it
}

// torn reads the tail, which in begins with.
func (t tail) torn(in io.Reader) (bool, error) {
	lines := bufio.NewReader(in)
	for at := t.at; ; {
		line, err := lines.ReadBytes('\n')
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return false, err
		}
		if !t.left(line, at, end) {
			return false, nil
		}
		if end {
			return true, nil
		}
		at += int64(len(line))
	}
}

// left says whether a crash may leave this line, which begins at byte at. The last one has no newline.
func (t tail) left(line []byte, at int64, last bool) bool {
	switch {
	case bytes.IndexByte(line, 0) >= 0:
		return t.lost(line, at, last)
	case last:
		return !overrun(line)
	default:
		return at > t.at && t.together(line)
	}
}

// lost says whether every run of NULs in the line is what whole sectors of the append leave that were not written. Those
// at the end of the file may begin anywhere, as after a write that was cut short in a file that had grown already.
func (t tail) lost(line []byte, at int64, last bool) bool {
	for i := 0; ; {
		n := bytes.IndexByte(line[i:], 0)
		if n < 0 {
			return !overrun(line[i:])
		}
		from := i + n
		to := from + nuls(line[from:])
		toEnd := last && to == len(line)
		sectors := t.edge(at+int64(from)) && t.edge(at+int64(to))
		if overrun(line[i:from]) || !toEnd && !sectors {
			return false
		}
		i = to
	}
}

// nuls counts the NULs that b begins with.
func nuls(b []byte) int { return len(b) - len(bytes.TrimLeft(b, "\x00")) }

// edge says whether a sector, or the append, begins at this byte.
func (t tail) edge(at int64) bool { return at%sector == 0 || at == t.at }

// together says whether a whole line after the first is a record of the same append as the one that cannot be read.
func (t tail) together(line []byte) bool {
	var r Record
	if _, _, ok := cutSum(bytes.TrimSuffix(line, []byte("\n"))); !ok || json.Unmarshal(line, &r) != nil || r.Seq <= t.seq {
		return false
	}
	if t.format < 2 { // they did not say, but only these were appended several at once
		return r.Kind == Intent || r.Kind == Decision
	}
	return r.From != 0 && r.From <= t.seq
}

// overrun says whether the bytes of a line go on after a whole record, where its newline was.
func overrun(b []byte) bool {
	for {
		i := bytes.Index(b, []byte(sumKey))
		if i < 0 {
			return false
		}
		b = b[i:]
		if len(b) > suffix && string(b[suffix-2:suffix]) == "\"}" && b[suffix] != '\n' && b[suffix] != ',' { // a comma follows a table
			return true
		}
		b = b[1:]
	}
}
