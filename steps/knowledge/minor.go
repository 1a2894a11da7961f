package knowledge

import (
	"fmt"
	"strconv"
	"strings"
)

// A Minor is a minor version of Kubernetes by its second number: 27 for 1.27. The zero Minor is "none".
type Minor int

// ParseMinor reads "1.27".
func ParseMinor(s string) (Minor, error) {
	digits, ok := strings.CutPrefix(s, "1.")
	n, err := strconv.ParseUint(digits, 10, 8)
	if !ok || err != nil || digits != strconv.FormatUint(n, 10) || n == 0 {
		return 0, fmt.Errorf("%q is not a minor version of Kubernetes: want one such as 1.27", s)
	}
	return Minor(n), nil
}

// String returns "1.27", or "none" for the zero Minor.
func (m Minor) String() string {
	if m == 0 {
		return "none"
	}
	return "1." + strconv.Itoa(int(m))
}

// UnmarshalText reads "1.27".
func (m *Minor) UnmarshalText(text []byte) (err error) {
	*m, err = ParseMinor(string(text))
	return err
}

// within tells whether an upgrade from one minor to another meets m: it is newer than the first and not newer than the
// last.
func (m Minor) within(after, upTo Minor) bool { return after < m && m <= upTo }
