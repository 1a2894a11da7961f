package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/doctor"
	"upgrader.dev/upgrader/steps/identity"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/survey"
)

// doctorOptions are the flags of doctor.
type doctorOptions struct {
	place
	output string
}

func doctorCommand(c *console) *cobra.Command {
	o := &doctorOptions{}
	cmd := &cobra.Command{
		Use:   "doctor [HOST]",
		Short: "Say what is wrong with a cluster in trouble, and what to do next",
		Long: `Looks at every host, or at one, at etcd and at the API, and says which component does not run where, what its log says,
which known failure that is, and the next command. It needs no plan and changes nothing. The API may be away: give
--inventory then, since nobody else can say which hosts there are. Exits with 0 if nothing was found, with 1 if something
is wrong, with 3 if it could not look, with 130 if it was interrupted.`,
		Example: `  upgrader doctor
  upgrader doctor cp2 --inventory prod.yaml
  upgrader doctor --inventory prod.yaml --output json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			only := ""
			if len(args) > 0 {
				only = args[0]
			}
			return o.doctor(cmd.Context(), c, only)
		},
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", reportText, "text or json")
	cmd.Flags().StringVar(&o.inventory, "inventory", "", "hosts and how to reach them (default: the cluster's nodes, by ~/.ssh/config)")
	clusterFlags(cmd, &o.kubeconfig, &o.context)
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{reportText, reportJSON}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *doctorOptions) doctor(ctx context.Context, c *console, only string) error {
	if o.output != reportText && o.output != reportJSON {
		return invalid("--output %q: want text or json", o.output)
	}
	visit, err := o.visit(ctx, c, only)
	if err != nil {
		return err
	}
	if err := visit.write(c, o.output); err != nil {
		return err
	}
	if n := len(visit.Diagnoses); n > 0 {
		return &illError{n}
	}
	return nil
}

// An illError is the answer where something is wrong.
type illError struct{ found int }

func (e *illError) Error() string {
	if e.found == 1 {
		return "1 thing is not well"
	}
	return fmt.Sprintf("%d things are not well", e.found)
}

// A visit is what the doctor found.
type visit struct {
	Cluster   string             `json:"cluster,omitempty"` // the address of its API
	API       string             `json:"api,omitempty"`     // why it does not answer
	Hosts     int                `json:"hosts"`
	Took      float64            `json:"seconds"`
	Diagnoses []doctor.Diagnosis `json:"diagnoses"`
}

// visit looks at the hosts: those of the inventory, or the cluster's nodes.
func (o *doctorOptions) visit(ctx context.Context, c *console, only string) (*visit, error) {
	client, err := o.client(c, "")
	if err != nil && (o.inventory == "" || o.kubeconfig != "") {
		return nil, asInvalid(err)
	}
	if err != nil {
		client = nil // without a kubeconfig the hosts still tell most of it
	}
	inventory, err := o.hosts(ctx, client)
	if err != nil {
		return nil, err
	}
	patients, err := patientsOf(inventory, only)
	if err != nil {
		return nil, err
	}
	var api *kube.Client
	if client != nil {
		api = client.ReadOnly()
	}
	fleet := newFleet(inventory, identity.Sources{Cluster: api}, func(warning string) { c.say("%s", warning) })
	defer closeQuietly(fleet)
	eyes := survey.Eyes{Hosts: fleet.ReadOnly(), Cluster: api}
	began := time.Now()
	picture, err := doctor.Look(ctx, eyes, patients)
	if err != nil {
		return nil, fmt.Errorf("looking at the cluster: %w", err)
	}
	v := &visit{Hosts: len(patients), Took: time.Since(began).Seconds(), Diagnoses: doctor.Diagnose(picture)}
	v.Diagnoses = slices.DeleteFunc(v.Diagnoses, func(d doctor.Diagnosis) bool {
		return only != "" && d.Host != only && d.Host != engine.Cluster
	})
	if picture.Cluster != nil {
		v.Cluster = picture.Cluster.Server
	}
	if picture.Away != nil {
		v.API = picture.Away.Error()
	}
	return v, nil
}

// hosts are those of the inventory. Without one the API has to name them, and be there for that.
func (o *doctorOptions) hosts(ctx context.Context, client *kube.Client) (*remote.Inventory, error) {
	if o.inventory != "" {
		inventory, err := remote.LoadInventoryOf(o.inventory, cmp.Or(o.beside, filepath.Dir(o.inventory)))
		return inventory, asInvalid(err)
	}
	nodes, err := nodesOf(ctx, client)
	if err != nil {
		return nil, invalid("the API at %s does not tell which hosts there are: %w; name them with --inventory FILE (write one with `upgrader init`), and the API may stay away", client.Host(), err)
	}
	return inventoryOf(nodes), nil
}

// nodesOf asks the API which nodes there are, for as long as a person would wait.
func nodesOf(ctx context.Context, client *kube.Client) ([]kube.Node, error) {
	if err := client.Login(ctx); err != nil { // whoever has to log in for it may take longer
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer within %s", patience))
	defer cancel()
	return client.Nodes(ctx)
}

// patientsOf are the hosts of an inventory, or the one that was asked for.
func patientsOf(inventory *remote.Inventory, only string) ([]doctor.Patient, error) {
	var all []doctor.Patient
	var names []string
	for _, t := range inventory.Targets() {
		names = append(names, t.Name)
		if only == "" || t.Name == only {
			all = append(all, doctor.Patient{Name: t.Name, ControlPlane: t.In(engine.ControlPlane)})
		}
	}
	if len(all) == 0 && only != "" {
		return nil, invalid("no host is called %q; there are %v", only, names)
	}
	if len(all) == 0 {
		return nil, asInvalid(errors.New("there is no host to look at"))
	}
	return all, nil
}

func (v *visit) write(c *console, form string) error {
	if form == reportJSON {
		if v.Diagnoses == nil {
			v.Diagnoses = []doctor.Diagnosis{}
		}
		out := json.NewEncoder(c.out)
		out.SetIndent("", "  ")
		return out.Encode(v)
	}
	width, _ := c.size()
	for _, line := range v.page(c.style(c.out), max(width, 40)) {
		writeLine(c.out, line)
	}
	return nil
}
