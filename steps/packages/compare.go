package packages

import (
	"cmp"
	"strings"
)

// compare orders two package versions as dpkg does (Debian policy 5.6.12): by epoch, by upstream version, by revision.
func compare(a, b string) int {
	aEpoch, aUpstream, aRevision := split(a)
	bEpoch, bUpstream, bRevision := split(b)
	return cmp.Or(part(aEpoch, bEpoch), part(aUpstream, bUpstream), part(aRevision, bRevision))
}

// split takes "1:2.3-4" apart. A missing epoch or revision is 0, which orders like "".
func split(v string) (epoch, upstream, revision string) {
	if e, rest, ok := strings.Cut(v, ":"); ok {
		epoch, v = e, rest
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return epoch, v[:i], v[i+1:]
	}
	return epoch, v, ""
}

// part compares by turns a run of anything but digits, character by character, and a run of digits as a number.
func part(a, b string) int {
	for a != "" || b != "" {
		for len(a) > 0 && !digit(a[0]) || len(b) > 0 && !digit(b[0]) {
			if c := cmp.Compare(weight(a), weight(b)); c != 0 {
				return c
			}
			a, b = a[1:], b[1:]
		}
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		i, j := digits(a), digits(b)
		if c := cmp.Or(cmp.Compare(i, j), strings.Compare(a[:i], b[:j])); c != 0 {
			return c
		}
		a, b = a[i:], b[j:]
	}
	return 0
}

// weight of the first character: a tilde before the end, the end before letters, letters before everything else.
func weight(s string) int {
	switch {
	case s == "" || digit(s[0]):
		return 0
	case s[0] == '~':
		return -1
	case 'A' <= s[0] && s[0] <= 'Z' || 'a' <= s[0] && s[0] <= 'z':
		return int(s[0])
	}
	return int(s[0]) + 256
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// digits is the length of the run of digits that s begins with.
func digits(s string) int {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	return n
}
