package machine

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

// The commands of this file read and print text.

func textCommands() map[string]command {
	return map[string]command{
		"cat": cat, "head": head, "tail": tail, "wc": wc, "sort": sortLines, "uniq": uniq, "cut": cut, "tr": tr,
		"grep": grep, "egrep": grep, "fgrep": grep, "sed": sed, "tee": tee, "sha256sum": sum, "md5sum": sum,
		"basename": basename, "dirname": dirname, "od": od, "base64": encode, "printenv": printenv, "seq": seq, "cmp": cmpFiles,
	}
}

func cat(c *call) int {
	_, names, ok := c.flags("uv", "", "", "", false)
	if !ok {
		return 2
	}
	if len(names) == 0 && c.in != nil {
		stop := readable(c.ctx, c.in)
		defer stop()
		if _, err := io.Copy(c.out, c.in); err != nil {
			return 1
		}
		return 0
	}
	return c.inputs(names, func(_ string, data []byte) int {
		if _, err := c.out.Write(data); err != nil {
			return 1
		}
		return 0
	})
}

// count reads a number of head and tail; plus says that it began with +, less with -.
func count(s string) (n int64, plus, less bool) {
	unit := int64(1)
	for suffix, u := range map[string]int64{"k": 1024, "K": 1024, "M": 1 << 20, "KiB": 1024, "MiB": 1 << 20} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = rest, u
		}
	}
	return number(strings.TrimLeft(s, "+-")) * unit, strings.HasPrefix(s, "+"), strings.HasPrefix(s, "-")
}

// oldCount turns head -5 into head -n 5.
func (c *call) oldCount() {
	if len(c.args) > 1 && len(c.args[1]) > 1 && c.args[1][0] == '-' && c.args[1][1] >= '0' && c.args[1][1] <= '9' {
		c.args = slices.Concat(c.args[:1], []string{"-n", c.args[1][1:]}, c.args[2:])
	}
}

// splitLines cuts text after every line end.
func splitLines(data []byte) [][]byte {
	l := bytes.SplitAfter(data, []byte("\n"))
	if len(l[len(l)-1]) == 0 {
		l = l[:len(l)-1]
	}
	return l
}

func head(c *call) int {
	c.oldCount()
	fl, names, ok := c.flags("qv", "quiet verbose", "nc", "lines bytes", false)
	if !ok {
		return 2
	}
	if b := value(fl, "", "c", "bytes"); b != "" {
		n, _, less := count(b)
		if len(names) == 0 && !less && c.in != nil {
			_, _ = io.CopyN(c.out, c.in, n) // less than n is all there is
			return 0
		}
		return c.inputs(names, func(_ string, data []byte) int {
			if less {
				n = max(0, int64(len(data))-n)
			}
			c.write(data[:min(n, int64(len(data)))])
			return 0
		})
	}
	n, _, less := count(value(fl, "10", "n", "lines"))
	return c.inputs(names, func(_ string, data []byte) int {
		l := splitLines(data)
		keep := n
		if less {
			keep = max(0, int64(len(l))-n)
		}
		c.write(bytes.Join(l[:min(keep, int64(len(l)))], nil))
		return 0
	})
}

func tail(c *call) int {
	c.oldCount()
	fl, names, ok := c.flags("qv", "quiet", "nc", "lines bytes", false)
	if !ok {
		return 2
	}
	bytesWanted := value(fl, "", "c", "bytes")
	n, plus, _ := count(cmp.Or(bytesWanted, value(fl, "10", "n", "lines")))
	return c.inputs(names, func(_ string, data []byte) int {
		var parts [][]byte
		if bytesWanted == "" {
			parts = splitLines(data)
		}
		size := int64(len(parts))
		if bytesWanted != "" {
			size = int64(len(data))
		}
		from := max(0, size-n)
		if plus {
			from = min(size, max(0, n-1))
		}
		if bytesWanted != "" {
			c.write(data[from:])
		} else {
			c.write(bytes.Join(parts[from:], nil))
		}
		return 0
	})
}

func wc(c *call) int {
	fl, names, ok := c.flags("lcwm", "lines bytes words chars", "", "", false)
	if !ok {
		return 2
	}
	return c.inputs(names, func(name string, data []byte) int {
		var counts []string
		if has(fl, "l", "lines") || len(fl) == 0 {
			counts = append(counts, strconv.Itoa(bytes.Count(data, []byte("\n"))))
		}
		if has(fl, "w", "words") || len(fl) == 0 {
			counts = append(counts, strconv.Itoa(len(bytes.Fields(data))))
		}
		if has(fl, "c", "m", "bytes", "chars") || len(fl) == 0 {
			counts = append(counts, strconv.Itoa(len(data)))
		}
		if name != "-" {
			counts = append(counts, name)
		}
		c.printf("%s\n", strings.Join(counts, " "))
		return 0
	})
}

