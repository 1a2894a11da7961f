package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/journal"
	"upgrader.dev/upgrader/engine/plan"
	"upgrader.dev/upgrader/steps"
	"upgrader.dev/upgrader/steps/kube"
)

// A session is one process's work on a run: `run` makes the first of a run, `resume` every other.
type session struct {
	console *console
	mode    string // of the view
	yes     bool

	manifest manifest
	dir      runDir
	key      []byte // that the run is sealed with
	graph    *engine.Graph
	world    *world
	held     *clusterLock // of this machine; nil in a test
	journal  *journal.File
	history  *history     // as the journal had it when this process took it
	facts    engine.Facts // known at the start of the run; nil in a resume
	board    *board       // the history's, gone on with
}

// perform carries the run on to its end and tells what became of it. The error is the run's.
func (s *session) perform(ctx context.Context) error {
	lock, release, err := s.takeLock(ctx)
	if err != nil {
		return err
	}
	s.console.waitForNobody(s.mode, s.manifest.ID)
	signals, deaf := s.console.calls.listen()
	defer deaf()
	if err := context.Cause(ctx); err != nil { // a signal came just before
		release(false)
		return err
	}
	detached, err := s.carryOut(ctx, lock, signals)
	release(detached || errors.Is(err, engine.ErrFenced) || s.underway()) // fenced, it is somebody else's
	if errors.Is(err, engine.ErrFenced) {
		s.console.say("run %[1]s does nothing more here; once the cluster's lock is free: upgrader resume %[1]s", s.manifest.ID)
	}
	if err != nil {
		return err
	}
	deaf()
	return s.conclude(ctx, s.board.summary(), detached)
}

// carryOut runs the runner under the lock, and shows it.
func (s *session) carryOut(ctx context.Context, lock *kube.Lock, signals <-chan os.Signal) (detached bool, err error) {
	s.board = s.history.board
	out := newOutputs(s.dir, s.board)
	defer out.Close()
	show := s.console.newView(s.mode, s.board, s.heading(), out.Last)
	defer show.Close()
	defer s.console.tellBy(show.Note)()
	fleet := s.world.fleet(show.Note, s.history.past.Machines())
	defer closeQuietly(fleet)
	cluster, err := s.world.client.Under(lock)
	if err != nil {
		return false, err
	}
	catalog, err := steps.Catalog(steps.Deps{Hosts: fleet, Cluster: cluster})
	if err != nil { // a programmer's error; nothing has been started
		return false, err
	}
	runner := &engine.Runner{
		Graph: s.graph, Run: s.manifest.ID, Log: discreetLog{s.journal}, Past: s.history.past, Facts: s.facts,
		Binder: plan.NewBinder(catalog), Settler: fleet, Guard: lock, Availability: kube.NewAvailability(s.world.client),
		Inbox: s.inbox(show), Output: out.Open,
		Watch: func(rec journal.Record) { // in the journal's order, one at a time, and never waiting for anybody
			s.board.take(&rec)
			show.Show(rec)
			if rec.Kind == journal.Settled {
				out.Settle(rec.Node)
			}
		},
	}
	return s.supervise(ctx, runner, signals, show)
}

// takeLock takes the cluster's Lease, and keeps it. release gives it back, unless this process only let go of a run
// whose effects go on: then the lock stays the run's, and a resume finds it.
func (s *session) takeLock(ctx context.Context) (lock *kube.Lock, release func(keep bool), err error) {
	person, machine := whoami(s.console.env)
	me := kube.Identity{Run: s.manifest.ID, Person: person, Machine: machine, Plan: s.graph.Plan}
	if s.held != nil {
		me.LockFile = s.held.name()
	}
	lock = kube.NewLock(s.world.client, me)
	if err := takeOver(ctx, s.console, lock, me.Run); err != nil {
		var held *kube.HeldError
		if errors.As(err, &held) {
			return nil, nil, &lockedError{err}
		}
		return nil, nil, err
	}
	stop := lock.Keep(context.WithoutCancel(ctx))
	return lock, func(keep bool) {
		stop()
		if keep {
			lock.Leave()
			return
		}
		ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), 5*time.Second, errors.New("the cluster does not answer"))
		defer cancel()
		if err := lock.Release(ctx); err != nil {
			s.console.say("the cluster's lock could not be released (%v); a resume of run %s takes it again", err, s.manifest.ID)
		}
	}, nil
}

func (s *session) heading() heading {
	return heading{Run: s.manifest.ID, Plan: s.graph.Plan, Cluster: s.world.id.String(), From: s.graph.From, To: s.graph.To, Begun: time.Now()}
}

func (s *session) inbox(show view) *inbox {
	b := newInbox(s.graph, s.dir, s.key, s.history.decided)
	b.yes, b.me, b.warn = s.yes, theOperator(s.console.env), show.Note
	if s.console.canAsk() {
		b.ask = func(ctx context.Context, question string) (string, error) {
			s.console.forget()
			answered := show.Ask(question)
			defer answered()
			return s.console.answer(ctx)
		}
	}
	return b
}

// letGo is how long a process that is to leave at once waits for its own goroutines before it leaves anyway. What it has to
// say after that fits into manners.
const letGo = 300 * time.Millisecond

// supervise runs the runner under the signals: the first Ctrl-C lets running changes finish, the second one and SIGTERM
// detach.
func (s *session) supervise(ctx context.Context, runner *engine.Runner, signals <-chan os.Signal, show view) (detached bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- runner.Start(ctx, stop) }()
	var leave <-chan time.Time
	var stopping time.Time
	for {
		select {
		case err := <-ended:
			return detached && s.board.summary().State == engine.Running, err
		case <-leave:
			return true, nil
		case sig := <-signals:
			atOnce := insists(sig, stopping)
			if stopping.IsZero() {
				stopping = time.Now()
				if !atOnce {
					show.Note(s.finishing()) // as it is before anything stops
				}
				close(stop)
			}
			if atOnce && !detached {
				detached = true
				cancel()
				leave = time.After(letGo)
			}
		}
	}
}

// underway says whether an effect may still be going on although the process ends: its step gave up waiting for it, or
// the journal could not be written. Then the lock stays the run's, as when the process detaches.
func (s *session) underway() bool {
	p, err := s.dir.progress(s.graph)
	if err == nil && !p.Underway() {
		return false
	}
	s.console.say("the cluster's lock stays with run %s, since a change of it may still be going on", s.manifest.ID)
	return true
}

// finishing says what a first signal does.
func (s *session) finishing() (words string) {
	s.board.read(func(p *engine.Progress) {
		words = "stopping; nothing is under way"
		if n := p.Tally().AtWork(); n > 0 {
			words = fmt.Sprintf("finishing the changes under way in %s; press Ctrl-C again to detach at once", count(n, "running step"))
		}
	})
	return words
}

func closeQuietly(c io.Closer) { _ = c.Close() } // connections that were only read from, or are given up
