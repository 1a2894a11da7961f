package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/printable"
	"upgrader.dev/upgrader/engine/private"
)

func logsCommand(c *console, g *global) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs RUN [HOST[/STEP]]",
		Short: "Show what the commands of a run put out on the hosts",
		Example: `  upgrader logs 1120-2241-k3f
  upgrader logs 1120-2241-k3f w1/workers/drain -f`,
		Args:              cobra.RangeArgs(1, 2),
		ValidArgsFunction: completeRuns(c, g),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := findRun(c, g, args[0])
			if err != nil {
				return err
			}
			host, step, _ := strings.Cut(strings.Join(args[1:], ""), "/")
			return logs(cmd.Context(), c, run, host, step, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on showing what comes until the run's process has ended")
	return cmd
}

// logs shows the logs of all steps, of a host's, or of one, in the order of the plan.
func logs(ctx context.Context, c *console, run listing, host, step string, follow bool) error {
	g, err := run.dir.graph()
	if err != nil {
		return err
	}
	var nodes []*engine.Node
	for i := range g.Nodes {
		n := &g.Nodes[i]
		inStep := step == "" || n.Step == step || strings.HasPrefix(n.Step, step+"/")
		if (host == "" || n.Target.Name == host) && inStep {
			nodes = append(nodes, n)
		}
	}
	if len(nodes) == 0 {
		return invalid("run %s has no step %q on host %q: `upgrader status %s` lists them", run.ID, step, host, run.ID)
	}
	t := &tailer{console: c, dir: run.dir, read: map[string]int64{}}
	for {
		ended := !follow || !journal.InUse(string(run.dir)) // looked at first, so that the last words are read after
		for _, n := range nodes {
			if err := t.more(n); err != nil {
				return err
			}
		}
		if ended {
			t.finish(follow)
			return nil
		}
		if err := lookAway(ctx); err != nil {
			return err
		}
	}
}

// A tailer shows what is new in log files, under a heading whenever the file changes.
type tailer struct {
	console *console
	dir     runDir
	read    map[string]int64 // bytes shown, by file
	now     string           // the file shown last
}

func (t *tailer) more(n *engine.Node) error {
	path := t.dir.log(n)
	f, err := private.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	seen := t.read[path]
	log, seen, err := unread(f, seen, mostLog)
	if err != nil || seen == t.read[path] {
		return err
	}
	t.read[path] = seen
	if t.now != path {
		t.now = path
		writeLine(t.console.out, t.console.style(t.console.out).bold("== "+printable.Text(n.Target.Name+" "+n.Step)))
	}
	return showLines(t.console.out, log)
}

// showLines copies raw output piece by piece, made safe, and ends its last line.
func showLines(to io.Writer, log io.Reader) error {
	piece := make([]byte, 64<<10)
	held, ended := 0, true
	for {
		n, err := log.Read(piece[held:])
		text, over := piece[:held+n], errors.Is(err, io.EOF)
		if err != nil && !over {
			return err
		}
		if !over {
			text = text[:whole(text)]
		}
		if len(text) > 0 {
			ended = text[len(text)-1] == '\n'
			if _, err := io.WriteString(to, escapeLines(string(text))); err != nil {
				return err
			}
		}
		if over {
			break
		}
		held = copy(piece, piece[len(text):held+n])
	}
	if !ended {
		writeLine(to, "")
	}
	return nil
}

// whole is how much of a piece of text can be read without what follows: not half a rune, nor half of "\r\n".
func whole(text []byte) int {
	n := len(text)
	for i := n - 1; i >= max(0, n-utf8.UTFMax); i-- {
		if utf8.RuneStart(text[i]) {
			if text[i] == '\r' || !utf8.FullRune(text[i:]) {
				return i
			}
			break
		}
	}
	return n
}

// escapeLines makes raw output safe, keeping its lines; the carriage return before a line's end means nothing.
func escapeLines(text string) string {
	return printable.Text(strings.ReplaceAll(text, "\r\n", "\n"))
}

func (t *tailer) finish(follow bool) {
	if t.now == "" && !follow {
		t.console.say("nothing was put out yet")
	}
}
