package survey

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/remote"
)

//go:embed host.sh
var hostScript string

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
	result, err := host.Query(ctx, remote.Script{Text: hostScript, Env: map[string]string{
		"VERSION": w.Version, "LINE": w.Line, "REVISIONS": strings.Join(w.Revisions, " "), "IMAGES": strings.Join(w.Images, " "),
	}})
	if err != nil {
		return &Host{Name: name, Err: fmt.Errorf("looking at %s: %w", name, err)}
	}
	return Read(name, result.Stdout, began, time.Now())
}
