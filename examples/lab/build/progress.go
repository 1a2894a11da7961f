//go:build linux

package build

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	redraw   = time.Second // of the line on a terminal
	reminder = time.Minute // between lines elsewhere
	// usualWidth is that of a terminal that does not know its own.
	usualWidth = 80
)

// A progress shows what is being made: on a terminal in one line that changes, elsewhere in a line now and then.
type progress struct {
	out   io.Writer
	width int // of the terminal; 0: none
	now   func() time.Time

	mu    sync.Mutex
	name  string
	began time.Time
	half  []byte // of a line of output that has not ended
	last  string // line of output
	done  int    // packages compiled
	most  int    // packages to compile, if Go's build cache has none of them; 0: nothing is compiled
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, now: time.Now}
	if f, ok := out.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
			p.width = cmp.Or(int(size.Col), usualWidth)
		}
	}
	return p
}

// say prints a line, in the place of the one that changes.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.out, p.clear()+format+"\n", args...)
}

// watch shows a part while it is made; what it returns ends that, with a word on how.
func (p *progress) watch(name, log string) (done func(how string)) {
	p.begin(name, log)
	every := reminder
	if p.width > 0 {
		every = redraw
	}
	tick, stop := time.NewTicker(every), make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-tick.C:
				p.tick()
			case <-stop:
				return
			}
		}
	})
	return func(how string) {
		tick.Stop()
		close(stop)
		wait.Wait()
		p.end(how)
	}
}

func (p *progress) begin(name, log string) {
	p.mu.Lock()
	p.name, p.began, p.half, p.last, p.done, p.most = name, p.now(), nil, "", 0, 0
	p.mu.Unlock()
	if p.width == 0 {
		p.say("%s: begun, output in %s", name, log)
	} else {
		p.tick()
	}
}

// expect says that from now on output is packages that are compiled, and how many there can be.
func (p *progress) expect(packages int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.most, p.last = packages, ""
}

func (p *progress) end(how string) {
	p.say("%s: %s %s", p.name, how, seconds(p.now().Sub(p.began)))
}

// tick shows how far it is.
func (p *progress) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := []rune(p.state())
	if p.width == 0 {
		fmt.Fprintln(p.out, string(line))
		return
	}
	fmt.Fprint(p.out, p.clear()+string(line[:min(len(line), p.width-1)]))
}

func (p *progress) state() string {
	line := fmt.Sprintf("%s: %s", p.name, seconds(p.now().Sub(p.began)))
	if p.most > 0 {
		line += fmt.Sprintf(", compiled %d of at most %d packages", p.done, p.most)
	}
	if p.last != "" {
		line += ", now " + p.last
	}
	return line
}

func (p *progress) clear() string {
	if p.width == 0 {
		return ""
	}
	return "\r\x1b[K"
}

// Write takes the output of the commands: go build prints each package that it compiles, debootstrap each step.
func (p *progress) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.half = append(p.half, data...)
	for {
		line, rest, ended := bytes.Cut(p.half, []byte("\n"))
		if !ended {
			return len(data), nil
		}
		p.half = rest
		p.line(strings.TrimSpace(string(line)))
	}
}

func (p *progress) line(text string) {
	isPackage := !strings.ContainsAny(text, " #")
	switch {
	case text == "" || p.most > 0 && !isPackage: // a blank, or something that go build has to say
	case p.most > 0:
		p.last, p.done = text, p.done+1
	default:
		p.last = strings.TrimPrefix(text, "I: ") // debootstrap's, for information
	}
}
