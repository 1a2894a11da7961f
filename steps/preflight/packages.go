package preflight

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"upgrader.dev/upgrader/steps/finding"
	"upgrader.dev/upgrader/steps/packages"
	"upgrader.dev/upgrader/steps/survey"
)

func keys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }

// offered: every revision that the plan installs can be had on every host it is for: by the lists that apt has, or, where
// the plan moves the repository, by what that one offers.
func offered(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		goal, state := v.Goal.Host(h.Name), v.Packages[h.Name]
		if state == nil || goal.Repository && noCurl(h.Apt.Unreachable) { // packages.available will see
			continue
		}
		var lacking, seen []string
		for _, name := range slices.Sorted(keys(goal.Revisions)) {
			if want := goal.Revisions[name]; want != "" && !available(h, goal, state, name, want) {
				lacking = append(lacking, name+" "+want)
				seen = append(seen, name+": "+few(choices(h, goal, state, name)))
			}
		}
		if len(lacking) > 0 {
			found = append(found, unavailable(h, goal, lacking, seen))
		}
	}
	return found
}

func available(h *survey.Host, goal HostGoal, state *packages.State, name, want string) bool {
	return state.Installed[name] == want || slices.Contains(choices(h, goal, state, name), want)
}

// choices are the revisions that the plan can have of a package: those of the target's repository only where it moves there.
func choices(h *survey.Host, goal HostGoal, state *packages.State, name string) []string {
	if !goal.Repository {
		return state.Offered[name]
	}
	return each(slices.Concat(h.Apt.Remote[name], state.Offered[name]))
}

func unavailable(h *survey.Host, goal HostGoal, lacking, seen []string) finding.Finding {
	f := finding.Finding{Severity: finding.Blocker, Where: h.Name, What: "no repository offers " + strings.Join(lacking, ", "),
		Evidence: "on offer are\n" + strings.Join(seen, "\n"), Remedy: "correct the revision in the plan, or bring the repository up to date"}
	if !goal.Repository && goal.everything(h.Apt.Remote) {
		f.What, f.Remedy = "the host's package lists do not have "+strings.Join(lacking, ", ")+", and the plan does not move its repository", "add `uses: packages.repository` with `hosts: all` to the plan"
	}
	if goal.Repository && h.Apt.Unreachable != "" {
		f.What, f.Evidence = "the package repository of the target cannot be asked for "+strings.Join(lacking, ", "), h.Apt.Unreachable
		f.Remedy = "make it reachable from there"
	}
	return f
}

// everything tells whether all that the plan wants is among these revisions, by package.
func (h HostGoal) everything(in map[string][]string) bool {
	for name, want := range h.Revisions {
		if want != "" && !slices.Contains(in[name], want) {
			return false
		}
	}
	return true
}

// each is a list without what it has twice.
func each(all []string) []string {
	var once []string
	listed := map[string]bool{}
	for _, x := range all {
		if !listed[x] {
			listed[x], once = true, append(once, x)
		}
	}
	return once
}

// few names the first of many, newest first.
func few(all []string) string {
	const most = 5
	if len(all) == 0 {
		return "nothing of that name"
	}
	if len(all) > most {
		return strings.Join(all[:most], ", ") + ", and older ones"
	}
	return strings.Join(all, ", ")
}

func dpkg(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		state := v.Packages[h.Name]
		switch {
		case state == nil:
		case len(state.Stuck) > 0:
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name, What: "dpkg was interrupted in unpacking packages",
				Evidence: "dpkg-query: " + strings.Join(state.Stuck, ", "), Remedy: "install them again: `apt-get install --reinstall " + strings.Join(state.Stuck, " ") + "`"})
		case state.Orphan != "":
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name, What: "a maintainer script still runs whose dpkg is gone",
				Evidence: state.Orphan, Remedy: "let it end, or end it, then run `dpkg --configure -a`"})
		case state.Journal:
			found = append(found, finding.Finding{Severity: finding.Warning, Where: h.Name, What: "dpkg was interrupted, and left updates of its database unmerged",
				Evidence: "/var/lib/dpkg/updates is not empty", Remedy: "run `dpkg --configure -a` there and see that it succeeds"})
		case len(state.Broken) > 0:
			found = append(found, finding.Finding{Severity: finding.Warning, Where: h.Name, What: "dpkg was interrupted in configuring packages",
				Evidence: "dpkg-query: " + strings.Join(state.Broken, ", "), Remedy: "run `dpkg --configure -a` there and see that it succeeds"})
		}
		if state != nil && state.Lock != "" {
			found = append(found, finding.Finding{Check: "packages.lock", Severity: finding.Warning, Where: h.Name, What: "somebody else uses apt or dpkg now",
				Evidence: "the lock is held by " + state.Lock, Remedy: "let it end; the plan waits for it before the first host is touched"})
		}
	}
	return found
}

// installable: apt would do what the plan wants, and touch no package that was held for another reason.
func installable(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		goal, state := v.Goal.Host(h.Name), v.Packages[h.Name]
		if !h.Apt.Simulated || state == nil || !goal.everything(state.Offered) {
			continue
		}
		if h.Apt.Fails {
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name, What: "apt cannot install what the plan wants",
				Evidence: strings.Join(h.Apt.Says, "\n"), Remedy: "try it there: `apt-get -s install " + strings.Join(goal.revisions(), " ") + "`"})
		}
	}
	return found
}

// held: no package is held that has to move with those of the plan. The plan's own may be: they are held again
// afterwards.
func held(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		goal := v.Goal.Host(h.Name)
		for _, name := range h.Apt.Held {
			if _, ours := goal.Revisions[name]; ours || !h.Apt.Touches(name) && !blames(h.Apt, name) {
				continue
			}
			found = append(found, finding.Finding{Severity: finding.Blocker, Where: h.Name, What: "the package " + name + " is held, and has to be upgraded with those of the plan",
				Evidence: "apt-mark showhold: " + strings.Join(h.Apt.Held, ", "), Remedy: "run `apt-mark unhold " + name + "` there"})
		}
	}
	return found
}

// blames tells whether apt gives a package as the reason why it cannot install the others: it moves none that is held,
// but for those that it is asked for.
func blames(a survey.Apt, name string) bool {
	return a.Fails && slices.ContainsFunc(a.Says, func(line string) bool { return slices.Contains(strings.Fields(line), name) })
}

// signatures: the package lists were signed by a key that still holds.
func signatures(v *View) (found []finding.Finding) {
	for _, h := range v.answered() {
		goal, told := v.Goal.Host(h.Name), map[string]bool{}
		for _, s := range h.Apt.Signatures {
			if s.Verdict == "GOODSIG" || told[s.List] {
				continue
			}
			told[s.List] = true
			f := finding.Finding{Severity: finding.Blocker, Where: h.Name, What: "the key that signed the package lists of Kubernetes has expired or is missing",
				Evidence: "gpgv " + s.List + ": " + s.Verdict + " " + s.Key, Remedy: "fetch the Release.key of a newer minor version into the keyring; the kind packages.repository does"}
			if goal.Repository {
				f.Severity, f.Remedy = finding.Note, "nothing: the plan's packages.repository fetches a new key"
			}
			found = append(found, f)
		}
	}
	return found
}
