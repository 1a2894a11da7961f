package packages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/census"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/remote"
	"upgrader.dev/upgrader/steps/skew"
)

const installDoc = `Brings packages of a host to exact revisions, in one transaction.
It observes the state of each package, what dpkg was interrupted in, what the repositories offer and who holds a lock.
It finishes an interrupted configuration first, then installs, keeping changed configuration files; what was held is
held again afterwards. It waits while somebody else uses apt or dpkg, and says who. It refuses to downgrade, and
revisions that no repository of the host offers. It refuses a kubelet and a kubeadm that the version skew policy forbids
on the host, by what runs in the cluster now: the next restart would run them. No service is restarted.`

type install struct {
	hosts   remote.Hosts
	cluster census.Running

	Packages revisions `yaml:"packages" required:"true" doc:"Exact revision of each package, such as {kubelet: 1.28.15-1.1}."`
}

// Validate checks the names and the form of the revisions.
func (i *install) Validate() error { return i.Packages.validate() }

func (i *install) Observe(ctx context.Context, s engine.Scene) ([]engine.Change, error) {
	host := s.Target.Name
	w, err := look(ctx, i.hosts, host, i.Packages.names())
	if err != nil {
		return nil, err
	}
	todo := i.todo(w, s)
	switch {
	case len(w.broken) > 0 || w.journal:
		return i.repair(w)
	case len(todo)+len(w.owed)+len(w.stuck) == 0:
		return nil, nil
	}
	if err := refuse(w, todo, s); err != nil {
		return nil, err
	}
	if err := busy(w); err != nil {
		return nil, err
	}
	if len(todo) == 0 {
		return []engine.Change{i.holdAgain(w)}, nil
	}
	if err := i.forbidden(ctx, s, w, todo); err != nil {
		return nil, err
	}
	return []engine.Change{i.install(w, todo)}, nil
}

// todo returns the packages that are neither there nor promised.
func (i *install) todo(w *world, expect engine.Promises) revisions {
	left := revisions{}
	for name, rev := range i.Packages {
		if !w.has(name, rev) && expect.Promised(facts.Package(w.host, name)) != rev {
			left[name] = rev
		}
	}
	return left
}

// refuse returns why this may not be installed here, or nil.
func refuse(w *world, todo revisions, expect engine.Promises) error {
	for _, name := range w.stuck {
		if todo[name] == "" {
			return engine.Refuse(fmt.Sprintf("%s on %s is half unpacked, so apt would refuse or replace it", name, w.host),
				"install it again by hand: apt-get install --reinstall "+name)
		}
	}
	for _, name := range todo.names() {
		have := w.states[name]
		if have.installed() && compare(have.revision, todo[name]) > 0 {
			return engine.Refuse(fmt.Sprintf("%s has %s %s, newer than %s", w.host, name, have.revision, todo[name]),
				"nothing is ever downgraded: correct the revision in the plan, or downgrade this package by hand")
		}
	}
	return w.missing(todo, expect.Promised(facts.Repository(w.host)))
}

// forbidden returns the refusal to install a kubelet or a kubeadm that the version policy forbids here. Only the file on
// the disk is changed, but a host that is restarted, for whatever reason, runs it. What is not whole on the disk may be
// what the API waits for, so while the API is away that is installed all the same.
func (i *install) forbidden(ctx context.Context, s engine.Scene, w *world, todo revisions) error {
	m := census.Move{Host: w.host}
	whole := true
	for name, to := range map[string]*skew.Version{"kubelet": &m.Kubelet, "kubeadm": &m.Kubeadm} {
		if todo[name] == "" {
			continue
		}
		whole = whole && w.states[name].whole()
		var err error
		if *to, err = skew.OfRevision(todo[name]); err != nil {
			return fmt.Errorf("packages: %s: %w", name, err)
		}
	}
	if m == (census.Move{Host: w.host}) {
		return nil
	}
	err := census.Forbidden(ctx, i.cluster, s, m)
	if _, away := errors.AsType[*engine.TransientError](err); away && !whole {
		return nil
	}
	return err
}

// busy returns what has to be waited for before apt may be started, or nil.
func busy(w *world) error {
	switch {
	case w.lock != "":
		return engine.NotYet("dpkg on %s is locked by %s", w.host, w.lock)
	case w.orphan != "":
		return engine.NotYet("a maintainer script on %s goes on without its dpkg (%s)", w.host, w.orphan)
	}
	return nil
}

// repair finishes what dpkg was interrupted in, or says that only a person can.
func (i *install) repair(w *world) ([]engine.Change, error) {
	if err := busy(w); err != nil {
		return nil, err
	}
	what := strings.Join(w.broken, ", ")
	if what == "" {
		what = "unmerged updates"
	}
	return []engine.Change{{
		Say:     "finish the interrupted package configuration",
		Of:      what,
		Expects: "interrupted: " + what,
		Repeat:  engine.Guarded,
		Do:      i.job("dpkg --configure -a", configureSh, w, nil),
	}}, nil
}

func (i *install) install(w *world, todo revisions) engine.Change {
	then := engine.Facts{}
	var found []string
	for _, name := range todo.names() {
		then[facts.Package(w.host, name)] = todo[name]
		found = append(found, name+" "+w.states[name].String())
	}
	return engine.Change{
		Say:     "install " + todo.say(),
		Then:    then,
		Expects: strings.Join(found, "; "),
		Repeat:  engine.Guarded,
		Do: i.job("apt-get install "+todo.args(), installSh, w, map[string]string{
			"NAMES":        strings.Join(todo.names(), " "),
			"REVISIONS":    todo.args(),
			"LOCK_TIMEOUT": strconv.Itoa(int(lockTimeout.Seconds())),
		}),
	}
}

func (i *install) holdAgain(w *world) engine.Change {
	slices.Sort(w.owed)
	return engine.Change{
		Say:    "hold " + strings.Join(w.owed, ", ") + " again",
		Repeat: engine.Guarded,
		Do: i.job("apt-mark hold "+strings.Join(w.owed, " "), holdSh, w, map[string]string{
			"NAMES": strings.Join(w.owed, " "),
		}),
	}
}

// job is one durable job on the host. None of them may be stopped half-way.
func (i *install) job(name, text string, w *world, env map[string]string) func(context.Context, engine.Ticket) error {
	return func(ctx context.Context, t engine.Ticket) error {
		h, err := i.hosts.Host(w.host)
		if err != nil {
			return err
		}
		return h.Do(ctx, t, remote.Job{Name: name, Script: remote.Script{Text: locksSh + text, Env: env}})
	}
}

// Installs are the revisions that the plan gives, by package; empty where only the run can tell. For who asks what a plan wants.
func (i *install) Installs() map[string]string { return i.Packages }
