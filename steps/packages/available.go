package packages

import (
	"context"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/remote"
)

const availableDoc = `Makes sure that exact revisions of packages can be installed on a host, before anything is changed.
It observes what the host's repositories offer, by the lists that apt has, and who holds a lock; it fetches nothing and
changes nothing. It refuses when a revision is not on offer, and names what is. It waits while somebody else uses apt or dpkg,
and says who, until the step's timeout: better here than with a drained host. What is installed already needs neither.`

type available struct {
	hosts    remote.Hosts
	Packages revisions `yaml:"packages" required:"true" doc:"Exact revision of each package, such as {kubeadm: 1.28.15-1.1}."`
}

// Validate checks the names and the form of the revisions.
func (a *available) Validate() error { return a.Packages.validate() }

// Gate marks the kind as one that a resume observes again.
func (a *available) Gate() {}

func (a *available) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	host := s.Target.Name
	w, err := look(ctx, a.hosts, host, a.Packages.names())
	if err != nil {
		return nil, err
	}
	wanted := revisions{}
	for name, rev := range a.Packages {
		if !w.has(name, rev) {
			wanted[name] = rev
		}
	}
	if err := w.missing(wanted, s.Promised(facts.Repository(host))); err != nil || len(wanted) == 0 {
		return nil, err
	}
	return nil, busy(w)
}
