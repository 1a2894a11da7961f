//go:build linux

package build

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

//go:embed files
var unitFS embed.FS

// A deb is a Debian package.
type deb struct {
	name, version, depends, summary string

	files     []debFile
	dirs      []string
	conffiles []string // kept as the host has them
	postinst  string
}

// A debFile is a file of the package, by where it is taken from: a path, or its content.
type debFile struct {
	to, from string
	content  string
	mode     os.FileMode
}

// debs are the packages that the repository of a minor version holds for a release, laid out and depending as the
// community's. As with those, installing kubelet neither enables nor restarts it.
func debs(c Cache, r Release) ([]deb, error) {
	unit, err := unitFS.ReadFile("files/kubelet.service")
	if err != nil {
		return nil, err
	}
	dropin, err := unitFS.ReadFile("files/10-kubeadm.conf")
	if err != nil {
		return nil, err
	}
	program := func(from string) debFile {
		return debFile{to: "usr/bin/" + filepath.Base(from), from: from, mode: 0o755}
	}
	text := func(to, content string) debFile { return debFile{to: to, content: content, mode: 0o644} }
	cni := deb{name: "kubernetes-cni", version: cniVersion + "-2.1", summary: "Container network plugins"}
	for _, plugin := range []string{"bridge", "host-local", "loopback", "portmap"} {
		cni.files = append(cni.files, debFile{to: "opt/cni/bin/" + plugin, from: c.path("bin", "cni", plugin), mode: 0o755})
	}
	return []deb{cni,
		{name: "cri-tools", version: strings.TrimPrefix(r.Minor(), "v") + ".0-1.1", summary: "Command-line utility for the Container Runtime Interface",
			files: []debFile{program(c.path("bin", "crictl", "crictl"))}},
		{name: "kubectl", version: r.Revision(), summary: "Command-line utility for interacting with a Kubernetes cluster",
			files: []debFile{program(c.Kubernetes(r.Version, "kubectl"))}},
		{name: "kubeadm", version: r.Revision(), summary: "Command-line utility for administering a Kubernetes cluster",
			depends: "cri-tools (>= 1.25.0)",
			files:   []debFile{program(c.Kubernetes(r.Version, "kubeadm")), text("usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf", string(dropin))}},
		{name: "kubelet", version: r.Revision(), summary: "Node agent for Kubernetes clusters",
			depends: "iptables (>= 1.4.21), kubernetes-cni (>= 1.2.0), iproute2, socat, util-linux, mount, ebtables, ethtool, conntrack",
			files: []debFile{program(c.Kubernetes(r.Version, "kubelet")), text("usr/lib/systemd/system/kubelet.service", string(unit)),
				text("etc/default/kubelet", "KUBELET_EXTRA_ARGS=\n")},
			dirs:      []string{"etc/kubernetes/manifests"},
			conffiles: []string{"/etc/default/kubelet"},
			postinst:  "#!/bin/sh\n[ ! -d /run/systemd/system ] || systemctl daemon-reload || true\n"},
	}, nil
}

// file is the name of the package in a repository.
func (d deb) file() string { return fmt.Sprintf("%s_%s_%s.deb", d.name, d.version, runtime.GOARCH) }

// control is what dpkg is to know of the package. Debian calls amd64 and arm64 as Go does.
func (d deb) control() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Package: %s\nVersion: %s\nArchitecture: %s\n", d.name, d.version, runtime.GOARCH)
	b.WriteString("Maintainer: upgrader lab <root@localhost>\nSection: admin\nPriority: optional\n")
	if d.depends != "" {
		fmt.Fprintf(&b, "Depends: %s\n", d.depends)
	}
	fmt.Fprintf(&b, "Description: %s\n", d.summary)
	return b.String()
}

// pack writes the package into a folder of the job's own.
func (j *job) pack(ctx context.Context, d deb, folder string) error {
	root := filepath.Join(j.tmp, d.name)
	if err := d.layOut(root); err != nil {
		return fmt.Errorf("laying out %s: %w", d.name, err)
	}
	// -z1: served to hosts on this machine, speed counts more than size
	argv := []string{"dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", d.name, filepath.Join(folder, d.file())}
	return j.run(ctx, command{dir: j.tmp, argv: argv, env: []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", epoch().Unix())}})
}

func (d deb) layOut(root string) error {
	files := append(d.files, debFile{to: "DEBIAN/control", content: d.control(), mode: 0o644})
	if len(d.conffiles) > 0 {
		files = append(files, debFile{to: "DEBIAN/conffiles", content: strings.Join(d.conffiles, "\n") + "\n", mode: 0o644})
	}
	if d.postinst != "" {
		files = append(files, debFile{to: "DEBIAN/postinst", content: d.postinst, mode: 0o755})
	}
	for _, f := range files {
		if err := f.put(root); err != nil {
			return err
		}
	}
	for _, dir := range d.dirs {
		if err := makeFolder(filepath.Join(root, dir)); err != nil {
			return err
		}
	}
	return nil
}

func (f debFile) put(root string) error {
	to := filepath.Join(root, f.to)
	if err := makeFolder(filepath.Dir(to)); err != nil {
		return err
	}
	data := []byte(f.content)
	if f.from != "" {
		var err error
		if data, err = os.ReadFile(f.from); err != nil {
			return err
		}
	}
	return os.WriteFile(to, data, f.mode)
}
