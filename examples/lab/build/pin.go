//go:build linux

package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Pin makes what a Kubernetes version is built from: the nested module with every staging module at its version, those
// of its etcd and CoreDNS, and the row for the table of releases, which it prints. Run again it goes on where it stopped.
// It is for maintainers, and needs the module proxy.
func Pin(ctx context.Context, version string, show io.Writer) error {
	version = bare(version)
	if !regexp.MustCompile(`^1\.\d+\.\d+$`).MatchString(version) {
		return fmt.Errorf("%q is no Kubernetes version: give it as 1.28.15", version)
	}
	src, err := findSource(ctx)
	if err != nil {
		return err
	}
	p := pin{src: src, show: show}
	r, err := p.kubernetes(ctx, version)
	if err != nil {
		return fmt.Errorf("pinning Kubernetes %s: %w", version, err)
	}
	etcd, coredns := r.etcdVersion(), bare(r.CoreDNS)
	err = errors.Join(
		p.others(ctx, "etcd-"+etcd, "go.etcd.io/etcd/server/v3@v"+etcd, "go.etcd.io/etcd/etcdctl/v3@v"+etcd, "go.etcd.io/etcd/etcdutl/v3@v"+etcd),
		p.others(ctx, "coredns-"+coredns, "github.com/coredns/coredns@v"+coredns))
	if err != nil {
		return err
	}
	if slices.Contains(Releases(), r) {
		fmt.Fprintf(show, "Kubernetes %s is pinned: `lab build %s` builds it\n", version, version)
		return nil
	}
	fmt.Fprintf(show, "now add this row to examples/lab/build/release.go, and run `lab build %s`:\n"+
		"\t{Version: %q, Etcd: %q, CoreDNS: %q, Pause: %q},\n", version, r.Version, r.Etcd, r.CoreDNS, r.Pause)
	return nil
}

// A pin is the pinning of one version.
type pin struct {
	src  source
	show io.Writer
}

// kubernetes writes the module of a version, unless it is there, completes its go.sum, and reads what it wants beside.
func (p pin) kubernetes(ctx context.Context, version string) (Release, error) {
	dir := p.src.module("kubernetes-" + version)
	sources, err := p.download(ctx, "k8s.io/kubernetes@v"+version)
	if err != nil {
		return Release{}, err
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); errors.Is(err, fs.ErrNotExist) {
		upstream, err := p.read(ctx, filepath.Join(sources, "go.mod"))
		if err != nil {
			return Release{}, err
		}
		if err := writeFile(filepath.Join(dir, "go.mod"), []byte(upstream.pinned(version))); err != nil {
			return Release{}, err
		}
		fmt.Fprintf(p.show, "wrote %s\n", filepath.Join(dir, "go.mod"))
	}
	var packages []string
	for _, program := range kubernetesPrograms() {
		packages = append(packages, "k8s.io/kubernetes/cmd/"+program)
	}
	if err := p.sum(ctx, dir, packages...); err != nil {
		return Release{}, fmt.Errorf("%w\nIf a sample module cannot be had at its version, no program needs it: put a neighbouring version into %s, and run it again",
			err, filepath.Join(dir, "go.mod"))
	}
	r, err := wants(filepath.Join(sources, "cmd/kubeadm/app/constants/constants.go"))
	r.Version = version
	return r, err
}

// download fetches a module and returns the folder with its sources.
func (p pin) download(ctx context.Context, module string) (string, error) {
	out, err := p.run(ctx, p.src.root, "", "mod", "download", "-json", module)
	if err != nil {
		return "", err
	}
	var got struct{ Dir string }
	if err := json.Unmarshal(out, &got); err != nil {
		return "", fmt.Errorf("reading what go mod download %s says: %w", module, err)
	}
	return got.Dir, nil
}

// sum completes go.sum for every architecture that the lab runs on.
func (p pin) sum(ctx context.Context, dir string, packages ...string) error {
	for _, arch := range []string{"amd64", "arm64"} {
		if _, err := p.run(ctx, dir, arch, append([]string{"list", "-mod=mod", "-deps"}, packages...)...); err != nil {
			return err
		}
	}
	return nil
}

// others writes a module that requires some others, unless it is there.
func (p pin) others(ctx context.Context, name string, modules ...string) error {
	dir := p.src.module(name)
	if _, err := os.Stat(filepath.Join(dir, "go.sum")); err == nil {
		return nil
	}
	text := fmt.Sprintf("module %s/examples/lab/modules/%s\n\ngo 1.21\n", modulePath, name)
	if err := writeFile(filepath.Join(dir, "go.mod"), []byte(text)); err != nil {
		return fmt.Errorf("pinning %s: %w", name, err)
	}
	if _, err := p.run(ctx, dir, "", append([]string{"get"}, modules...)...); err != nil {
		return errors.Join(fmt.Errorf("pinning %s: %w", name, err), os.RemoveAll(dir))
	}
	fmt.Fprintf(p.show, "wrote %s\n", filepath.Join(dir, "go.mod"))
	return nil
}

// run runs go; an error is what it says.
func (p pin) run(ctx context.Context, dir, arch string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Stderr = dir, &stderr
	if arch != "" {
		cmd.Env = append(os.Environ(), goEnv(arch)...)
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", strings.Join(args[:min(3, len(args))], " "), err, strings.TrimSpace(stderr.String()+string(out)))
	}
	return out, nil
}
