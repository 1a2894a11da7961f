package remote

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/engine/printable"
)

// A gatekeeper recognises hosts, or turns all away, and remembers who came.
type gatekeeper struct {
	mu    sync.Mutex
	came  []string
	seen  []Identity
	turns error
}

func (g *gatekeeper) recognise(_ context.Context, host string, seen Identity) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.came, g.seen = append(g.came, host), append(g.seen, seen)
	return g.turns
}

func (g *gatekeeper) turn(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turns = err
}

func (g *gatekeeper) visits() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.came)
}

// gated is a controller at whose hosts the gatekeeper looks.
func (r rig) gated(t *testing.T, g *gatekeeper, names ...string) *Fleet {
	t.Helper()
	inv := r.inventory()
	for _, name := range names {
		other := inv.Hosts[0]
		other.Name = name
		inv.Hosts = append(inv.Hosts, other)
	}
	f := NewFleet(Config{Inventory: inv, StateDir: r.state, Recognise: g.recognise})
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func fileWord(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// Once per connection, whoever comes first, and as each host that leads there.
func TestAMachineSaysWhoItIs(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		g := &gatekeeper{}
		f := r.gated(t, g, "w2")
		var all sync.WaitGroup
		for i := range 12 {
			all.Go(func() {
				h, _ := f.Host([]string{"w1", "w2"}[i%2])
				if got, err := h.Query(t.Context(), Script{Text: "echo x", AsUser: i%3 == 0}); err != nil || got.Stdout != "x\n" {
					t.Errorf("%+v, %v", got, err)
				}
			})
		}
		all.Wait()
		for _, seen := range g.seen {
			if seen.Door != r.addr || seen.BootID != fileWord(t, "/proc/sys/kernel/random/boot_id") || seen.MachineID != fileWord(t, "/etc/machine-id") {
				t.Errorf("seen as %+v", seen)
			}
		}
		if came := g.visits(); !slices.Contains(came, "w1") || !slices.Contains(came, "w2") {
			t.Errorf("recognised as %v", came)
		}
		before := len(g.visits())
		h, _ := f.Host("w1")
		if err := h.Do(t.Context(), ticket("t-1", 1, nil), Job{Name: "job", Script: Script{Text: "true"}}); err != nil {
			t.Error(err)
		}
		if after := len(g.visits()); after != before {
			t.Errorf("recognised %d times more on a connection that was known", after-before)
		}
		r.cut()
		eventually(t, "the new connection is recognised", func() bool {
			_, err := h.Query(t.Context(), Script{Text: "true"})
			return err == nil && len(g.visits()) == before+1
		})
	})
}

// Nothing runs on a machine that is not the host, whatever is asked of it, and nothing it says counts.
func TestNothingRunsOnAStranger(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		g := &gatekeeper{turns: &StrangerError{Why: "host w1 is the machine of node w2", Remedy: "correct its address"}}
		f := r.gated(t, g)
		h, _ := f.Host("w1")
		touched := filepath.Join(r.dir, "touched")
		s := Script{Text: `echo x >"$F"`, Env: map[string]string{"F": touched}}
		result, queryErr := h.Query(t.Context(), s)
		_, runErr := h.Run(t.Context(), ticket("t-1", 1, nil), s)
		doErr := h.Do(t.Context(), ticket("t-2", 1, nil), Job{Name: "touch", Script: s})
		_, settleErr := f.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-3", 1, nil))
		for what, err := range map[string]error{"Query": queryErr, "Run": runErr, "Do": doErr, "Settle": settleErr} {
			var refused *engine.RefusedError
			if _, ok := errors.AsType[*StrangerError](err); !ok || isDoubt(err) || !errors.As(err, &refused) {
				t.Errorf("%s = %v", what, err)
			}
		}
		if queryErr == nil || queryErr.Error() != "host w1 is the machine of node w2; nothing was done; correct its address" || result != (Result{}) {
			t.Errorf("Query = %+v, %v", result, queryErr)
		}
		for _, path := range []string{touched, r.state} {
			if _, err := os.Stat(path); err == nil {
				t.Errorf("%s is there", path)
			}
		}
		g.turn(nil)
		if _, err := h.Query(t.Context(), s); err != nil {
			t.Errorf("once it is recognised: %v", err)
		}
	})
}

// The password of one host is not for another one, whose sudo would count a failed try besides.
func TestNoPasswordGoesToAStranger(t *testing.T) {
	asked := filepath.Join(t.TempDir(), "asked")
	d, _ := startSmall(t, tools(t, map[string]string{"sudo": `: >` + asked + `; echo "$4" >&2; read -r it; shift 4; exec "$@"`}))
	inv := d.inventory()
	inv.SSH.Sudo = "cmd:echo secret"
	g := &gatekeeper{turns: &StrangerError{Why: "host w1 is the machine of node w2", Remedy: "correct its address"}}
	f := NewFleet(Config{Inventory: inv, StateDir: filepath.Join(d.dir, "state"), Recognise: g.recognise})
	defer f.Close()
	h, _ := f.Host("w1")
	_, err := h.Query(t.Context(), Script{Text: "true"})
	if _, ok := errors.AsType[*StrangerError](err); !ok {
		t.Errorf("Query = %v", err)
	}
	if _, err := os.Stat(asked); err == nil {
		t.Error("sudo was given the password")
	}
	g.turn(nil)
	if _, err := h.Query(t.Context(), Script{Text: "true"}); err != nil || fileWord(t, asked) != "" {
		t.Errorf("once it is recognised: %v", err)
	}
	if _, err := os.Stat(asked); err != nil {
		t.Error("sudo was not asked")
	}
}

