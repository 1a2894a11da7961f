//go:build linux

package build

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// images puts what the kubeadm of a release pulls into the registry.
func (l *list) images(r Release) (part, error) {
	p := part{
		name: "images " + r.Version,
		key: keyOf(layout, l.keysOf("kubernetes "+r.Version, "etcd "+r.etcdVersion(), "coredns "+bare(r.CoreDNS), rootfsName),
			strings.Join(r.images(), " ")),
		make: func(ctx context.Context, j *job) error { return j.makeImages(ctx, r) },
	}
	for _, ref := range r.images() {
		p.products = append(p.products, l.cache.manifest(ref))
	}
	return p, nil
}

// helloRef is the image of the workload.
const helloRef = "lab/hello:1"

// podImage puts the images of the lab's own program into the registry: pause, by every tag that a release wants, and
// the workload's.
func (l *list) podImage() (part, error) {
	refs := []string{helloRef}
	for _, r := range Releases() {
		refs = append(refs, "pause:"+r.Pause)
	}
	slices.Sort(refs)
	refs = slices.Compact(refs)
	p := part{name: "images of the lab", key: keyOf(layout, l.keysOf("pod"), strings.Join(refs, " "))}
	for _, ref := range refs {
		p.products = append(p.products, l.cache.manifest(ref))
	}
	p.make = func(_ context.Context, j *job) error {
		var errs []error
		for _, ref := range refs {
			errs = append(errs, j.cache.podImage(ref).put(j.cache.Registry()))
		}
		return errors.Join(errs...)
	}
	return p, nil
}

func (c Cache) podImage(ref string) image {
	entrypoint := []string{"/pause"}
	if ref == helloRef {
		entrypoint = []string{"/pause", "serve"}
	}
	return image{ref: ref, entrypoint: entrypoint, entries: []entry{{name: "pause", from: c.path("bin", "pod", "pod")}}}
}

func (c Cache) manifest(ref string) string {
	name, tag, _ := strings.Cut(ref, ":")
	return c.path("registry", "v2", name, "manifests", tag)
}

func (j *job) makeImages(ctx context.Context, r Release) error {
	if err := j.agree(ctx, r); err != nil {
		return err
	}
	for _, ref := range r.images() {
		i, err := j.image(r, ref)
		if err != nil {
			return err
		}
		if i.entries == nil { // one of the lab's own
			continue
		}
		if err := i.put(j.cache.Registry()); err != nil {
			return err
		}
	}
	return nil
}

// agree compares the table of releases with what kubeadm will pull.
func (j *job) agree(ctx context.Context, r Release) error {
	out, err := j.output(ctx, command{argv: []string{j.cache.Kubernetes(r.Version, "kubeadm"),
		"config", "images", "list", "--kubernetes-version", "v" + r.Version}})
	if err != nil {
		return err
	}
	wants := strings.Fields(strings.ReplaceAll(string(out), "registry.k8s.io/", ""))
	slices.Sort(wants)
	if !slices.Equal(wants, r.images()) {
		return fmt.Errorf("kubeadm %s wants the images %s, while release.go makes it %s: correct its row in release.go",
			r.Version, strings.Join(wants, " "), strings.Join(r.images(), " "))
	}
	return nil
}

func (j *job) image(r Release, ref string) (image, error) {
	name, _, _ := strings.Cut(ref, ":")
	program := func(to, from string) image {
		return image{ref: ref, entrypoint: []string{"/" + to}, entries: []entry{{name: to, from: from}}}
	}
	switch name {
	case "pause":
		return image{}, nil
	case "etcd":
		i := program("usr/local/bin/etcd", j.cache.Etcd(r.Version, "etcd"))
		for _, tool := range []string{"etcdctl", "etcdutl"} {
			i.entries = append(i.entries, entry{name: "usr/local/bin/" + tool, from: j.cache.Etcd(r.Version, tool)})
		}
		return i, nil
	case "coredns/coredns":
		return program("coredns", j.cache.path("bin", "coredns-"+r.CoreDNS, "coredns")), nil
	case "kube-proxy":
		i := program("usr/local/bin/kube-proxy", j.cache.Kubernetes(r.Version, name))
		tools, err := proxyTools(j.cache.Rootfs())
		i.entries = append(i.entries, tools...)
		return i, err
	default:
		return program("usr/local/bin/"+name, j.cache.Kubernetes(r.Version, name)), nil
	}
}
