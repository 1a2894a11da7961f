package journal

import (
	"bytes"
	"errors"
	"io"
)

const (
	chunk   = 64 << 10 // read at once
	batches = 4        // chunks under way between the verifier and its reader
)

// A verifier reads lines ahead of their decoding and checks them against the chain. It hands over the lines that are right, a
// chunk at a time, and ends at the first that is not, or at the end of the file. Then its other fields may be read.
type verifier struct {
	from     io.Reader
	verified chan []byte   // whole lines; given back to free
	free     chan []byte   // chunks to read into
	quit     chan struct{} // nobody wants any more

	chain chain // of the last line that is right
	last  lastLine
	rest  []byte // read, but not handed over: the line that is wrong or has no end, and what was read with it
	end   bool   // of the file was seen
	err   error  // of reading
}

func startVerifier(from io.Reader, behind extent) *verifier {
	v := &verifier{from: from, chain: chain{sum: behind.chain.sum}, last: behind.last, quit: make(chan struct{}),
		verified: make(chan []byte, batches), free: make(chan []byte, batches)}
	for range batches {
		v.free <- nil // made when it is filled
	}
	go v.run()
	return v
}

// stop ends the verifier, if it has not ended, and waits for that.
func (v *verifier) stop() {
	close(v.quit)
	for range v.verified { //nolint:revive // to its end
	}
}

func (v *verifier) run() {
	defer close(v.verified)
	for more := true; more; {
		var buf []byte
		select {
		case buf = <-v.free:
		case <-v.quit:
			return
		}
		buf, more = v.fill(buf[:cap(buf)])
		v.verified <- buf // there is room for every chunk there is
	}
}

// fill reads on into buf and returns the whole lines in it that are right, and whether more can follow them.
func (v *verifier) fill(buf []byte) ([]byte, bool) {
	if size := max(chunk, 2*len(v.rest)); len(buf) < size { // a line may be longer than a chunk
		buf = make([]byte, size)
	}
	n := copy(buf, v.rest)
	read, err := io.ReadFull(v.from, buf[n:])
	buf = buf[:n+read]
	lines, right := v.lines(buf)
	v.remember(lines)
	v.rest = append(v.rest[:0], buf[len(lines):]...)
	v.end = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if !v.end {
		v.err = err
	}
	return lines, right && err == nil
}

// left reads what follows the lines that were right. What a writer adds after the end was seen is none of it: put behind
// the part of a line that was there, it would look like damage.
func (v *verifier) left() io.Reader {
	if v.end {
		return bytes.NewReader(v.rest)
	}
	return io.MultiReader(bytes.NewReader(v.rest), v.from)
}

// remember keeps the last of the lines that were just found right.
func (v *verifier) remember(lines []byte) {
	if len(lines) > 0 {
		lines = lines[:len(lines)-1]
		v.last = lastLine{before: v.chain.before, line: bytes.Clone(lines[bytes.LastIndexByte(lines, '\n')+1:])}
	}
}

// lines returns the lines at the front of data that are whole and right, and whether that is all that are whole.
func (v *verifier) lines(data []byte) ([]byte, bool) {
	for end := 0; ; {
		n := bytes.IndexByte(data[end:], '\n')
		if n < 0 {
			return data[:end], true
		}
		if !v.chain.verify(data[end : end+n]) {
			return data[:end], false
		}
		end += n + 1
	}
}
