package machine

import (
	"encoding/base64"
	"slices"
	"strings"
)

// trSet spells out a set of tr: ranges, classes and escapes.
func trSet(spec string) []byte {
	classes := map[string]string{
		"[:digit:]": "0123456789", "[:space:]": " \t\n\v\f\r", "[:blank:]": " \t",
		"[:lower:]": "abcdefghijklmnopqrstuvwxyz", "[:upper:]": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
	}
	classes["[:alpha:]"] = classes["[:lower:]"] + classes["[:upper:]"]
	classes["[:alnum:]"] = classes["[:digit:]"] + classes["[:alpha:]"]
	var set []byte
	for spec != "" {
		if end := strings.Index(spec, ":]"); strings.HasPrefix(spec, "[:") && end > 0 {
			if class, ok := classes[spec[:end+2]]; ok {
				set, spec = append(set, class...), spec[end+2:]
				continue
			}
		}
		var ch byte
		ch, spec = trChar(spec)
		if len(spec) > 1 && spec[0] == '-' {
			var last byte
			last, spec = trChar(spec[1:])
			for b := int(ch); b <= int(last); b++ {
				set = append(set, byte(b))
			}
			continue
		}
		set = append(set, ch)
	}
	return set
}

// trChar reads one character, which may be escaped.
func trChar(s string) (byte, string) {
	if s[0] != '\\' || len(s) == 1 {
		return s[0], s[1:]
	}
	n := 1
	value := 0
	for n < len(s) && n < 4 && s[n] >= '0' && s[n] <= '7' {
		value = value*8 + int(s[n]-'0')
		n++
	}
	if n > 1 {
		return byte(value), s[n:]
	}
	if i := strings.IndexByte("abfnrtv", s[1]); i >= 0 {
		return "\a\b\f\n\r\t\v"[i], s[2:]
	}
	return s[1], s[2:]
}

func tr(c *call) int {
	fl, sets, ok := c.flags("dscC", "delete squeeze-repeats complement", "", "", true)
	if !ok {
		return 2
	}
	if len(sets) == 0 || len(sets) == 1 && !has(fl, "d", "s", "delete", "squeeze-repeats") {
		return c.fail(1, "missing operand")
	}
	data, err := c.slurp("-")
	if err != nil {
		return c.fail(1, "read error: %v", err)
	}
	from := trSet(sets[0])
	if has(fl, "c", "C", "complement") {
		var rest []byte
		for b := range 256 {
			if !slices.Contains(from, byte(b)) {
				rest = append(rest, byte(b))
			}
		}
		from = rest
	}
	var to []byte
	if len(sets) > 1 {
		to = trSet(sets[1])
	}
	c.write(translate(data, from, to, has(fl, "d", "delete"), has(fl, "s", "squeeze-repeats")))
	return 0
}

func translate(data, from, to []byte, del, squeeze bool) []byte {
	squeezed := to
	if len(to) == 0 || del && len(to) > 0 {
		squeezed = to
	}
	if len(to) == 0 {
		squeezed = from
	}
	var out []byte
	for _, b := range data {
		if i := slices.Index(from, b); i >= 0 {
			if del {
				continue
			}
			if len(to) > 0 {
				b = to[min(i, len(to)-1)]
			}
		}
		if squeeze && len(out) > 0 && out[len(out)-1] == b && slices.Contains(squeezed, b) {
			continue
		}
		out = append(out, b)
	}
	return out
}

func encode(c *call) int {
	fl, names, ok := c.flags("di", "decode ignore-garbage", "w", "wrap", false)
	if !ok {
		return 2
	}
	return c.inputs(names, func(_ string, data []byte) int {
		if has(fl, "d", "decode") {
			plain, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(data)), ""))
			c.write(plain)
			if err != nil {
				return c.fail(1, "invalid input")
			}
			return 0
		}
		text, width := base64.StdEncoding.EncodeToString(data), int(number(value(fl, "76", "w", "wrap")))
		for width > 0 && len(text) > width {
			c.printf("%s\n", text[:width])
			text = text[width:]
		}
		c.printf("%s", text)
		if width > 0 {
			c.printf("\n")
		}
		return 0
	})
}
