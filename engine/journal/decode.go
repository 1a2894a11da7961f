package journal

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// decode reads records until the end or a torn tail, and returns them, where they end and the chain's last sum.
func decode(data []byte) (records []Record, end int, s sum, err error) {
	for end < len(data) {
		n := bytes.IndexByte(data[end:], '\n')
		line := data[end:]
		if n >= 0 {
			line = data[end : end+n]
		}
		r, next, ok := verify(line, s, int64(len(records))+1)
		if !ok || n < 0 {
			if torn(data[end:]) {
				return records, end, s, nil
			}
			return nil, 0, s, fmt.Errorf("%w at record %d (byte %d): its checksum is wrong and it is not a write cut short", ErrDamaged, len(records)+1, end)
		}
		records, s = append(records, r), next
		end += n + 1
	}
	return records, end, s, nil
}

// verify checks one line, without its newline, against the chain.
func verify(line []byte, before sum, seq int64) (Record, sum, bool) {
	var r Record
	if len(line) < suffix+1 || !bytes.HasSuffix(line, []byte("\"}")) {
		return r, before, false
	}
	body, tail := line[:len(line)-suffix], line[len(line)-suffix:]
	if !bytes.HasPrefix(tail, []byte(sumKey)) {
		return r, before, false
	}
	s := chain(before, body)
	if want := hex.EncodeToString(s[:sumDigits/2]); want != string(tail[len(sumKey):len(sumKey)+sumDigits]) {
		return r, before, false
	}
	whole := append(bytes.Clone(body), '}')
	if err := json.Unmarshal(whole, &r); err != nil || r.Seq != seq {
		return r, before, false
	}
	return r, s, true
}

// torn says whether the bytes from the first unreadable record on are what a crash in the middle of an append leaves:
// a prefix without its newline, or blocks that never reached the disk and read as NULs. Lines that are complete but
// wrong are damage, and so is anything after them.
func torn(tail []byte) bool {
	const run = 8 // NULs in a row; a flipped bit makes one
	if bytes.Contains(tail, make([]byte, run)) {
		return !acknowledged(tail)
	}
	if bytes.IndexByte(tail, '\n') >= 0 {
		return false
	}
	// a whole record with anything but a newline after it was complete once
	tail = bytes.TrimRight(tail, "\x00") // its newline may be the first byte of a block that was never written
	return !bytes.Contains(tail, []byte("\"}")) || !complete(tail)
}

// acknowledged says whether the bytes hold a whole record that was appended after the first, unreadable one. Only intents,
// and decisions, are appended several at once; every other record was begun when those before it were durable.
func acknowledged(tail []byte) bool {
	for line := range bytes.Lines(tail) {
		var r Record
		if json.Unmarshal(line, &r) == nil && r.Kind != "" && r.Kind != Intent && r.Kind != Decision {
			return true
		}
	}
	return false
}

// complete says whether the bytes hold a whole record's suffix before their end.
func complete(tail []byte) bool {
	for at := 0; ; {
		i := bytes.Index(tail[at:], []byte(sumKey))
		if i < 0 {
			return false
		}
		after := at + i + suffix
		if after < len(tail) && string(tail[after-2:after]) == "\"}" {
			return true
		}
		at += i + 1
	}
}
