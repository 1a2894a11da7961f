//go:build linux

package build

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// A binaries is what is built out of one Go module into one folder of bin/.
type binaries struct {
	name     string            // of the part
	dir      string            // in bin/
	module   string            // in modules/
	versions []string          // -X of the linker
	programs map[string]string // name of a program to its package
}

// kubernetesPrograms are built out of k8s.io/kubernetes/cmd.
func kubernetesPrograms() []string {
	return []string{"kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubeadm", "kubectl", "kubelet"}
}

func (l *list) kubernetes(r Release) (part, error) {
	b := binaries{name: "kubernetes " + r.Version, dir: "v" + r.Version, module: "kubernetes-" + r.Version, programs: map[string]string{}}
	for _, program := range kubernetesPrograms() {
		b.programs[program] = "k8s.io/kubernetes/cmd/" + program
	}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, set := range []string{
			"gitVersion=v" + r.Version, "gitMajor=1", "gitMinor=" + strconv.Itoa(r.minor()),
			"gitTreeState=clean", "gitCommit=upgrader-lab", "buildDate=2026-01-01T00:00:00Z",
		} {
			b.versions = append(b.versions, "-X "+pkg+"."+set)
		}
	}
	return l.goPart(b)
}

func (l *list) etcd(r Release) (part, error) {
	version := r.etcdVersion()
	return l.goPart(binaries{name: "etcd " + version, dir: "etcd-" + version, module: "etcd-" + version, programs: map[string]string{
		"etcd":    "go.etcd.io/etcd/server/v3",
		"etcdctl": "go.etcd.io/etcd/etcdctl/v3",
		"etcdutl": "go.etcd.io/etcd/etcdutl/v3",
	}})
}

func (l *list) coredns(r Release) (part, error) {
	version := bare(r.CoreDNS)
	return l.goPart(binaries{name: "coredns " + version, dir: "coredns-v" + version, module: "coredns-" + version,
		versions: []string{"-X github.com/coredns/coredns/coremain.GitCommit=upgrader-lab"},
		programs: map[string]string{"coredns": "github.com/coredns/coredns"}})
}

// cniVersion is that of the plugins, and of the package kubernetes-cni: the one that packages of these years came with.
const cniVersion = "1.2.0"

func (l *list) cni() (part, error) {
	b := binaries{name: "cni " + cniVersion, dir: "cni", module: "cni-" + cniVersion, programs: map[string]string{}}
	for _, plugin := range []string{"main/bridge", "main/loopback", "meta/portmap", "ipam/host-local"} {
		b.programs[filepath.Base(plugin)] = "github.com/containernetworking/plugins/plugins/" + plugin
	}
	return l.goPart(b)
}

func (l *list) crictl() (part, error) {
	sources, err := goFiles(l.src.module("crictl"))
	if err != nil {
		return part{}, err
	}
	p, err := l.goPart(binaries{name: "crictl", dir: "crictl", module: "crictl",
		programs: map[string]string{"crictl": modulePath + "/examples/lab/modules/crictl"}})
	p.key = keyOf(p.key, sources)
	return p, err
}

// pod is the program of the lab's own containers. It needs nothing but the standard library, hence no module.
func (l *list) pod() (part, error) {
	sources, err := goFiles(filepath.Join(l.src.lab, "pod"))
	b := binaries{name: "pod", dir: "pod", programs: map[string]string{"pod": modulePath + "/examples/lab/pod"}}
	return l.binaries(b, l.src.root, keyOf(l.src.goVersion, runtime.GOARCH, sources)), err
}

func (l *list) goPart(b binaries) (part, error) {
	pinned, err := l.src.pinned(b.module)
	return l.binaries(b, l.src.module(b.module), pinned), err
}

func (l *list) binaries(b binaries, dir, pinned string) part {
	p := part{name: b.name, key: keyOf(append(b.flags(), append(b.packages(), pinned)...)...)}
	for program := range b.programs {
		p.products = append(p.products, l.cache.path("bin", b.dir, program))
	}
	p.make = func(ctx context.Context, j *job) error { return j.compile(ctx, b, dir) }
	return p
}

func (b binaries) packages() []string {
	return slices.Sorted(maps.Values(b.programs))
}

// flags of go build. What go.sum does not name is not built; neither folders nor commits get into a binary, so that the
// same sources give the same bytes.
func (b binaries) flags() []string {
	return []string{"-mod=readonly", "-trimpath", "-buildvcs=false", "-v",
		"-ldflags=" + strings.Join(append([]string{"-s", "-w"}, b.versions...), " ")}
}

// goEnv keeps settings of the person who builds out of what is built.
func goEnv(arch string) []string {
	return []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch, "GOFLAGS=", "GOWORK=off"}
}

// compile builds all programs by one go build: packages that they share are compiled once, and links run side by side.
func (j *job) compile(ctx context.Context, b binaries, dir string) error {
	out := filepath.Join(j.tmp, "bin")
	argv := slices.Concat([]string{"go", "build", "-o", out + "/"}, b.flags(), b.packages())
	if err := j.count(ctx, b, dir); err != nil {
		return err
	}
	if err := j.run(ctx, command{dir: dir, env: goEnv(runtime.GOARCH), argv: argv}); err != nil {
		return err
	}
	if err := b.rename(out); err != nil {
		return fmt.Errorf("naming the programs: %w", err)
	}
	return j.publish(out, j.cache.path("bin", b.dir))
}

// count tells how many packages there are to compile. Like the build it downloads what is not there.
func (j *job) count(ctx context.Context, b binaries, dir string) error {
	argv := append([]string{"go", "list", "-mod=readonly", "-deps"}, b.packages()...)
	out, err := j.output(ctx, command{dir: dir, env: goEnv(runtime.GOARCH), argv: argv})
	j.show.expect(strings.Count(string(out), "\n"))
	return err
}

// rename gives programs their names where go build takes another one from the path of the package.
func (b binaries) rename(out string) error {
	for program, pkg := range b.programs {
		if built := builtName(pkg); built != program {
			if err := os.Rename(filepath.Join(out, built), filepath.Join(out, program)); err != nil {
				return err
			}
		}
	}
	return nil
}

// builtName is what go build calls a program: the last element of its path that is not a major version.
func builtName(pkg string) string {
	if dir, last := path.Split(pkg); len(last) == 2 && last[0] == 'v' {
		return path.Base(dir)
	}
	return path.Base(pkg)
}

// goFiles are the sources of a program in one folder, tests left out.
func goFiles(dir string) (string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return "", err
	}
	return contents(slices.DeleteFunc(paths, func(p string) bool { return strings.HasSuffix(p, "_test.go") })...)
}
