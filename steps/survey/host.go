package survey

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/inquiry"
	"upgrader.dev/upgrader/steps/remote"
)

//go:embed host.sh
var hostScript string

// HungRemedy is what to do about a program that does not answer on a host.
const HungRemedy = "find out what it waits for: a mount whose server is gone, a disk, a service that hangs; `ps -eo stat,pid,args` there shows with D what waits for a disk"

// HangsRemedy is that for a host that hangs before a question has begun.
func HangsRemedy(host string) string {
	return "run `ssh " + host + "` and find out what it waits for: a mount whose server is gone, a disk, a name server that sudo asks"
}

// Wanted is what a host is asked about beyond itself. All of it may be empty.
type Wanted struct {
	Version   string             // what the cluster runs, without the v
	Line      string             // the minor version that it goes to: "1.28"
	Revisions []string           // to be installed: "kubeadm=1.28.15-1.1"
	Images    []string           // to be run
	More      []inquiry.Question // of who asks; their scripts find the variables that host.sh names
}

// Ask asks one host everything, and more in the same round trip. An error is in the answer's Err.
func Ask(ctx context.Context, hosts remote.Hosts, name string, w Wanted) *Host {
	host, err := hosts.Host(name)
	if err != nil {
		return &Host{Name: name, Err: err}
	}
	began := time.Now()
	answers, err := inquiry.Ask(ctx, host, w.question(), w.More...)
	if err != nil {
		return &Host{Name: name, Err: fmt.Errorf("looking at %s: %w", name, err)}
	}
	return Read(name, answers, began, time.Now())
}

func (w Wanted) question() inquiry.Question {
	return inquiry.Question{Text: hostScript, Env: map[string]string{
		"VERSION": w.Version, "LINE": w.Line, "REVISIONS": strings.Join(w.Revisions, " "), "IMAGES": strings.Join(w.Images, " "),
	}}
}
