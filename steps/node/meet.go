package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"upgrader.dev/upgrader/steps/remote"
)

// shyness is how long a host may take to answer before its node is taken out of service without it. One that is dead is given
// up sooner, by its connectTimeout; one that is only slow to log in, as where a name server is away, is alive and has to be met.
const shyness = 30 * time.Second

// meet refuses to take a node out of service when another machine answers at its host's address: what the node is emptied for
// would be done elsewhere. A host that does not answer at all is no reason, since nodes of dead hosts are drained too.
func meet(ctx context.Context, hosts remote.Hosts, name string) error {
	if hosts == nil {
		return nil
	}
	h, err := hosts.Host(name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, shyness, fmt.Errorf("no answer within %s", shyness))
	defer cancel()
	_, err = h.Query(ctx, remote.Script{Text: "true", AsUser: true})
	if stranger, ok := errors.AsType[*remote.StrangerError](err); ok {
		return stranger
	}
	return nil
}
