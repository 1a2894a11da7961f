package sim

import (
	"slices"
	"time"

	"upgrader.dev/upgrader/engine"
)

// A deed is one change that an observation has found to be made.
type deed struct {
	what deedKind
	pod  int
}

type deedKind uint8

const (
	doCordon deedKind = iota
	doUncordon
	doEvict
	doApply
	doJob
)

// A scene is what a toy step may know when it looks.
type scene struct {
	undo     bool
	now      time.Duration // elapsed
	since    time.Duration
	approved bool
	rejected bool
	inWork   []string
	after    [mostKeys]bool // gate: the drains that come after it
}

// observe answers what is left to do, as a step would.
func (w *world) observe(t *toy, s scene) ([]deed, *engine.Failure) {
	h := &w.hosts[t.host]
	if bad := w.unseen(t, h); bad != nil {
		return nil, bad
	}
	switch t.kind {
	case drain:
		return w.observeDrain(t, h, s.undo)
	case install, reboot, command, tell:
		if t.kind != command && t.kind != tell && w.holds(t) {
			return nil, nil
		}
		return []deed{{what: doJob}}, nil
	case apply:
		if w.holds(t) {
			return nil, nil
		}
		return []deed{{what: doApply}}, nil
	case uncordon:
		if !h.cordoned {
			return nil, nil
		}
		return []deed{{what: doUncordon}}, nil
	case ready:
		if !h.alive {
			return nil, failure(engine.Waits, "not Ready")
		}
	case gate:
		return nil, w.observeGate(t, s)
	case approval:
		return nil, w.observeApproval(s)
	case wait:
		if s.now < s.since+t.lasts {
			return nil, failure(engine.Waits, "its time has not come")
		}
	}
	return nil, nil
}

// unseen is why nothing could be observed.
func (w *world) unseen(t *toy, h *host) *engine.Failure {
	api := t.kind == drain || t.kind == uncordon || t.kind == apply || t.kind == ready
	switch {
	case api && w.away():
		return failure(engine.Passes, "the API is away")
	case (t.kind.job()) && !h.alive:
		return failure(engine.Passes, "the host cannot be reached")
	case w.faults.blind && w.chance(8):
		return failure(engine.Passes, "the connection was reset")
	case w.faults.breaks && w.chance(3):
		return failure(engine.Plain, "the answer makes no sense")
	}
	return nil
}

func (w *world) observeDrain(t *toy, h *host, undo bool) ([]deed, *engine.Failure) {
	if undo {
		if h.cordoned && h.by == t.key && !h.drained[t.key] {
			return []deed{{what: doUncordon}}, nil
		}
		return nil, nil
	}
	switch {
	case h.drained[t.key]:
		return nil, nil
	case !h.cordoned && !h.foreign:
		return []deed{{what: doCordon}}, nil
	case h.pods != 0:
		var deeds []deed
		each(h.pods, func(pod int) { deeds = append(deeds, deed{doEvict, pod}) })
		return deeds, nil
	case h.terminating != 0:
		return nil, failure(engine.Waits, "pods are terminating")
	}
	h.drained[t.key] = true // and is not wanted again, whatever becomes of the host
	return nil, nil
}

func (w *world) observeGate(t *toy, s scene) *engine.Failure {
	if w.now < w.closed {
		return failure(engine.Refuses, "the gate is closed")
	}
	if !t.strict {
		return nil
	}
	for i := range w.hosts {
		if h := &w.hosts[i]; h.cordoned && s.after[h.by] && !slices.Contains(s.inWork, w.names[i]) {
			return failure(engine.Refuses, w.names[i]+" is cordoned")
		}
	}
	return nil
}

func (w *world) observeApproval(s scene) *engine.Failure {
	switch {
	case s.approved:
		return nil
	case s.rejected:
		return failure(engine.Plain, "rejected")
	}
	return failure(engine.Asks, "go on?")
}

func failure(c engine.Class, why string) *engine.Failure { return &engine.Failure{Class: c, Why: why} }

// proposal is what the engine sees of a deed.
func (d deed) proposal(t *toy) engine.Proposal {
	switch d.what {
	case doCordon:
		return engine.Proposal{Say: "cordon", Repeat: engine.Convergent}
	case doUncordon:
		return engine.Proposal{Say: "uncordon", Repeat: engine.Convergent}
	case doEvict:
		return engine.Proposal{Say: "evict", Of: podNames[d.pod], Repeat: engine.Convergent}
	case doApply:
		return engine.Proposal{Say: "apply", Repeat: engine.Convergent}
	}
	p := engine.Proposal{Say: t.kind.String(), Repeat: engine.Guarded}
	if t.kind.once() {
		p.Repeat = engine.Once
	}
	if t.outage {
		p.Outage = time.Minute
	}
	return p
}

var podNames = [...]string{"pod-0", "pod-1", "pod-2", "pod-3"}
