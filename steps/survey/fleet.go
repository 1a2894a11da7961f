package survey

import (
	"context"
	"sync"

	"upgrader.dev/upgrader/steps/kube"
	"upgrader.dev/upgrader/steps/remote"
)

// Eyes are what a cluster is looked at with, by preflight and by doctor. Who has them only ever reads through them.
type Eyes struct {
	Hosts   remote.Hosts
	Cluster *kube.Client // nil: there is no kubeconfig, and the API is not asked
}

// atOnce is how many hosts are asked at the same time: enough for a fleet of hundreds within seconds, and no more
// connections in the making than a jump host's sshd takes (MaxStartups 10:30:100 of sshd_config counts unauthenticated
// ones, and the client's own limits spread these).
const atOnce = 64

// Ask asks every host once, many at a time, and returns the answers in the order of the names.
func (e Eyes) Ask(ctx context.Context, names []string, wanted func(name string) Wanted) []*Host {
	answers := make([]*Host, len(names))
	places := make(chan struct{}, atOnce)
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			answers[i] = Ask(ctx, e.Hosts, name, wanted(name))
		})
	}
	group.Wait()
	return answers
}
