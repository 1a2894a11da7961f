//go:build e2e

package e2e

import (
	"strings"
	"sync"
	"syscall"
)

// comesBack proves that a pod whose owner names the node is evicted twice at most, whenever upgrader is killed, and then left with a
// record of who places it there.
func (l *lab) comesBack(g *guard, run func(o *operator, g *guard) *process) {
	l.t.Helper()
	l.onW1("named", "named")
	defer l.kubectl("delete", "namespace", "named", "--timeout=120s")
	p := run(l.operator(), g)
	p.ends(0)
	l.promptly(p)
	if uids := podsOf(g.seen()); len(uids) != 2 {
		l.t.Errorf("evictions of %d pods were asked for, want 2: %v", len(uids), g.seen())
	}
	p.said("leave pods that came back after 2 evictions in spite of the cordon", ", which ReplicaSet shop places here by its nodeName or by a scheduler of its own")
	if phase := l.kubectl("-n", "named", "get", "pods", "--field-selector", "spec.nodeName=w1", "-o", "jsonpath={.items[*].status.phase}"); phase != "Running" {
		l.t.Errorf("the pod is %q", phase)
	}
	l.cordoned(map[string]bool{"cp1": false, "w1": false, "w2": false})
}

// undisturbed drains without anything in between.
func (o *operator) undisturbed(g *guard) *process {
	o.t.Helper()
	g.begin(func(ask) string { return "" })
	return o.run(o.lab.draining("3m"))
}

// killedAfter has upgrader killed once the first eviction is recorded.
func (o *operator) killedAfter(g *guard) *process {
	o.t.Helper()
	p := o.undisturbed(g)
	p.evicted("named/")
	p.kill()
	return o.resume()
}

// killedBefore has upgrader killed once the first eviction was done, of which it has heard nothing: it is frozen meanwhile.
func (o *operator) killedBefore(g *guard) *process {
	o.t.Helper()
	came, frozen := make(chan ask, 1), make(chan struct{})
	var once sync.Once
	g.begin(func(a ask) string {
		once.Do(func() { came <- a; <-frozen })
		return ""
	})
	p := o.run(o.lab.draining("3m"))
	select {
	case a := <-came:
		p.signal(syscall.SIGSTOP)
		close(frozen)
		o.lab.await("cp1", `k -n named get pods -o json | jq -e 'any(.items[]; .metadata.uid != "`+a.uid+`")'`)
	case <-p.ended:
		o.t.Fatalf("it evicted nothing: %s", p.story())
	}
	p.kill()
	return o.resume()
}

// evicted waits for the outcome of the eviction of a pod whose name begins so.
func (p *process) evicted(pod string) {
	p.t.Helper()
	ticket := ""
	for i := 0; ; i++ {
		e, ok := p.next(i)
		if !ok {
			p.t.Fatalf("no eviction of %s was recorded: %s", pod, p.story())
		}
		if e.Kind == "intent" && e.Say == "evict its pods" && strings.HasPrefix(e.Of, pod) {
			ticket = e.Ticket
		}
		if e.Kind == "outcome" && ticket != "" && e.Ticket == ticket {
			return
		}
	}
}
