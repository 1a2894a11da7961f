package journal

import (
	"bytes"
	"encoding/json"
)

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
