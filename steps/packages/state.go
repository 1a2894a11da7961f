package packages

import (
	"context"
	"maps"
	"slices"

	"upgrader.dev/upgrader/steps/remote"
)

// A State is how the packages of a host are, for who looks and does not want to change them.
type State struct {
	Installed map[string]string   // revision of each package asked for that is there
	Held      []string            // those of them that are held
	Offered   map[string][]string // revisions that the host's package lists have, newest first
	Broken    []string            // packages that dpkg was interrupted in configuring, with their state; installing goes on with them
	Stuck     []string            // packages that it was interrupted in unpacking: only installing them again repairs them
	Orphan    string              // a maintainer script that outlived its dpkg: "pid 4711: sh ..."
	Journal   bool                // dpkg left updates unmerged: apt refuses until `dpkg --configure -a`
	Lock      string              // who holds a lock of apt or dpkg: "unattended-upgr (pid 812)"
}

// Look tells the state of these packages on a host. It refuses, with an engine.RefusedError, hosts that have no apt.
func Look(ctx context.Context, hosts remote.Hosts, host string, names []string) (*State, error) {
	w, err := look(ctx, hosts, host, names)
	if err != nil {
		return nil, err
	}
	s := &State{Installed: map[string]string{}, Offered: map[string][]string{}, Broken: w.broken, Stuck: w.stuck, Orphan: w.orphan, Journal: w.journal, Lock: w.lock}
	for _, name := range slices.Sorted(maps.Keys(w.states)) {
		state := w.states[name]
		if state.installed() {
			s.Installed[name] = state.revision
		}
		if state.held() {
			s.Held = append(s.Held, name)
		}
	}
	for name, offers := range w.offers {
		for _, o := range offers {
			s.Offered[name] = append(s.Offered[name], o.revision)
		}
	}
	return s, nil
}
