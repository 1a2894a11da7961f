//go:build linux

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// Status writes what the lab consists of and where everything is. Of a cluster that does not answer it says so.
func (l *Lab) Status(ctx context.Context, w io.Writer) {
	fmt.Fprintf(w, "lab %s, made with Kubernetes %s\n\n", l.Name, l.Version)
	nodes, err := l.nodes(ctx)
	fmt.Fprintf(w, "%-5s %-13s %-9s %-10s %s\n", "HOST", "ADDRESS", "POWER", "KUBELET", "NODE")
	for _, name := range l.Hosts() {
		n := nodes[name]
		fmt.Fprintf(w, "%-5s %-13s %-9s %-10s %s\n", name, l.Address(name), l.power(name), orDash(n.version), orDash(n.state))
	}
	if err != nil {
		fmt.Fprintf(w, "\nthe API server does not answer: %v\n", err)
	}
	if running, err := l.serverRuns(); err != nil || !running {
		fmt.Fprintf(w, "\nthe lab's server (packages, images, balancers) is not running: `lab up` starts it\n")
	}
	fmt.Fprintf(w, "\ninventory   %s\nkubeconfig  %s\nkey         %s\nlogs        %s\nAPI server  https://%s\nservice     http://%s\n",
		l.Inventory(), l.Kubeconfig(), l.Key(), l.Logs(), l.at(apiPort), l.at(servicePort))
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func (l *Lab) power(name string) string {
	if h, err := l.Host(name); err != nil || !h.Running() {
		return "off"
	}
	return "on"
}

// A node is what the cluster says of a host.
type node struct{ version, state string }

func (l *Lab) nodes(ctx context.Context) (map[string]node, error) {
	text, err := output(l.Kubectl(ctx, "get", "nodes", "--request-timeout=3s", "--output", "json"))
	if err != nil {
		return nil, err
	}
	return parseNodes([]byte(text))
}

func parseNodes(text []byte) (map[string]node, error) {
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ Unschedulable bool }
			Status   struct {
				NodeInfo   struct{ KubeletVersion string }
				Conditions []struct{ Type, Status string }
			}
		}
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("reading the cluster's nodes: %w", err)
	}
	nodes := map[string]node{}
	for _, item := range list.Items {
		n := node{version: item.Status.NodeInfo.KubeletVersion, state: "NotReady"}
		for _, c := range item.Status.Conditions {
			if c.Type == "Ready" && c.Status == "True" {
				n.state = "Ready"
			}
		}
		if item.Spec.Unschedulable {
			n.state += ", cordoned"
		}
		nodes[item.Metadata.Name] = n
	}
	return nodes, nil
}
