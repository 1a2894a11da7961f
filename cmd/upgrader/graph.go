package main

import (
	"io"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/engine/plan"
)

// maxBoxes bounds a picture with a box for every step on every host, whose arrows are many more.
const maxBoxes = 1000

func graphCommand(c *console) *cobra.Command {
	var format, inventory string
	var vars []string
	var perHost bool
	cmd := &cobra.Command{
		Use:   "graph PLAN",
		Short: "Draw a plan as mermaid, dot or svg",
		Long: `Draws the steps of a plan and what waits for what. Without --inventory, over three control planes and five workers.
  upgrader graph plans/1.27-to-1.28.yaml -o svg > plan.svg`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completePlans,
		RunE: func(_ *cobra.Command, args []string) error {
			values, err := parseVars(vars)
			if err != nil {
				return err
			}
			return graph(c, args[0], format, inventory, values, perHost)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "mermaid", "mermaid, dot or svg")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"mermaid", "dot", "svg"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringVar(&inventory, "inventory", "", "hosts to lay the plan out over")
	cmd.Flags().StringArrayVar(&vars, "var", nil, "value of a variable, name=value; may be repeated")
	cmd.Flags().BoolVar(&perHost, "hosts", false, "a box per host and step instead of a box per step")
	return cmd
}

func graph(c *console, path, format, inventory string, vars map[string]string, perHost bool) error {
	render := map[string]func(drawing) string{"mermaid": drawing.mermaid, "dot": drawing.dot, "svg": drawing.svg}[format]
	if render == nil {
		return invalid("--output %q: want mermaid, dot or svg", format)
	}
	catalog, err := offline()
	if err != nil {
		return err
	}
	p, err := loadPlan(path, catalog)
	if err != nil {
		return err
	}
	targets, err := targetsFor(inventory)
	if err != nil {
		return err
	}
	g, err := p.Expand(plan.Options{Catalog: catalog, Targets: targets, Vars: vars})
	if err != nil {
		return asInvalid(err)
	}
	if perHost && len(g.Nodes) > maxBoxes {
		return invalid("a picture of %d boxes shows nothing to anybody: leave out --hosts, or give fewer hosts (at most %d boxes are drawn)", len(g.Nodes), maxBoxes)
	}
	_, err = io.WriteString(c.out, render(draw(g, perHost)))
	return err
}
