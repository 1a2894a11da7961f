package main

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/schemas"
)

func schemaCommand(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "schema [plan|inventory]",
		Short: "Print the JSON Schema of plans or inventories, for editors and CI",
		Long: `Prints the JSON Schema of plans (or inventories). An editor uses it when the file begins with
  # yaml-language-server: $schema=plan.schema.json`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: []string{"plan", "inventory"},
		RunE: func(_ *cobra.Command, args []string) error {
			name := "plan"
			if len(args) == 1 {
				name = args[0]
			}
			data, err := fs.ReadFile(schemas.FS, name+".schema.json")
			if err != nil || strings.ContainsAny(name, "/.") {
				return invalid("there is no schema of %q: want plan or inventory", name)
			}
			_, err = fmt.Fprintf(c.out, "%s\n", strings.TrimSpace(string(data)))
			return err
		},
	}
}
