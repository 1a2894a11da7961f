package survey

import (
	"context"
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/remote"
)

var (
	//go:embed within.sh
	withinScript string
	//go:embed host.sh
	hostScript string
)

// Patiently is a script that may run programs soon, or within a time, where they could hang: see within.sh. Hung reads from
// its standard error which of them did.
func Patiently(script string) string { return withinScript + script }

// Hung are the programs that did not answer, by what a script that ran patiently put on its standard error.
func Hung(stderr string) []string {
	var all []string
	for line := range strings.Lines(stderr) {
		if line = strings.TrimSpace(line); hangs.MatchString(line) && !slices.Contains(all, line) {
			all = append(all, line)
		}
	}
	return all
}

// HungRemedy is what to do about a program that does not answer on a host.
const HungRemedy = "find out what it waits for: a mount whose server is gone, a disk, a service that hangs; `ps -eo stat,pid,args` there shows with D what waits for a disk"

// HangsRemedy is that for a host that hangs before a question has begun.
func HangsRemedy(host string) string {
	return "run `ssh " + host + "` and find out what it waits for: a mount whose server is gone, a disk, a name server that sudo asks"
}

var hangs = regexp.MustCompile(`^.{1,300} has not answered for [0-9]+s$`)

// Wanted is what a host is asked about beyond itself. All of it may be empty.
type Wanted struct {
	Version   string   // what the cluster runs, without the v
	Line      string   // the minor version that it goes to: "1.28"
	Revisions []string // to be installed: "kubeadm=1.28.15-1.1"
	Images    []string // to be run
}

// Ask asks one host everything. An error is in the answer's Err.
func Ask(ctx context.Context, hosts remote.Hosts, name string, w Wanted) *Host {
	host, err := hosts.Host(name)
	if err != nil {
		return &Host{Name: name, Err: err}
	}
	began := time.Now()
	result, err := host.Query(ctx, remote.Script{Text: Patiently(hostScript), Env: map[string]string{
		"VERSION": w.Version, "LINE": w.Line, "REVISIONS": strings.Join(w.Revisions, " "), "IMAGES": strings.Join(w.Images, " "),
	}})
	if err != nil {
		return &Host{Name: name, Err: fmt.Errorf("looking at %s: %w", name, err)}
	}
	h := Read(name, result.Stdout, began, time.Now())
	h.Hung = Hung(result.Stderr)
	return h
}
