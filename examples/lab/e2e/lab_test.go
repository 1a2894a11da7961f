//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"upgrader.dev/upgrader/examples/lab/build"
)

// A lab is a real cluster of one test, gone when the test ends.
type lab struct {
	t     *testing.T
	name  string
	dir   string // has inventory.yaml and kubeconfig
	hosts []string
	hands string // a directory like dir, with the inventory and kubeconfig of an operator who may less; empty: there is none

	cutDown map[string]bool // hosts that were lost in the middle of a package installation
}

// up starts a lab at the version to upgrade from.
func up(t *testing.T, controlPlanes, workers int) *lab {
	t.Helper()
	name := strings.ToLower(strings.Trim(strings.Map(plain, t.Name()), "-"))
	l := &lab{t: t, name: name, dir: build.DefaultCache().Lab(name), cutDown: map[string]bool{}}
	for i := range controlPlanes {
		l.hosts = append(l.hosts, fmt.Sprintf("cp%d", i+1))
	}
	for i := range workers {
		l.hosts = append(l.hosts, fmt.Sprintf("w%d", i+1))
	}
	t.Cleanup(machine.take(len(l.hosts)))
	l.down()
	t.Cleanup(func() {
		if !t.Failed() || !*keep {
			l.down()
		}
	})
	began := time.Now()
	l.run("up", "-c", fmt.Sprint(controlPlanes), "-w", fmt.Sprint(workers), "--version", from)
	l.figure("up, %d+%d", time.Since(began), controlPlanes, workers)
	return l
}

// in is the lab in the hands of a subtest.
func (l *lab) in(t *testing.T) *lab {
	same := *l
	same.t = t
	return &same
}

// hostOf is the host of step@host.
func hostOf(node string) string {
	_, host, _ := strings.Cut(node, "@")
	return host
}

// plain makes a lab's name of a test's: only letters and digits.
func plain(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
		return r
	}
	return '-'
}

// reach are the flags that say how operators reach the cluster and its hosts.
func (l *lab) reach() []string {
	dir := cmp.Or(l.hands, l.dir)
	return []string{"--kubeconfig", filepath.Join(dir, "kubeconfig"), "--inventory", filepath.Join(dir, "inventory.yaml")}
}

func (l *lab) down() { l.run("down") }

// figure reports a duration in a form that is easily found in the output.
func (l *lab) figure(what string, d time.Duration, args ...any) {
	l.t.Helper()
	l.t.Logf("figure: %s: %.1f s", fmt.Sprintf(what, args...), d.Seconds())
}

// command is a call of `lab`, for this lab.
func (l *lab) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(programs, "lab"), args...)
	cmd.Env = append(cmd.Environ(), "LAB_NAME="+l.name)
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // a test that is interrupted leaves nothing at work
	return cmd
}

// try calls `lab` and returns what it put out; its errors are in err.
func (l *lab) try(args ...string) (string, error) {
	cmd := l.command(context.Background(), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("lab %s: %w\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}

// run calls `lab`, which has to succeed.
func (l *lab) run(args ...string) string {
	l.t.Helper()
	out, err := l.try(args...)
	if err != nil {
		l.t.Fatal(err)
	}
	return out
}

// kubectl asks until it gets an answer: while a single control plane is upgraded, the API is away.
func (l *lab) kubectl(args ...string) string {
	l.t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(2 * time.Second) {
		out, err := l.try(append([]string{"kubectl"}, args...)...)
		if err == nil {
			return out
		}
		if time.Now().After(end) || !unreachable(err) {
			l.t.Fatal(err)
		}
	}
}

func unreachable(err error) bool {
	return slices.ContainsFunc([]string{"refused", "EOF", "timeout", "Unable to connect", "reset by peer", "leader changed", "ServiceUnavailable"},
		func(s string) bool { return strings.Contains(err.Error(), s) })
}

// sh runs a script in a host, through its namespaces.
func (l *lab) sh(host, script string, args ...string) string {
	l.t.Helper()
	return l.run(append([]string{"exec", host, "sh", "-c", script, "sh"}, args...)...)
}

// A node is what a test wants to know about one.
type node struct {
	Metadata struct {
		Name        string            `json:"name"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Unschedulable bool `json:"unschedulable"`
	} `json:"spec"`
	Status struct {
		NodeInfo struct {
			KubeletVersion string `json:"kubeletVersion"`
		} `json:"nodeInfo"`
		Conditions []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
}

func (n node) ready() bool {
	for _, c := range n.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True"
		}
	}
	return false
}

func (n node) mark() string { return n.Metadata.Annotations["upgrader.dev/cordoned-by"] }

func (n node) controlPlane() bool {
	_, ok := n.Metadata.Labels["node-role.kubernetes.io/control-plane"]
	return ok
}

// nodes are the cluster's nodes as they are now, by name.
func (l *lab) nodes() map[string]node {
	l.t.Helper()
	var list struct {
		Items []node `json:"items"`
	}
	if err := json.Unmarshal([]byte(l.kubectl("get", "nodes", "-o", "json")), &list); err != nil {
		l.t.Fatal(err)
	}
	all := map[string]node{}
	for _, n := range list.Items {
		all[n.Metadata.Name] = n
	}
	if len(all) != len(l.hosts) {
		l.t.Fatalf("%d nodes of %d", len(all), len(l.hosts))
	}
	return all
}
