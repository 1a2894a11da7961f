package journal

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// A decoder reads records from the bodies of lines. It is not safe for concurrent use.
type decoder struct {
	words  *words
	second *second
}

func newDecoder() decoder { return decoder{words: newWords(), second: &second{}} }

// decode reads one record from the body of a line: all but the sum and the closing brace. It reads what encoding/json
// does, but several times as fast where the body is as appendBody writes it.
func (d decoder) decode(body []byte, r *Record) error {
	*r = Record{}
	if d.fast(body, r) {
		return nil
	}
	*r = Record{}
	return json.Unmarshal(append(bytes.Clone(body), '}'), r)
}

// fast reads a body as appendBody writes it. It gives up, leaving anything in r, at whatever it does not expect.
func (d decoder) fast(body []byte, r *Record) bool {
	c := cursor{body, d}
	return c.skip(`{"seq":`) && c.digits(&r.Seq) &&
		c.skip(`,"time":`) && c.instant(&r.Time) &&
		c.skip(`,"kind":`) && c.quoted((*string)(&r.Kind)) &&
		c.number(`,"from":`, &r.From) &&
		c.number(`,"elapsed":`, (*int64)(&r.Elapsed)) &&
		c.count(`,"format":`, &r.Format) &&
		c.text(`,"node":`, &r.Node) &&
		c.text(`,"host":`, &r.Host) &&
		c.text(`,"uses":`, &r.Uses) &&
		c.text(`,"ticket":`, &r.Ticket) &&
		c.text(`,"say":`, &r.Say) &&
		c.text(`,"of":`, &r.Of) &&
		c.text(`,"repeat":`, &r.Repeat) &&
		c.text(`,"state":`, &r.State) &&
		c.text(`,"why":`, &r.Why) &&
		c.count(`,"attempt":`, &r.Attempt) &&
		c.number(`,"epoch":`, &r.Epoch) &&
		c.text(`,"digest":`, &r.Digest) &&
		c.text(`,"group":`, &r.Group) &&
		c.table(`,"facts":`, &r.Facts) &&
		c.table(`,"hosts":`, &r.Hosts) &&
		c.text(`,"who":`, &r.Who) &&
		c.text(`,"by":`, &r.By) &&
		c.text(`,"key":`, &r.Key) &&
		c.text(`,"machine":`, &r.Machine) &&
		c.number(`,"outage":`, (*int64)(&r.Outage)) &&
		c.time(`,"until":`, &r.Until) &&
		c.flag(`,"late":true`, &r.Late) &&
		c.seal() &&
		len(c.rest) == 0
}

// A cursor reads on from the front of a body. Its readers say false where they do not understand.
type cursor struct {
	rest []byte
	decoder
}

func (c *cursor) skip(s string) bool {
	if len(c.rest) < len(s) || string(c.rest[:len(s)]) != s {
		return false
	}
	c.rest = c.rest[len(s):]
	return true
}

// The readers of fields that may be missing.

func (c *cursor) text(key string, to *string) bool    { return !c.skip(key) || c.quoted(to) }
func (c *cursor) number(key string, to *int64) bool   { return !c.skip(key) || c.digits(to) }
func (c *cursor) time(key string, to *time.Time) bool { return !c.skip(key) || c.instant(to) }
func (c *cursor) flag(set string, to *bool) bool      { *to = c.skip(set); return true }

// seal passes over a line's seal, which is no part of the record.
func (c *cursor) seal() bool {
	before, digits := cutSeal(c.rest)
	if digits == nil {
		return true
	}
	for _, d := range digits {
		if (d < '0' || d > '9') && (d < 'a' || d > 'f') {
			return false
		}
	}
	c.rest = before
	return true
}

func (c *cursor) count(key string, to *int) bool {
	n := int64(*to)
	ok := c.number(key, &n)
	*to = int(n)
	return ok && int64(*to) == n
}

func (c *cursor) table(key string, to *map[string]string) bool {
	if !c.skip(key) {
		return true
	}
	if !c.skip("{") {
		return false
	}
	*to = map[string]string{}
	if c.skip("}") {
		return true
	}
	for {
		var k, v string
		if !c.quoted(&k) || !c.skip(":") || !c.quoted(&v) {
			return false
		}
		(*to)[k] = v
		if c.skip("}") {
			return true
		}
		if !c.skip(",") {
			return false
		}
	}
}

// digits reads a number of up to 18 digits, which fits.
func (c *cursor) digits(to *int64) bool {
	var n int64
	i := 0
	for ; i < len(c.rest) && '0' <= c.rest[i] && c.rest[i] <= '9'; i++ {
		n = n*10 + int64(c.rest[i]-'0')
	}
	if i == 0 || i > 18 || c.rest[0] == '0' && i > 1 {
		return false
	}
	*to, c.rest = n, c.rest[i:]
	return true
}

func (c *cursor) instant(to *time.Time) bool {
	if !c.skip(`"`) {
		return false
	}
	n := bytes.IndexByte(c.rest, '"')
	if n < 0 || !c.second.instant(c.rest[:n], to) {
		return false
	}
	c.rest = c.rest[n+1:]
	return true
}

func (c *cursor) quoted(to *string) bool {
	if len(c.rest) == 0 || c.rest[0] != '"' {
		return false
	}
	n := 1 + bytes.IndexByte(c.rest[1:], '"')
	if n == 0 {
		return false
	}
	s, ok := c.words.word(c.rest[1:n])
	if !ok {
		return c.escaped(to)
	}
	*to, c.rest = s, c.rest[n+1:]
	return true
}

// escaped reads a string that has escapes, or something in it that encoding/json has to judge.
func (c *cursor) escaped(to *string) bool {
	var buf [longest]byte
	out := buf[:0]
	for n := 1; n < len(c.rest); n++ {
		switch b := c.rest[n]; {
		case b == '"':
			*to, c.rest = string(out), c.rest[n+1:]
			return utf8.Valid(out)
		case b == '\\':
			meant, size := unescape(c.rest[n:])
			if size == 0 {
				return false
			}
			out, n = append(out, meant), n+size-1
		case b < ' ':
			return false
		default:
			out = append(out, b)
		}
	}
	return false
}

// unescape returns what the escape at the front of b means and how long it is: those that encoding/json writes of ASCII.
// It is 0 bytes long if it is another.
func unescape(b []byte) (meant byte, size int) {
	if len(b) < 2 {
		return 0, 0
	}
	switch b[1] {
	case '"', '\\':
		return b[1], 2
	case 'n':
		return '\n', 2
	case 't':
		return '\t', 2
	case 'u':
		if len(b) < 6 {
			return 0, 0
		}
		code, err := strconv.ParseUint(string(b[2:6]), 16, 7)
		if err != nil {
			return 0, 0
		}
		return byte(code), 6
	}
	return 0, 0
}

// plain says whether the inside of a JSON string means what it says: no escapes, no control characters, valid UTF-8.
func plain(b []byte) bool {
	ascii := true
	for _, c := range b {
		if c < ' ' || c == '\\' {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.Valid(b)
}