// In the middle of a job, a new connection is to the same machine or the job's end is not known.
func TestAStrangerInTheMiddleOfAJob(t *testing.T) {
	onEveryDoor(t, func(t *testing.T, r rig) {
		g := &gatekeeper{}
		f := r.gated(t, g)
		h, _ := f.Host("w1")
		goOn := filepath.Join(r.dir, "go-on")
		var out safeBuffer
		done := make(chan error, 1)
		go func() {
			done <- h.Do(t.Context(), ticket("t-1", 1, &out), Job{Name: "wait", Script: Script{
				Text: `echo begun; until [ -e "$F" ]; do sleep 0.05; done`, Env: map[string]string{"F": goOn}}})
		}()
		eventually(t, "the job runs", func() bool { return strings.Contains(out.String(), "begun") })
		g.turn(&StrangerError{Why: "host w1 is the machine of node w2", Remedy: "correct its address"})
		r.cut()
		err := <-done
		if _, ok := errors.AsType[*StrangerError](err); !ok || !isDoubt(err) {
			t.Errorf("Do = %v", err)
		}
		g.turn(nil)
		write(t, goOn, "")
		s, err := f.Settle(t.Context(), engine.Target{Name: "w1"}, ticket("t-1", 1, nil))
		if err != nil || s.Fate != engine.Ended || s.Err != nil {
			t.Errorf("Settle = %+v, %v", s, err)
		}
	})
}

// A connection that is lost while the machine says who it is has been told nothing else.
func TestLostBeforeAMachineSaidWhoItIs(t *testing.T) {
	d, _ := startSmall(t, tools(t, map[string]string{"sudo": `kill -9 $PPID; sleep 5`}))
	f := NewFleet(Config{Inventory: d.inventory(), StateDir: filepath.Join(d.dir, "state"), Recognise: (&gatekeeper{}).recognise})
	defer f.Close()
	h, _ := f.Host("w1")
	_, err := h.Run(t.Context(), ticket("t-1", 1, nil), Script{Text: "true"})
	if err == nil || isDoubt(err) {
		t.Errorf("Run = %v", err)
	}
}

func TestReadIdentity(t *testing.T) {
	long := strings.Repeat("a", 65)
	for _, c := range []struct {
		says, machine, boot, has, hasNot string
		whole                            bool
	}{
		{"machine 0f3a\nboot 11-22\n2: eth0    inet 10.0.0.5/24 brd 10.0.0.255 scope global eth0\\  valid_lft\n3: eth1    inet6 2001:DB8::5/64 scope global\n",
			"0f3a", "11-22", "2001:db8:0::5", "10.0.0.6", true},
		{"machine \nboot 11-22\n4: tun0    inet 10.8.0.1 peer 10.8.0.2/32 scope global tun0\n", "", "11-22", "10.8.0.1", "10.8.0.2", true},
		{"machine a\nboot b\n9: kube-ipvs0    inet 10.0.0.9/32 scope global kube-ipvs0\n1: lo    inet 127.0.0.1/8 scope host lo\n", "a", "b", "", "10.0.0.9", true},
		{"machine uninitialized\nboot b\n", "", "b", "", "10.0.0.1", true}, // as systemd has it on a read-only disk
		{"machine a\x1b[31m\nboot b\n", "", "b", "", "127.0.0.1", true},
		{"machine " + long + "\nboot " + long + "\n", "", "", "", "fe80::1", true},
		{"Last login: yesterday\nmachine a\n", "a", "", "", "", false},
		{"", "", "", "", "", false},
	} {
		got, whole := readIdentity(c.says)
		if got.MachineID != c.machine || got.BootID != c.boot || whole != c.whole || c.has != "" && !got.Has(c.has) || got.Has(c.hasNot) {
			t.Errorf("%q: %+v, %v", c.says, got, whole)
		}
	}
}

func FuzzReadIdentity(f *testing.F) {
	f.Add("machine 0f3a\nboot 11-22\n2: eth0    inet 10.0.0.5/24 scope global eth0\n")
	f.Fuzz(func(t *testing.T, says string) {
		got, _ := readIdentity(says)
		for _, id := range []string{got.MachineID, got.BootID} {
			if printable.Text(id) != id || len(id) > 64 || strings.ContainsAny(id, " \n\t") {
				t.Errorf("%q is no ID", id)
			}
		}
	})
}
