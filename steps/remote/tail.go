package remote

import (
	"strings"

	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/steps/redact"
)

// How much an error shows of a command's output: what fits a screen, a record and a sentence around it. The log has all.
const (
	tailLines = 20
	tailBytes = 3 << 10
	tailLine  = 512
	tailRead  = 64 << 10 // bytes looked at for it
)

// LastLines returns the last lines of a command's output as a person would have seen them, escaped: where a progress
// bar wrote over its line with carriage returns, only what was left standing. Of a long line it has head and tail, and no
// more than 20 lines or 3 KiB in all. What looks like a secret is left out: these lines are for people.
func LastLines(s string) string {
	s = redact.Likely(s)
	s = s[max(0, len(s)-tailRead):]
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(s, "\r\n", "\n"), "\r\n\t "), "\n")
	first, size := len(lines), 0
	for first > 0 && len(lines)-first < tailLines {
		line := leftStanding(lines[first-1])
		if size += len(line) + 1; size > tailBytes {
			break
		}
		first--
		lines[first] = line
	}
	return strings.Join(lines[first:], "\n")
}

func leftStanding(line string) string {
	line = strings.TrimRight(line, "\r")
	if i := strings.LastIndexByte(line, '\r'); i >= 0 {
		line = line[i+1:]
	}
	return printable.Cut(line, tailLine)
}

// cleaned is what every answer and every error of a host passes on its way out: nothing that a host says is shown as it
// came, nor what stands in its place and speaks its protocol.
func cleaned(r *Result, err *error) {
	r.Stdout, r.Stderr = printable.Text(r.Stdout), printable.Text(r.Stderr)
	*err = printable.Error(*err)
}
