package packages

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"upgrader.dev/upgrader/steps/inquiry"
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

// about is the question's name.
const about = "packages"

// Question is what a host is asked about these packages, beside other things; Read has the answer.
func Question(names []string) inquiry.Question {
	return inquiry.Question{Name: about, Text: "section " + about + "\n" + locksSh + lookSh, Env: map[string]string{"PACKAGES": strings.Join(names, " ")}}
}

// Read finds the answer to Question among those of a host. It refuses, with an engine.RefusedError, hosts that have no apt.
func Read(host string, answers map[string]inquiry.Answer) (*State, error) {
	a, told := answers[about]
	switch {
	case !told || len(a.Sections) == 0:
		return nil, fmt.Errorf("%s tells nothing of its packages", host)
	case a.Code != 0:
		return nil, fmt.Errorf("looking at the packages of %s: exit status %d: %s", host, a.Code, strings.Join(a.Complaints, "\n"))
	}
	w, err := readWorld(host, strings.Join(a.Sections[0].Answers, "\n"))
	if err != nil {
		return nil, err
	}
	return w.tell(), nil
}

// tell is what others than this family may know.
func (w *world) tell() *State {
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
	return s
}
