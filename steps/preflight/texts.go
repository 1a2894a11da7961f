package preflight

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"upgrader.dev/upgrader/engine/document"
	"upgrader.dev/upgrader/engine/printable"
)

// The files in which the settings of kubeadm clusters stand.
const (
	kubeletConfigFile = "/var/lib/kubelet/config.yaml"
	manifests         = "/etc/kubernetes/manifests/"
)

// tree reads a YAML text that a cluster holds; nil if it is none. Its faults are not ours to report: who reads it for a
// living does.
func tree(text string) *document.Value {
	v, err := document.Parse("", []byte(text))
	if err != nil {
		return nil
	}
	printable.Clean(v) // the escapes of YAML have become characters again
	return v
}

// member finds a member of a mapping, or nil.
func member(v *document.Value, keys ...string) *document.Value {
	for _, key := range keys {
		if v == nil {
			return nil
		}
		i := slices.IndexFunc(v.Members, func(m document.Member) bool { return m.Key == key })
		if i < 0 {
			return nil
		}
		v = v.Members[i].Value
	}
	return v
}

// scalarOf is a scalar of a YAML text by its keys.
func scalarOf(text string, keys ...string) (string, bool) {
	v := member(tree(text), keys...)
	if v == nil || v.Kind != document.Scalar {
		return "", false
	}
	return v.Text, true
}

// flatten writes a tree as lines of path and value: what two documents differ in can be told by comparing them.
func flatten(v *document.Value) map[string]string {
	out := map[string]string{}
	flattenInto(out, "", v)
	return out
}

func flattenInto(out map[string]string, path string, v *document.Value) {
	switch {
	case v == nil:
	case v.Kind == document.Map:
		for _, m := range v.Members {
			flattenInto(out, strings.TrimPrefix(path+"."+m.Key, "."), m.Value)
		}
	case v.Kind == document.List:
		var items []string
		for _, item := range v.Items {
			items = append(items, item.Text)
			if item.Kind != document.Scalar {
				items[len(items)-1] = strings.Join(flatLines(flatten(item)), " ")
			}
		}
		out[path] = "[" + strings.Join(items, ", ") + "]"
	default:
		out[path] = v.Text
	}
}

func flatLines(flat map[string]string) []string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(flat)) {
		all = append(all, key+": "+flat[key])
	}
	return all
}

// A flag is one flag of a command line, and the line where it stands.
type flag struct{ name, value, line string }

// written finds flags in the text of a file: --name=value, --name value, --name. Comments are left out.
var written = regexp.MustCompile(`(?:^|[\s"'=\[])--([A-Za-z][A-Za-z0-9_-]*)(?:=("[^"]*"|'[^']*'|[^\s"']*)|[ \t]+([^\s"'-][^\s"']*))?`)

func flagsIn(text string) []flag {
	var all []flag
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		for _, m := range written.FindAllStringSubmatch(line, -1) {
			all = append(all, flag{m[1], strings.Trim(m[2]+m[3], `"'`), printable.Cut(line, printable.Message)})
		}
	}
	return all
}

// extraArgs are the flags of a component in kubeadm's ClusterConfiguration: a mapping up to v1beta3, a list of names and
// values from v1beta4 on.
func extraArgs(configuration string, keys ...string) []flag {
	args := member(tree(configuration), append(slices.Clone(keys), "extraArgs")...)
	if args == nil {
		return nil
	}
	var all []flag
	for _, m := range args.Members {
		all = append(all, flag{m.Key, m.Value.Text, strings.Join(keys, ".") + ".extraArgs." + m.Key + ": " + m.Value.Text})
	}
	for _, item := range args.Items {
		name, value := member(item, "name"), member(item, "value")
		if name != nil && value != nil {
			all = append(all, flag{name.Text, value.Text, strings.Join(keys, ".") + ".extraArgs: " + name.Text + "=" + value.Text})
		}
	}
	return all
}
