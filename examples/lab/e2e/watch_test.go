//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// A watch follows every change of the cluster's nodes, and remembers the worst: how many workers were out of service,
// for whatever reason, when one was cordoned. It sees what the API says, and so nothing while that is away.
type watch struct {
	mu    sync.Mutex
	out   map[string]string // workers out of service: cordoned, not ready
	worst []string
}

// watch starts to follow the nodes, until the test ends.
func (l *lab) watch() *watch {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{out: map[string]string{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			w.follow(ctx, l)
			time.Sleep(200 * time.Millisecond) // the API was away
		}
	}()
	l.t.Cleanup(func() { cancel(); <-ended })
	return w
}

func (w *watch) follow(ctx context.Context, l *lab) {
	cmd := l.command(ctx, "kubectl", "get", "nodes", "--watch", "-o", "json")
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = out.Close() })() // kubectl may outlive `lab`, and hold it open
	defer func() { _ = cmd.Wait() }()
	for dec := json.NewDecoder(out); ; {
		var n node
		if dec.Decode(&n) != nil {
			return
		}
		w.see(n)
	}
}

func (w *watch) see(n node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := n.Metadata.Name
	before := w.out[name]
	switch {
	case n.controlPlane():
		return
	case n.Spec.Unschedulable:
		w.out[name] = "cordoned"
	case !n.ready():
		w.out[name] = "not ready"
	default:
		delete(w.out, name)
	}
	if cordoned := w.out[name] == "cordoned" && before != "cordoned"; cordoned && len(w.out) > len(w.worst) {
		w.worst = w.worst[:0]
		for _, name := range slices.Sorted(maps.Keys(w.out)) {
			w.worst = append(w.worst, name+" "+w.out[name])
		}
	}
}

// atMost requires that nobody was cordoned while so many others were out of service.
func (w *watch) atMost(l *lab, n int) {
	l.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.worst) > n {
		l.t.Errorf("%d workers were out of service when one was cordoned, %d allowed: %s", len(w.worst), n, strings.Join(w.worst, ", "))
	}
	if len(w.worst) == 0 {
		l.t.Error("the watch saw no worker being cordoned, so it cannot have looked")
	}
}

// harm is the report of `lab probe --output json`.
type harm struct {
	Targets []struct {
		Name       string  `json:"name"`
		Requests   int     `json:"requests"`
		Failed     int     `json:"failed"`
		LongestGap seconds `json:"longestGap"`
		Without    seconds `json:"withoutSuccess"`
	} `json:"targets"`
}

// seconds is a duration as the prober reports it.
type seconds float64

// probe asks the API and the service all the time, until the function that it returns is called for the report.
func (l *lab) probe() (report func() harm) {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l.t.Cleanup(cancel)
	cmd := l.command(ctx, "probe", "--output", "json")
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Cancel = func() error { return cmd.Process.Signal(interrupt) }
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	return func() harm {
		l.t.Helper()
		cancel()
		_ = cmd.Wait()
		var h harm
		if err := json.Unmarshal([]byte(out.String()), &h); err != nil || len(h.Targets) == 0 {
			l.t.Fatalf("the prober's report %q: %v\n%s", out.String(), err, errs.String())
		}
		for _, target := range h.Targets {
			l.t.Logf("figure: %s: %d requests, %d failed, longest gap %.1f s, %.1f s without an answer in all",
				target.Name, target.Requests, target.Failed, target.LongestGap, target.Without)
		}
		return h
	}
}

// gap requires that a target was never away for longer.
func (h harm) gap(l *lab, name string, longest time.Duration) {
	l.t.Helper()
	for _, target := range h.Targets {
		if target.Name != name {
			continue
		}
		if float64(target.LongestGap) > longest.Seconds() {
			l.t.Errorf("%s was away for %.1f s, want at most %s", name, target.LongestGap, longest)
		}
		return
	}
	l.t.Error(fmt.Errorf("the prober did not ask %s", name))
}
