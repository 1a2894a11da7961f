package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/approval"
)

func statusCommand(c *console, g *global) *cobra.Command {
	var output string
	var watch bool
	cmd := &cobra.Command{
		Use:   "status [RUN]",
		Short: "Show how far a run is",
		Long: `Shows a run: the newest, or the one named by its ID or the beginning of it. The state is running, paused (resumable,
also after its process died), failed or done.`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRuns(c, g),
		RunE: func(cmd *cobra.Command, args []string) error {
			run, err := findRun(c, g, strings.Join(args, ""))
			if err != nil {
				return err
			}
			if output != "" && output != outputJSON && output != outputPlain && output != outputTTY {
				return invalid("--output %q: want tty, plain or json", output)
			}
			return status(cmd.Context(), c, run, output, watch)
		},
	}
	outputFlag(cmd, &output)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show it until the run has ended")
	return cmd
}

// glance is the time between two looks at a run that goes on.
const glance = 500 * time.Millisecond

// lookAway waits until it is time for the next look.
func lookAway(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(glance):
		return nil
	}
}

// status shows a run once, or again and again until no process is at work on it.
func status(ctx context.Context, c *console, run listing, output string, watch bool) error {
	g, err := run.dir.graph()
	if err != nil {
		return err
	}
	seen := run.dir.follow(g)
	for drawn := 0; ; {
		p, err := seen.look()
		if err != nil {
			return err
		}
		summary := run.dir.stateOf(p.Summary())
		if !watch || summary.State != engine.Running {
			clearLines(c.out, drawn)
			return writeStatus(c, run.manifest, summary, output)
		}
		if isTerminal(c.out) && output != outputJSON {
			clearLines(c.out, drawn)
			width, height := c.size()
			head := heading{Run: run.ID, Plan: g.Plan, Cluster: run.Cluster.String(), From: g.From, To: g.To, Begun: run.Created}
			lines := screen{head: head, style: c.style(c.out)}.lines(p, time.Now(), width, height)
			for _, line := range lines[:len(lines)-1] { // the last one speaks of this process's keys
				writeLine(c.out, line)
			}
			drawn = len(lines) - 1
		}
		if err := lookAway(ctx); err != nil {
			return err
		}
	}
}

func clearLines(out *outlet, n int) {
	if n > 0 {
		out.Over(n, "")
	}
}

// A statusPage is the answer of `status --output json`. Its fields are part of the program's interface.
type statusPage struct {
	Run     string       `json:"run"`
	Plan    string       `json:"plan"`
	Cluster string       `json:"cluster"`
	State   string       `json:"state"` // running, paused, failed or done
	Steps   []statusStep `json:"steps"`
}

type statusStep struct {
	Step     string    `json:"step"`
	Host     string    `json:"host"`
	State    string    `json:"state"`
	Attempts int       `json:"attempts"`
	Started  time.Time `json:"started,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
	Message  string    `json:"message"`
	Decided  string    `json:"decided,omitempty"` // what a person said last, and who it was
}

func newStatusPage(m manifest, summary engine.Summary) statusPage {
	page := statusPage{Run: m.ID, Plan: m.Plan, Cluster: m.Cluster.String(), State: summary.State, Steps: []statusStep{}}
	for _, n := range summary.Nodes {
		page.Steps = append(page.Steps, statusStep{n.Step, n.Host, n.State, n.Attempts, n.Started, n.Ended, n.Message, n.Decided})
	}
	return page
}

func writeStatus(c *console, m manifest, summary engine.Summary, output string) error {
	if output == outputJSON {
		enc := json.NewEncoder(c.out)
		enc.SetIndent("", "  ")
		return enc.Encode(newStatusPage(m, summary))
	}
	for _, line := range statusLines(m, summary, c.style(c.out), time.Now()) {
		writeLine(c.out, line)
	}
	return nil
}

// statusLines is the answer for people: the run in two lines, then a row per step.
func statusLines(m manifest, summary engine.Summary, st style, now time.Time) []string {
	lines := []string{
		fmt.Sprintf("run %s  %s  on %s", m.ID, oneLine(m.Plan), oneLine(m.Cluster.String())),
		"state: " + summary.State + colon(oneLine(summary.Why)),
		"",
	}
	rows := [][]string{{"", "STEP", "HOST", "STATE", "TIME", ""}}
	for _, n := range summary.Nodes {
		took := ""
		switch {
		case n.Started.IsZero(): // it may have failed before it began
		case !n.Ended.IsZero():
			took = spell(n.Ended.Sub(n.Started))
		case n.State != engine.Pending:
			took = spell(now.Sub(n.Started))
		}
		rows = append(rows, []string{st.mark(n.State), oneLine(n.Step), oneLine(n.Host), n.State, took, oneLine(cmp.Or(n.Message, n.Decided))})
	}
	lines = append(lines, columns(rows)...)
	return append(lines, nextWords(m, summary)...)
}

// nextWords is what continues a run: nothing, if its pretend cluster is gone; and first an answer, if it is one that is missing.
func nextWords(m manifest, summary engine.Summary) []string {
	if summary.State != engine.Paused && summary.State != engine.Failed {
		return nil
	}
	if m.Sandbox {
		return []string{"", "its pretend cluster ended with its process; `upgrader sandbox` makes one that stays"}
	}
	lines := []string{""}
	for _, n := range undecided(summary) {
		lines = append(lines, "decide with: "+answerWith(m.ID, &n))
	}
	for _, n := range summary.Nodes {
		if engine.AsksLate(n.Message) {
			lines = append(lines, "decide with: "+answerWith(m.ID, &n))
		}
	}
	return append(lines, "go on with: upgrader resume "+m.ID)
}

// answerWith is the command that answers what a node asks.
func answerWith(run string, n *engine.NodeStatus) string {
	command := "upgrader approve " + run + " " + n.ID
	if n.Kind != approval.Kind && engine.AsksLate(n.Message) {
		command += " --wait, or --skip, or --stop"
	}
	return command
}
