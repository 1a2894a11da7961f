package knowledge

import (
	"slices"
	"strings"
)

// A Removal says since when a setting keeps a component from starting, and why.
type Removal struct {
	In     Minor  // the first minor that refuses it; for etcd that of the kubeadm that brings such an etcd
	What   string // "removed", "refused", "locked to true" or "locked to false"
	Note   string // what else is worth knowing; may be empty
	Remedy string // what to do, in the imperative; empty: take the setting away wherever it stands
	Source string

	// DroppedFrom is the file from which kubeadm of the minor In, and of no other, takes the flag by itself; empty: none.
	DroppedFrom string
}

type removedFlags struct {
	Component string   `yaml:"component" required:"true" enum:"kubelet,kube-apiserver,kube-controller-manager,kube-scheduler,kube-proxy,etcd"`
	In        Minor    `yaml:"in" required:"true" doc:"the first minor that does not take them"`
	Names     []string `yaml:"names" required:"true" doc:"without the dashes in front; a * at the end stands for any rest"`
	Note      string   `yaml:"note"`
	Remedy    string   `yaml:"remedy" doc:"default: take the flag away"`
	Dropped   string   `yaml:"droppedFrom" doc:"file from which kubeadm of this minor, and of no other, takes them by itself"`
	Source    string   `yaml:"source" required:"true"`
}

type refusedValues struct {
	Component string   `yaml:"component" required:"true" enum:"kubelet,kube-apiserver,kube-controller-manager,kube-scheduler,kube-proxy,etcd"`
	Flag      string   `yaml:"flag" required:"true" doc:"without the dashes in front"`
	In        Minor    `yaml:"in" required:"true" doc:"the first minor that refuses them"`
	Refused   []string `yaml:"refused" doc:"these values are refused"`
	Allowed   []string `yaml:"allowed" doc:"every value but these is refused"`
	Note      string   `yaml:"note"`
	Remedy    string   `yaml:"remedy" required:"true"`
	Source    string   `yaml:"source" required:"true"`
}

type removedPlugin struct {
	Plugin string `yaml:"plugin" required:"true" doc:"as --enable-admission-plugins names it"`
	In     Minor  `yaml:"in" required:"true" doc:"the first minor without it"`
	Note   string `yaml:"note"`
	Remedy string `yaml:"remedy" doc:"default: take the plugin out of the flags"`
	Source string `yaml:"source" required:"true"`
}

// FlagRemoved tells whether a component stops taking a flag between two minors. The flag may have dashes in front and a
// value behind it, and underscores in it, which Kubernetes reads as dashes.
func (b *Base) FlagRemoved(component, flag string, after, upTo Minor) (Removal, bool) {
	flag = flagName(flag)
	for _, f := range b.all.Flags {
		if f.Component == component && f.In.within(after, upTo) && slices.ContainsFunc(f.Names, func(n string) bool { return names(n, flag) }) {
			return Removal{f.In, "removed", f.Note, f.Remedy, f.Source, f.Dropped}, true
		}
	}
	return Removal{}, false
}

// ValueRefused tells whether a component begins to refuse this value of a flag between two minors.
func (b *Base) ValueRefused(component, flag, value string, after, upTo Minor) (Removal, bool) {
	flag = flagName(flag)
	for _, v := range b.all.Values {
		if v.Component == component && v.Flag == flag && v.In.within(after, upTo) && v.refuses(value) {
			return Removal{In: v.In, What: "refused", Note: v.Note, Remedy: v.Remedy, Source: v.Source}, true
		}
	}
	return Removal{}, false
}

func (v refusedValues) refuses(value string) bool {
	if len(v.Allowed) > 0 {
		return !slices.Contains(v.Allowed, value)
	}
	return slices.Contains(v.Refused, value)
}

// PluginRemoved tells whether kube-apiserver loses an admission plugin between two minors. It does not start when the
// plugin is enabled or disabled by name.
func (b *Base) PluginRemoved(plugin string, after, upTo Minor) (Removal, bool) {
	for _, p := range b.all.Plugins {
		if p.Plugin == plugin && p.In.within(after, upTo) {
			return Removal{In: p.In, What: "removed", Note: p.Note, Remedy: p.Remedy, Source: p.Source}, true
		}
	}
	return Removal{}, false
}

// flagName is the name of a flag as the data have it.
func flagName(flag string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(flag, "-"), "=")
	return strings.ReplaceAll(name, "_", "-")
}

// names tells whether a name of the data, which may end with a *, means the flag.
func names(pattern, flag string) bool {
	prefix, open := strings.CutSuffix(pattern, "*")
	return pattern == flag || open && strings.HasPrefix(flag, prefix)
}
