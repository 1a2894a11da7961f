package main

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/spf13/cobra"
)

func runsCommand(c *console, g *global) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "runs",
		Short: "List the runs, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := stateDir(g.stateDir, c.env)
			if err != nil {
				return err
			}
			return runs(c, s, output)
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

// A runLine is a run in the list.
type runLine struct {
	Run     string    `json:"run"`
	Plan    string    `json:"plan"`
	Cluster string    `json:"cluster"`
	State   string    `json:"state"`
	Created time.Time `json:"created"`
}

func runs(c *console, s store, output string) error {
	if _, err := c.outputMode(output); err != nil {
		return err
	}
	list, err := s.list()
	if err != nil {
		return err
	}
	lines := []runLine{}
	for _, r := range list {
		_, summary, err := r.dir.summary()
		state := summary.State
		if err := cmp.Or(r.broken, err); err != nil {
			state = "damaged: " + err.Error()
		}
		lines = append(lines, runLine{r.ID, r.Plan, r.Cluster.String(), state, r.Created})
	}
	if output == outputJSON {
		enc := json.NewEncoder(c.out)
		enc.SetIndent("", "  ")
		return enc.Encode(lines)
	}
	rows := [][]string{{"RUN", "PLAN", "CLUSTER", "BEGUN", "STATE"}}
	for _, l := range lines {
		rows = append(rows, []string{l.Run, oneLine(l.Plan), oneLine(l.Cluster), l.Created.Local().Format(time.DateTime), oneLine(l.State)})
	}
	for _, line := range columns(rows) {
		writeLine(c.out, line)
	}
	return nil
}
