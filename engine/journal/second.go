package journal

import "time"

// A second is the one that the latest time was in: the next record is mostly of the same, and then only what comes after the
// point has to be read.
type second struct {
	text  string // as it begins the time
	began time.Time
}

const toTheSecond = len("2006-01-02T15:04:05")

// instant reads a time as time.Time writes it.
func (s *second) instant(text []byte, to *time.Time) bool {
	at := min(toTheSecond, len(text))
	fraction, ok := fractionUTC(text[at:])
	if ok && string(text[:at]) == s.text {
		*to = s.began.Add(fraction)
		return true
	}
	if to.UnmarshalText(text) != nil {
		return false
	}
	if ok {
		s.text, s.began = string(text[:at]), to.Add(-fraction)
	}
	return true
}

// fractionUTC reads what follows the seconds of a time in UTC: up to nine digits after a point, and a Z.
func fractionUTC(text []byte) (fraction time.Duration, ok bool) {
	if string(text) == "Z" {
		return 0, true
	}
	n := len(text) - 1
	if n < 2 || n > 10 || text[0] != '.' || text[n] != 'Z' {
		return 0, false
	}
	digits := text[1:n]
	for i := range 9 {
		fraction *= 10
		if i >= len(digits) {
			continue
		}
		if digits[i] < '0' || digits[i] > '9' {
			return 0, false
		}
		fraction += time.Duration(digits[i] - '0')
	}
	return fraction, true
}
