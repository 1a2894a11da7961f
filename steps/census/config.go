package census

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/skew"
)

// Config is what matters here of kubeadm's ClusterConfiguration.
type Config struct {
	Version         skew.Version // kubernetesVersion: written by `kubeadm upgrade apply` once the first control plane is done
	EtcdTag         string       // etcd.local.imageTag: set by an operator who pins etcd, and then kubeadm never moves it
	DNSTag          string       // dns.imageTag: likewise for CoreDNS
	ImageRepository string       // where images come from; empty: registry.k8s.io
	Stacked         bool         // etcd runs as a static pod of the control plane
	External        bool         // etcd runs elsewhere
}

// ConfigSource is what kubeadm's configuration is read from.
type ConfigSource interface {
	ConfigData(ctx context.Context, namespace, name string) (map[string]string, error)
}

// ReadConfig reads the ConfigMap kube-system/kubeadm-config.
func ReadConfig(ctx context.Context, from ConfigSource) (Config, error) {
	data, err := from.ConfigData(ctx, "kube-system", "kubeadm-config")
	if err != nil {
		return Config{}, missing(err)
	}
	text := data["ClusterConfiguration"]
	version, _ := lookup(text, "kubernetesVersion")
	c := Config{}
	c.Version = skew.Reported(version)
	c.EtcdTag, _ = lookup(text, "etcd", "local", "imageTag")
	c.DNSTag, _ = lookup(text, "dns", "imageTag")
	c.ImageRepository, _ = lookup(text, "imageRepository")
	_, c.Stacked = lookup(text, "etcd", "local")
	_, c.External = lookup(text, "etcd", "external")
	return c, nil
}

// lookup finds a scalar by its keys in YAML that kubeadm wrote, which is nested block mappings of plain scalars, keys
// sorted, as sigs.k8s.io/yaml prints them. It is no YAML parser and need not be one: nobody but kubeadm writes here
// without breaking kubeadm.
func lookup(text string, keys ...string) (value string, ok bool) {
	edges := []int{0} // the column of each mapping gone into; -1 until its first line shows it
	for line := range strings.Lines(text) {
		key, rest, found := strings.Cut(strings.TrimSpace(line), ":")
		if !found || key == "" || key[0] == '#' || key[0] == '-' {
			continue
		}
		indent := len(line) - len(strings.TrimLeft(line, " "))
		for len(edges) > 1 && indent <= edges[len(edges)-2] {
			edges = edges[:len(edges)-1]
		}
		depth := len(edges) - 1
		if edges[depth] < 0 {
			edges[depth] = indent
		}
		if indent != edges[depth] || key != keys[depth] {
			continue
		}
		if depth == len(keys)-1 {
			return strings.Trim(strings.TrimSpace(rest), `"'`), true
		}
		edges = append(edges, -1)
	}
	return "", false
}

// missing refuses a cluster that kubeadm does not know.
func missing(err error) error {
	if errors.Is(err, kube.ErrNotFound) {
		return engine.Refuse("the cluster has no ConfigMap kube-system/kubeadm-config, so kubeadm cannot upgrade it",
			"write it again with `kubeadm init phase upload-config kubeadm --config FILE`")
	}
	return fmt.Errorf("reading kubeadm-config: %w", err)
}
