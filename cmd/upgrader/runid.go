package main

import (
	"crypto/rand"
	"time"
)

// newRunID makes an ID that sorts by time and can be read over the telephone: month and day, hour and minute, and
// three letters or digits that no font and no ear confuses.
func newRunID(now time.Time) string {
	const speakable = "bcdfghjkmnpqrstwxz23456789" // no vowels, so no words; no 0 and o, 1 and l, v and b
	suffix := make([]byte, 3)
	_, _ = rand.Read(suffix) // never fails, as its documentation says
	for i, b := range suffix {
		suffix[i] = speakable[int(b)%len(speakable)]
	}
	return now.Format("0102-1504-") + string(suffix)
}
