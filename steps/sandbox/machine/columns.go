package machine

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// allLines reads every input as one list of lines.
func (c *call) allLines(names []string) ([]string, int) {
	var all []string
	status := c.inputs(names, func(_ string, data []byte) int {
		for _, l := range splitLines(data) {
			all = append(all, strings.TrimSuffix(string(l), "\n"))
		}
		return 0
	})
	return all, status
}

// compareVersions compares text with numbers in it the way sort -V does for what versions look like.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		na, nb := leadingDigits(a), leadingDigits(b)
		if na > 0 && nb > 0 {
			if d := cmp.Compare(number(a[:na]), number(b[:nb])); d != 0 {
				return d
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func leadingDigits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

func sortLines(c *call) int {
	fl, names, ok := c.flags("urnVbs", "unique reverse numeric-sort version-sort", "kto", "key field-separator output", false)
	if !ok {
		return 2
	}
	all, status := c.allLines(names)
	key := func(s string) string { return s }
	if k := value(fl, "", "k", "key"); k != "" {
		field := int(number(strings.SplitN(k, ",", 2)[0]))
		sep := value(fl, "", "t", "field-separator")
		key = func(s string) string {
			parts := strings.Fields(s)
			if sep != "" {
				parts = strings.Split(s, sep)
			}
			if field < 1 || field > len(parts) {
				return ""
			}
			return parts[field-1]
		}
	}
	keyFlags := value(fl, "", "k", "key")
	compare := func(a, b string) int { return cmp.Compare(key(a), key(b)) }
	switch {
	case has(fl, "n", "numeric-sort") || strings.Contains(keyFlags, "n"):
		compare = func(a, b string) int { return cmp.Or(cmp.Compare(leading(key(a)), leading(key(b))), cmp.Compare(a, b)) }
	case has(fl, "V", "version-sort") || strings.Contains(keyFlags, "V"):
		compare = func(a, b string) int { return compareVersions(key(a), key(b)) }
	}
	slices.SortStableFunc(all, compare)
	if has(fl, "r", "reverse") || strings.Contains(keyFlags, "r") {
		slices.Reverse(all)
	}
	if has(fl, "u", "unique") {
		all = slices.Compact(all)
	}
	for _, l := range all {
		c.printf("%s\n", l)
	}
	return status
}

func leading(s string) float64 {
	s = strings.TrimSpace(s)
	n := 0
	for n < len(s) && strings.ContainsRune("-0123456789.", rune(s[n])) {
		n++
	}
	f, _ := strconv.ParseFloat(s[:n], 64)
	return f
}

func uniq(c *call) int {
	fl, names, ok := c.flags("cdu", "count repeated unique", "", "", false)
	if !ok {
		return 2
	}
	all, status := c.allLines(names)
	for i := 0; i < len(all); {
		n := 1
		for i+n < len(all) && all[i+n] == all[i] {
			n++
		}
		switch {
		case has(fl, "c", "count"):
			c.printf("%7d %s\n", n, all[i])
		case has(fl, "d", "repeated") && n == 1, has(fl, "u", "unique") && n > 1:
		default:
			c.printf("%s\n", all[i])
		}
		i += n
	}
	return status
}

// ranges reads a list of cut: 1,3-5,7-.
func ranges(spec string) func(int) bool {
	return func(n int) bool {
		for part := range strings.SplitSeq(spec, ",") {
			from, to, isRange := strings.Cut(part, "-")
			lo, hi := int(number(from)), int(number(to))
			if !isRange {
				hi = lo
			} else if to == "" {
				hi = 1 << 30
			}
			if n >= max(lo, 1) && n <= hi {
				return true
			}
		}
		return false
	}
}

func cut(c *call) int {
	fl, names, ok := c.flags("s", "only-delimited", "dfcb", "delimiter fields characters bytes output-delimiter", false)
	if !ok {
		return 2
	}
	sep := value(fl, "\t", "d", "delimiter")
	fields, chars := value(fl, "", "f", "fields"), value(fl, "", "c", "b", "characters", "bytes")
	if fields == "" && chars == "" {
		return c.fail(1, "you must specify a list of bytes, characters, or fields")
	}
	in := ranges(cmp.Or(fields, chars))
	all, status := c.allLines(names)
	for _, l := range all {
		if chars != "" {
			var kept []byte
			for i := range len(l) {
				if in(i + 1) {
					kept = append(kept, l[i])
				}
			}
			c.printf("%s\n", kept)
			continue
		}
		parts := strings.Split(l, sep)
		if len(parts) == 1 {
			if !has(fl, "s", "only-delimited") {
				c.printf("%s\n", l)
			}
			continue
		}
		var kept []string
		for i, p := range parts {
			if in(i + 1) {
				kept = append(kept, p)
			}
		}
		c.printf("%s\n", strings.Join(kept, value(fl, sep, "output-delimiter")))
	}
	return status
}
