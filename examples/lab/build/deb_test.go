//go:build linux

package build

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestControl(t *testing.T) {
	got := deb{name: "kubeadm", version: "1.28.15-1.1", depends: "cri-tools (>= 1.25.0)", summary: "Administers a cluster"}.control()
	want := `Package: kubeadm
Version: 1.28.15-1.1
Architecture: ` + runtime.GOARCH + `
Maintainer: upgrader lab <root@localhost>
Section: admin
Priority: optional
Depends: cri-tools (>= 1.25.0)
Description: Administers a cluster
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if bare := (deb{name: "x", version: "1", summary: "y"}).control(); strings.Contains(bare, "Depends") {
		t.Errorf("depends on nothing, yet says\n%s", bare)
	}
}

func TestPackagesOfARelease(t *testing.T) {
	all, err := debs(Cache{"/c"}, Release{Version: "1.28.15"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range all {
		names = append(names, strings.TrimSuffix(d.file(), "_"+runtime.GOARCH+".deb"))
	}
	want := "kubernetes-cni_1.2.0-2.1 cri-tools_1.28.0-1.1 kubectl_1.28.15-1.1 kubeadm_1.28.15-1.1 kubelet_1.28.15-1.1"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLayOut(t *testing.T) {
	root := t.TempDir()
	d := deb{name: "kubelet", version: "1", summary: "Node agent",
		files:     []debFile{{to: "usr/bin/kubelet", from: program(t, "elf"), mode: 0o755}, {to: "etc/default/kubelet", content: "A=\n", mode: 0o644}},
		dirs:      []string{"etc/kubernetes/manifests"},
		conffiles: []string{"/etc/default/kubelet"}, postinst: "#!/bin/sh\n"}
	if err := d.layOut(root); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"usr/bin/kubelet": "-rwxr-xr-x", "etc/default/kubelet": "-rw-r--r--", "etc/kubernetes/manifests": "drwxr-xr-x",
		"DEBIAN/control": "-rw-r--r--", "DEBIAN/conffiles": "-rw-r--r--", "DEBIAN/postinst": "-rwxr-xr-x",
	} {
		if info, err := os.Stat(filepath.Join(root, path)); err != nil || info.Mode().String() != want {
			t.Errorf("%s: %v %v, want %s", path, info, err, want)
		}
	}
}

func TestOnlyPinnedPackagesAreKept(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for _, name := range []string{"kubelet_1.28.15-1.1_amd64.deb", "kubelet_1.28.1-1.1_amd64.deb"} {
		if err := os.WriteFile(filepath.Join(from, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := keepPinned(from, to); err != nil {
		t.Fatal(err)
	}
	if kept, err := filepath.Glob(filepath.Join(to, "*")); err != nil || len(kept) != 1 || filepath.Base(kept[0]) != "kubelet_1.28.15-1.1_amd64.deb" {
		t.Errorf("kept %v, %v", kept, err)
	}
}
