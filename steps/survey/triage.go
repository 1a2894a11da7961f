package survey

import (
	"context"
	"time"

	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/kube"
)

// Triage asks the API for what tells of trouble, as quickly as it can: the nodes, the pods of kube-system and what ails
// them, who leads, and kubeadm's ClusterConfiguration. Who leads is nil, and the configuration empty, if they could not be
// had. An error of the API comes back wrapped, as the client made it; the cluster has its address even then.
func Triage(ctx context.Context, client *kube.Client) (*Cluster, []kube.Complaint, error) {
	c := &Cluster{At: time.Now(), Server: client.Host(), Configs: map[string]map[string]string{}, Leaders: map[string]kube.Leader{}}
	var nodes []kube.Node
	var pods []kube.Pod
	var ill []kube.Complaint
	r := &reader{client: client, into: c}
	err := together(ctx,
		func(ctx context.Context) (err error) { nodes, err = client.Nodes(ctx); return err },
		func(ctx context.Context) (err error) {
			pods, ill, err = client.PodsAndComplaints(ctx, "kube-system")
			return err
		},
		func(ctx context.Context) error {
			if data, err := client.ConfigData(ctx, "kube-system", "kubeadm-config"); err == nil {
				c.Configs["kubeadm-config"] = data
			}
			return nil
		},
		func(ctx context.Context) error {
			if r.leaders(ctx) != nil {
				c.Leaders = nil
			}
			return nil
		},
	)
	if err != nil {
		return &Cluster{At: c.At, Server: c.Server}, nil, err
	}
	c.Census = census.Of(nodes, pods)
	return c, ill, nil
}
