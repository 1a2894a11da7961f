// Package corefile tells whether kubeadm can carry a Corefile over to another version of CoreDNS, by the very library that
// kubeadm does it with. It is the only importer of that library.
package corefile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/coredns/corefile-migration/migration"
)

// Known lists the versions of CoreDNS that the migration knows, oldest first, without a v.
func Known() []string { return migration.ValidVersions() }

// Troubles says, one sentence each, why kubeadm would refuse to carry the Corefile over from one version to another; with
// or without a v, such as "v1.10.1". None means that it can. A version that the migration does not know is for the version
// policy to speak of, and troubles nobody here.
func Troubles(text, from, to string) []string {
	from, to = strings.TrimPrefix(from, "v"), strings.TrimPrefix(to, "v")
	known := Known()
	at := slices.Index(known, from)
	if at < 0 {
		return nil
	}
	if from == to && at+1 < len(known) {
		to = known[at+1] // kubeadm looks for plugins that it does not know even where nothing moves; the library does not
	}
	notices, err := unsupported(from, to, text)
	if err != nil {
		return []string{"the migration of kubeadm fails: " + err.Error()}
	}
	var all []string
	for _, n := range notices {
		if words := named(n); !slices.Contains(all, words) {
			all = append(all, words)
		}
	}
	return all
}

// unsupported asks the library, which panics over some texts that are no Corefile, as kubeadm does then.
func unsupported(from, to, text string) (notices []migration.Notice, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it cannot read the Corefile: %v", p)
		}
	}()
	return migration.Unsupported(from, to, text)
}

func named(n migration.Notice) string {
	if n.Option == "" {
		return "the migration of kubeadm does not know the plugin " + n.Plugin
	}
	return "the migration of kubeadm does not know the option " + n.Option + " of the plugin " + n.Plugin
}
