//go:build linux

package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// A goMod is what `go mod edit -json` says of a go.mod.
type goMod struct {
	Go      string
	Require []struct{ Path, Version string }
	Replace []struct {
		Old struct{ Path string }
		New struct{ Path, Version string }
	}
}

func (p pin) read(ctx context.Context, path string) (goMod, error) {
	var m goMod
	out, err := p.run(ctx, p.src.root, "", "mod", "edit", "-json", path)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(out, &m); err != nil {
		return m, fmt.Errorf("reading %s: %w", path, err)
	}
	return m, nil
}

// pinned writes the go.mod that builds Kubernetes. Its own requires the staging modules at v0.0.0, which is nowhere to
// be had: they are replaced by the versions that were released with it.
func (m goMod) pinned(version string) string {
	name := "kubernetes-" + version
	var b strings.Builder
	fmt.Fprintf(&b, "// Builds Kubernetes %s out of its module. Written by `lab pin %s`.\n", version, version)
	fmt.Fprintf(&b, "module %s/examples/lab/modules/%s\n\ngo %s\n\nrequire k8s.io/kubernetes v%s\n\nreplace (\n", modulePath, name, m.Go, version)
	for _, module := range m.staging() {
		fmt.Fprintf(&b, "\t%s => %s v0.%s\n", module, module, strings.TrimPrefix(version, "1."))
	}
	b.WriteString(")\n")
	return b.String()
}

func (m goMod) staging() []string {
	var all []string
	for _, r := range m.Require {
		if strings.HasPrefix(r.Path, "k8s.io/") && r.Version == "v0.0.0" {
			all = append(all, r.Path)
		}
	}
	for _, r := range m.Replace {
		if strings.HasPrefix(r.New.Path, "./staging/") {
			all = append(all, r.Old.Path)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// wants reads from kubeadm's constants what goes with a Kubernetes version.
func wants(path string) (Release, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return Release{}, fmt.Errorf("reading kubeadm's constants: %w", err)
	}
	var r Release
	fields := map[string]*string{"DefaultEtcdVersion": &r.Etcd, "CoreDNSVersion": &r.CoreDNS, "PauseVersion": &r.Pause}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 {
			if value, ok := spec.Values[0].(*ast.BasicLit); ok && fields[spec.Names[0].Name] != nil {
				*fields[spec.Names[0].Name], err = strconv.Unquote(value.Value)
			}
		}
		return true
	})
	if r.Etcd == "" || r.CoreDNS == "" || r.Pause == "" {
		return r, errors.Join(err, fmt.Errorf("%s names no DefaultEtcdVersion, CoreDNSVersion or PauseVersion (%+v): "+
			"ask `kubeadm config images list`", path, r))
	}
	return r, err
}
