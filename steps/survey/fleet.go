package survey

import (
	"context"
	"sync"

	"upgrader.dev/upgrader/steps/remote"
)

// atOnce is how many hosts are asked at the same time: enough for a fleet of hundreds within seconds, and no more
// connections in the making than a jump host's sshd takes (MaxStartups 10:30:100 of sshd_config counts unauthenticated
// ones, and the client's own limits spread these).
const atOnce = 64

// AskAll asks every host, many at a time, and returns the answers in the order of the names. then is called with each host
// that answered, from many goroutines.
func AskAll(ctx context.Context, hosts remote.Hosts, names []string, wanted func(name string) Wanted, then func(context.Context, *Host)) []*Host {
	answers := make([]*Host, len(names))
	places := make(chan struct{}, atOnce)
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			answers[i] = Ask(ctx, hosts, name, wanted(name))
			if answers[i].Err == nil {
				then(ctx, answers[i])
			}
		})
	}
	group.Wait()
	return answers
}
