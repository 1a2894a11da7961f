//go:build linux

package cluster

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"text/template"

	"upgrader.dev/upgrader/examples/lab/build"
)

//go:embed files
var filesFS embed.FS

// A disk is what the files of a host's first boot are made from.
type disk struct {
	Gateway   string
	Files     string   // where packages and images are
	Addresses []string // lines of /etc/hosts
	Release   build.Release
}

// fill makes the text of a template in files.
func fill[T any](name string, data T) ([]byte, error) {
	t, err := template.ParseFS(filesFS, "files/"+name)
	if err != nil {
		return nil, fmt.Errorf("reading the template %s: %w", name, err)
	}
	var out bytes.Buffer
	if err := t.Option("missingkey=error").Execute(&out, data); err != nil {
		return nil, fmt.Errorf("filling in %s: %w", name, err)
	}
	return out.Bytes(), nil
}

func (l *Lab) disk(r build.Release) disk {
	d := disk{Gateway: l.Gateway(), Files: l.at(filesPort), Release: r}
	for _, name := range l.possible() {
		d.Addresses = append(d.Addresses, l.Address(name)+" "+name)
	}
	return d
}

// prepare writes a host's disk before its first boot, as whoever installs machines would.
func (l *Lab) prepare(name string, r build.Release) error {
	done := filepath.Join(l.hostDir(name), "prepared")
	if _, err := os.Lstat(done); err == nil {
		return nil
	}
	root := filepath.Join(l.hostDir(name), "upper")
	if err := l.writeDisk(root, r); err != nil {
		return fmt.Errorf("preparing %s: %w", name, err)
	}
	if isControlPlane(name) {
		for _, program := range []string{"etcdctl", "etcdutl"} {
			if err := copyProgram(l.cache.Etcd(r.Version, program), filepath.Join(root, "usr/local/bin", program)); err != nil {
				return fmt.Errorf("preparing %s: %w", name, err)
			}
		}
	}
	return replace(done, nil, 0o644)
}

func (l *Lab) writeDisk(root string, r build.Release) error {
	key, err := os.ReadFile(l.Key() + ".pub")
	if err != nil {
		return fmt.Errorf("reading the lab's key: %w", err)
	}
	trusted, err := os.ReadFile(filepath.Join(l.cache.Apt(), "core:/stable:", r.Minor(), "deb/Release.key"))
	if err != nil {
		return fmt.Errorf("reading the repository's key: %w", err)
	}
	texts := map[string][]byte{
		"root/.ssh/authorized_keys":                   key,
		"etc/apt/keyrings/kubernetes-apt-keyring.asc": trusted,
	}
	for path, name := range map[string]string{
		"etc/hosts":                                         "hosts",
		"etc/apt/sources.list.d/kubernetes.list":            "kubernetes.list",
		"etc/containerd/config.toml":                        "containerd.toml",
		"etc/containerd/certs.d/registry.k8s.io/hosts.toml": "mirror.toml",
		"etc/resolv.conf":                                   "resolv.conf",
		"etc/crictl.yaml":                                   "crictl.yaml",
	} {
		if texts[path], err = fill(name, l.disk(r)); err != nil {
			return err
		}
	}
	for path, text := range texts {
		if err := writeBelow(root, path, text); err != nil {
			return err
		}
	}
	return os.Chmod(filepath.Join(root, "root/.ssh"), 0o700) //nolint:gosec // a directory
}

// writeBelow writes a file of a disk. Directories are everybody's to read, as on any Debian.
func writeBelow(root, path string, data []byte) error {
	full := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil { //nolint:gosec // as on any Debian
		return fmt.Errorf("writing a disk: %w", err)
	}
	return replace(full, data, 0o644)
}

// copyProgram copies: a link would let the host write into the cache.
func copyProgram(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copying a program: %w", err)
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // as on any Debian
		return fmt.Errorf("copying a program: %w", err)
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, fs.FileMode(0o755))
	if err != nil {
		return fmt.Errorf("copying a program: %w", err)
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copying %s to %s: %w", from, to, err)
	}
	return nil
}