func tee(c *call) int {
	fl, names, ok := c.flags("a", "append", "", "", false)
	if !ok {
		return 2
	}
	outs, status := []io.Writer{c.out}, 0
	for _, name := range names {
		h, err := c.m.openFile(c.p, c.path(name), has(fl, "a", "append"), false)
		if err != nil {
			status = c.fail(1, "%s: %s", name, reason(err))
			continue
		}
		defer h.Close()
		outs = append(outs, h)
	}
	if c.in != nil {
		defer readable(c.ctx, c.in)()
		if _, err := io.Copy(io.MultiWriter(outs...), c.in); err != nil {
			return 1
		}
	}
	return status
}

func sum(c *call) int {
	fl, names, ok := c.flags("bct", "check status quiet", "", "", false)
	if !ok {
		return 2
	}
	hash := func(data []byte) string {
		if path.Base(c.args[0]) == "md5sum" {
			return fmt.Sprintf("%x", md5.Sum(data))
		}
		return fmt.Sprintf("%x", sha256.Sum256(data))
	}
	if !has(fl, "c", "check") {
		return c.inputs(names, func(name string, data []byte) int {
			c.printf("%s  %s\n", hash(data), name)
			return 0
		})
	}
	all, status := c.allLines(names)
	for _, l := range all {
		want, name, _ := strings.Cut(l, " ")
		name = strings.TrimLeft(name, " *")
		data, err := c.slurp(name)
		word := "OK"
		if err != nil || hash(data) != want {
			word, status = "FAILED", 1
		}
		if !has(fl, "status") && (!has(fl, "quiet") || word != "OK") {
			c.printf("%s: %s\n", name, word)
		}
	}
	return status
}

func basename(c *call) int {
	if len(c.args) < 2 {
		return c.fail(1, "missing operand")
	}
	b := path.Base(c.args[1])
	if len(c.args) > 2 && b != c.args[2] {
		b = strings.TrimSuffix(b, c.args[2])
	}
	c.printf("%s\n", b)
	return 0
}

func dirname(c *call) int {
	if len(c.args) < 2 {
		return c.fail(1, "missing operand")
	}
	for _, a := range c.args[1:] {
		c.printf("%s\n", path.Dir(a))
	}
	return 0
}

// od knows the one use that scripts have for it: od -An -tx1 [-v] [-N n] [-j n], bytes in hexadecimal.
func od(c *call) int {
	fl, names, ok := c.flags("v", "", "AtNjw", "address-radix format read-bytes skip-bytes width", false)
	if !ok {
		return 2
	}
	kind := value(fl, "", "t", "format")
	if kind != "x1" && kind != "u1" || value(fl, "", "A", "address-radix") != "n" {
		return c.unknown("od without -An -tx1 or -tu1")
	}
	limit := value(fl, "", "N", "read-bytes")
	return c.inputs(names, func(_ string, data []byte) int {
		data = data[min(len(data), int(number(value(fl, "0", "j", "skip-bytes")))):]
		if limit != "" {
			data = data[:min(len(data), int(number(limit)))]
		}
		for len(data) > 0 {
			row := data[:min(16, len(data))]
			data = data[len(row):]
			for _, b := range row {
				if kind == "x1" {
					c.printf(" %02x", b)
				} else {
					c.printf(" %3d", b)
				}
			}
			c.printf("\n")
		}
		return 0
	})
}

func printenv(c *call) int {
	if len(c.args) == 1 {
		for _, kv := range exported(c.env) {
			c.printf("%s\n", kv)
		}
		return 0
	}
	status := 0
	for _, name := range c.args[1:] {
		v := c.env.Get(name)
		if !v.Exported {
			status = 1
			continue
		}
		c.printf("%s\n", v.String())
	}
	return status
}

func seq(c *call) int {
	from, to := int64(1), int64(0)
	switch len(c.args) {
	case 2:
		to = number(c.args[1])
	case 3:
		from, to = number(c.args[1]), number(c.args[2])
	default:
		return c.unknown(strings.Join(c.args, " "))
	}
	for ; from <= to; from++ {
		c.printf("%d\n", from)
	}
	return 0
}

func cmpFiles(c *call) int {
	fl, names, ok := c.flags("s", "silent quiet", "", "", false)
	if !ok || len(names) != 2 {
		return 2
	}
	a, errA := c.slurp(names[0])
	b, errB := c.slurp(names[1])
	if errA != nil || errB != nil {
		return c.fail(2, "%s: No such file or directory", names[0])
	}
	if bytes.Equal(a, b) {
		return 0
	}
	if len(fl) == 0 {
		same := 0
		for same < min(len(a), len(b)) && a[same] == b[same] {
			same++
		}
		c.printf("%s %s differ: char %d, line %d\n", names[0], names[1], same+1, 1+bytes.Count(a[:same], []byte("\n")))
	}
	return 1
}
