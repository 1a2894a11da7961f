package machine

import (
	"bytes"
	"errors"
	"io"

	"mvdan.cc/sh/v3/syntax"
)

// shellInput runs what comes over the standard input. As any shell does, it runs a group of commands as soon as it is
// whole, and waits for the next. Unlike in others, nothing of a group lasts: whoever sends several puts each in a subshell.
func (c *call) shellInput(options, params []string) int {
	if c.in == nil {
		return 0
	}
	defer readable(c.ctx, c.in)()
	var text []byte
	status, part := 0, make([]byte, 32<<10)
	for {
		n, err := c.in.Read(part)
		text = append(text, part[:n]...)
		if err != nil && !errors.Is(err, io.EOF) {
			return 130
		}
		if err != nil && len(text) == 0 {
			return status
		}
		whole, fault := c.group(text)
		if err == nil && !whole {
			continue
		}
		status = c.shell(string(text), "sh", options, params)
		if err != nil || fault != nil || c.ctx.Err() != nil {
			return status
		}
		text = nil
	}
}

// group says whether a text is a whole group of commands between braces at the margin. What no further line can repair is
// whole too, and has a fault.
func (c *call) group(text []byte) (whole bool, fault error) {
	if !bytes.HasPrefix(text, []byte("{\n")) || !bytes.HasSuffix(text, []byte("\n}\n")) {
		return false, nil
	}
	_, fault = c.m.cfg.Common.script(string(text), "sh")
	return !syntax.IsIncomplete(fault), fault
}
