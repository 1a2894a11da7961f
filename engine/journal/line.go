package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
)

// A sum is the chained checksum: of the record before, and this one's bytes.
type sum [sha256.Size]byte

// A line ends with the first eight bytes of its sum, in hex; that is enough against accidents, which is all it is for.
const (
	sumKey    = `,"sum":"`
	sumDigits = 16
	suffix    = len(sumKey) + sumDigits + len("\"}")
)

// A chain goes along the lines of a journal, writing or verifying them. Its sum is that of the line before.
type chain struct {
	sum    sum
	before sum    // of the line before, when verifying
	key    []byte // that lines are sealed by, if there is one
	buf    []byte // what is summed next
}

func (c *chain) next(body []byte) {
	c.buf = append(append(c.buf[:0], c.sum[:]...), body...) // in one piece, which takes less than writing two to a hash
	c.sum = sha256.Sum256(c.buf)
}

// appendLine appends r's line to b: what encoding/json would write, its seal, and the sum as the last field.
func (c *chain) appendLine(b []byte, r *Record) ([]byte, error) {
	start := len(b)
	b, err := appendBody(b, r)
	if err != nil {
		return b, err
	}
	if c.key != nil {
		body := b[start:]
		b = append(appendSeal(append(b, sealKey...), c.key, c.sum, body), '"')
	}
	c.next(b[start:])
	b = append(b, sumKey...)
	b = hex.AppendEncode(b, c.sum[:sumDigits/2])
	return append(b, "\"}\n"...), nil
}

// verify says whether a line, given without its newline, is the chain's next one, and goes on to it if it is.
func (c *chain) verify(line []byte) bool {
	body, digits, ok := cutSum(line)
	if !ok {
		return false
	}
	before := c.sum
	c.next(body)
	var want [sumDigits]byte
	hex.Encode(want[:], c.sum[:sumDigits/2])
	if string(digits) != string(want[:]) {
		c.sum = before
		return false
	}
	c.before = before
	return true
}

// cutSum parts a line, given without its newline, into what its sum was made of and the digits of the sum.
func cutSum(line []byte) (body, digits []byte, ok bool) {
	line, ok = bytes.CutSuffix(line, []byte("\"}"))
	if at := len(line) - sumDigits - len(sumKey); ok && at > 0 && string(line[at:at+len(sumKey)]) == sumKey {
		return line[:at], line[at+len(sumKey):], true
	}
	return nil, nil, false
}
