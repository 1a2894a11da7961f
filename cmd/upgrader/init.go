package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/plans"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/preflight"
)

func initCommand(c *console) *cobra.Command {
	var at place
	var dir string
	var force, offline bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a plan and an inventory to begin with",
		Long: `Writes upgrade.yaml, the runbook for the cluster's next minor version, and inventory.yaml, its hosts by role. Without a
cluster (--offline) both are examples to be filled in. Files that are there already are left alone unless --force is given.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var nodes []kube.Node
			version := ""
			if !offline {
				w, err := connect(cmd.Context(), c, at, "")
				if err != nil {
					return fmt.Errorf("%w\nwithout a cluster: upgrader init --offline", err)
				}
				nodes = w.nodes
				if err := preflight.Roles(cmd.Context(), w.client); err != nil {
					return fmt.Errorf("looking for the groups of the inventory: %w", err)
				}
				if version, err = w.client.ServerVersion(cmd.Context()); err != nil {
					return err
				}
			}
			return initialise(c, at, dir, force, version, nodes)
		},
	}
	clusterFlags(cmd, &at.kubeconfig, &at.context)
	f := cmd.Flags()
	f.StringVar(&dir, "dir", ".", "where to write")
	f.BoolVar(&force, "force", false, "replace files that are there")
	f.BoolVar(&offline, "offline", false, "write examples without looking at a cluster")
	return cmd
}

func initialise(c *console, at place, dir string, force bool, version string, nodes []kube.Node) error {
	runbook, name, err := runbookFor(version)
	if err != nil {
		return err
	}
	files := []struct {
		name string
		data []byte
	}{{"upgrade.yaml", runbook}, {"inventory.yaml", []byte(inventoryText(nodes))}}
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if _, err := os.Lstat(path); !force && !errors.Is(err, fs.ErrNotExist) {
			return invalid("%s is there already and is left alone; --force replaces it", path)
		}
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.name), f.data, 0o600); err != nil {
			return fmt.Errorf("writing %s: %w", f.name, err)
		}
	}
	plan, inventory := filepath.Join(dir, "upgrade.yaml"), filepath.Join(dir, "inventory.yaml")
	c.say("wrote %s (from %s) and %s; look at both, then:", plan, name, inventory)
	next := fmt.Sprintf("upgrader run %s --inventory %s", plan, inventory)
	if at.kubeconfig != "" {
		next += " --kubeconfig " + at.kubeconfig
	}
	if at.context != "" {
		next += " --context " + at.context
	}
	writeLine(c.out, next+" --dry-run")
	return nil
}

// runbookFor is the runbook that begins at a version's minor; without a version, the first one.
func runbookFor(version string) (data []byte, name string, err error) {
	names := builtins()
	if len(names) == 0 {
		return nil, "", errors.New("no runbook comes with this program")
	}
	name = names[0]
	if version != "" {
		parts := strings.SplitN(version, ".", 3)
		begin := strings.Join(parts[:min(2, len(parts))], ".") + "-to-"
		name = ""
		for _, n := range names {
			if strings.HasPrefix(n, begin) {
				name = n
			}
		}
		if name == "" {
			return nil, "", invalid("no runbook comes with upgrader that begins at %s (there are %s): write one, or look for a newer upgrader", version, strings.Join(names, ", "))
		}
	}
	data, err = fs.ReadFile(plans.FS, name)
	return data, name, err
}

// inventoryText writes an inventory with comments, which no encoder does.
func inventoryText(nodes []kube.Node) string {
	var b strings.Builder
	b.WriteString(`# The hosts and how to reach them. What is left out comes from ~/.ssh/config.
apiVersion: upgrader.dev/v1
kind: Inventory

# ssh:
#   user: admin               # who logs in; sudo without a password is tried unless it is root
#   identityFile: ~/.ssh/id   # tried first; then the agent and the usual keys
#   proxyJump: bastion        # hosts to go through
#   sudo: env:SUDO_PASSWORD   # auto, never, or where the password is: env:NAME, file:PATH, cmd:COMMAND

hosts:                        # in the order in which plans count them: control-plane[0] is the first of its group
`)
	if len(nodes) == 0 {
		nodes = []kube.Node{{Name: "cp1", ControlPlane: true, InternalIP: "192.0.2.11"}, {Name: "w1", InternalIP: "192.0.2.21"}}
	}
	groups := map[bool][]string{}
	for _, n := range nodes {
		fmt.Fprintf(&b, "  - name: %s\n", n.Name)
		if n.InternalIP != "" {
			fmt.Fprintf(&b, "    address: %s\n", n.InternalIP)
		}
		if zone := n.Labels["topology.kubernetes.io/zone"]; zone != "" {
			fmt.Fprintf(&b, "    labels: {topology.kubernetes.io/zone: %q}\n", zone)
		}
		groups[n.ControlPlane] = append(groups[n.ControlPlane], n.Name)
	}
	fmt.Fprintf(&b, "\ngroups:\n  control-plane: [%s]\n  workers: [%s]\n", strings.Join(groups[true], ", "), strings.Join(groups[false], ", "))
	return b.String()
}
