//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"time"
)

// detachedLate proves that a drain waits until the volume of a pod that it evicted is detached, and for no other: w1 has stale ones
// all the time.
func (l *lab) detachedLate(g *guard) {
	l.t.Helper()
	defer l.kubectl("delete", "pv", "held", "--wait=false")
	l.onW1("held", "volume")
	g.begin(func(ask) string { return "" })
	o := l.operator()
	p := o.run(l.draining("3m"))
	said := o.statusWith(p, "still attached to w1: held (by slow.example.org)")
	if strings.Contains(said, "gone.example.org") {
		l.t.Errorf("it waits for what others left behind:\n%s", said)
	}
	l.kubectl("delete", "volumeattachment", "held")
	p.ends(0)
	l.promptly(p)
}

// leaves plants the attachments that drivers leave behind. Preflight tells of the one to a machine that is gone; the others are young.
func (l *lab) leaves() (planted time.Time) {
	l.t.Helper()
	l.apply(drained(l, "stale"))
	l.kubectl("delete", "volumeattachment", "stays", "--wait=false")
	l.t.Cleanup(func() { // whoever keeps the lab does not want it
		_, _ = l.try("kubectl", "patch", "volumeattachment", "stays", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
	})
	if told := l.attachmentsTold(); len(told) != 1 || told[0] != "w9: 1 volume of gone.example.org: still attached to this node, which the cluster does not have any more" {
		l.t.Errorf("told is %q", told)
	}
	return time.Now()
}

// tellsLate proves that preflight tells of attachments that have been on their way for longer than Kubernetes waits for one.
func (l *lab) tellsLate(planted time.Time) {
	l.t.Helper()
	time.Sleep(time.Until(planted.Add(6*time.Minute + 5*time.Second)))
	want := []string{
		"w1: 1 volume of gone.example.org: not attached to this node, long after that was asked for",
		"w1: 1 volume of gone.example.org: still attached to this node, long after the detachment was asked for",
		"w9: 1 volume of gone.example.org: still attached to this node, which the cluster does not have any more",
	}
	if told := l.attachmentsTold(); !slices.Equal(told, want) {
		l.t.Errorf("told is %q, want %q", told, want)
	}
}

// attachmentsTold is what preflight says of volumes that are stuck.
func (l *lab) attachmentsTold() (told []string) {
	l.t.Helper()
	for _, f := range l.look(batch{plan: shipped()}).Findings {
		if f.Check == "drain.attachment" {
			told = append(told, f.Where+": "+f.What)
		}
	}
	slices.Sort(told)
	return told
}
