package main

import (
	"fmt"

	"github.com/hashicorp/go-multierror"
	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/plan"
)

func validateCommand(c *console) *cobra.Command {
	var inventory string
	var vars []string
	cmd := &cobra.Command{
		Use:   "validate PLAN...",
		Short: "Find every mistake of a plan, without a cluster",
		Long: `Reads plans and reports every mistake at once, each with file:line:col and a suggestion. No network is used.
With --inventory the plan is also laid out over those hosts, which finds patterns that match none.`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completePlans,
		RunE: func(_ *cobra.Command, args []string) error {
			values, err := parseVars(vars)
			if err != nil {
				return err
			}
			return validate(c, args, inventory, values)
		},
	}
	cmd.Flags().StringVar(&inventory, "inventory", "", "hosts to lay the plan out over")
	cmd.Flags().StringArrayVar(&vars, "var", nil, "value of a variable, name=value; may be repeated")
	return cmd
}

func validate(c *console, paths []string, inventory string, vars map[string]string) error {
	catalog, err := offline()
	if err != nil {
		return err
	}
	var targets []engine.Target
	if inventory != "" {
		if targets, err = targetsFor(inventory); err != nil {
			return err
		}
	}
	var faults *multierror.Error
	for _, path := range paths {
		p, err := loadPlan(path, catalog)
		words := "valid"
		if err == nil && (inventory != "" || len(vars) > 0) {
			var g *engine.Graph
			if inventory == "" {
				targets, _ = targetsFor("")
			}
			g, err = p.Expand(plan.Options{Catalog: catalog, Targets: targets, Vars: vars})
			if err == nil && inventory != "" {
				words = fmt.Sprintf("valid, %s on %s", count(len(g.Nodes), "step"), count(len(targets), "host"))
			}
		}
		if err != nil {
			faults = multierror.Append(faults, asInvalid(err)) // as one: it lists its faults itself
			continue
		}
		writeLine(c.out, path+": "+words)
	}
	return asInvalid(faults.ErrorOrNil())
}
