//go:build linux

package cluster

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"upgrader.dev/upgrader/examples/lab/build"
)

// TestInventory proves that the inventory is the one that upgrader is known to take.
func TestInventory(t *testing.T) {
	got, err := example.inventory()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "inventory.yaml", got)
}

// TestKubeadmConfig proves what kubeadm is told: on the first host, on further control planes and on workers.
func TestKubeadmConfig(t *testing.T) {
	secrets := joining{Token: "abcdef.0123456789abcdef", CAHash: "sha256:1234"}
	withKey := secrets
	withKey.CertificateKey = "5678"
	for _, r := range build.Releases() {
		for name, host := range map[string]struct {
			name string
			join *joining
		}{"init": {"cp1", nil}, "join-control-plane": {"cp2", &withKey}, "join-worker": {"w1", &secrets}} {
			got, err := example.kubeadmConfig(host.name, r.Version, host.join)
			if err != nil {
				t.Fatal(err)
			}
			documents(t, got)
			if host.join == nil {
				name += "-" + r.Version
			}
			golden(t, "kubeadm-"+name+".yaml", got)
		}
	}
}

func documents(t *testing.T, text []byte) []map[string]any {
	t.Helper()
	var all []map[string]any
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var one map[string]any
		if err := d.Decode(&one); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		all = append(all, one)
	}
}

// TestWorkload proves that every manifest is YAML in the workload's namespace, that each budget chooses the pods of what
// it protects, and that the service's port is the one that the balancer asks.
func TestWorkload(t *testing.T) {
	paths, err := fs.Glob(filesFS, "files/workload/*.yaml")
	if err != nil || len(paths) != 5 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		text, _ := filesFS.ReadFile(path)
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		for _, d := range documents(t, text) {
			meta := d["metadata"].(map[string]any)
			if d["kind"] != "Namespace" && (meta["namespace"] != namespace || meta["name"] != name) {
				t.Errorf("%s: %v %v", path, d["kind"], meta)
			}
			if d["kind"] != "PodDisruptionBudget" {
				continue
			}
			spec := d["spec"].(map[string]any)
			labels := spec["selector"].(map[string]any)["matchLabels"].(map[string]any)
			most := map[string]int{"web": 1, "stubborn": 0}[name]
			if labels["app"] != name || spec["maxUnavailable"] != most {
				t.Errorf("%s: the budget is %v", path, spec)
			}
		}
	}
	web, _ := filesFS.ReadFile("files/workload/web.yaml")
	if !strings.Contains(string(web), "nodePort: 30080") || nodePort != 30080 {
		t.Error("the balancer asks another port than the service has")
	}
}

// TestDisk proves that a host's disk has what it boots with, its secrets under the right modes, and nothing unfilled.
func TestDisk(t *testing.T) {
	c := build.Cache{Dir: t.TempDir()}
	l := &Lab{Dir: c.Lab("lab"), cache: c, Plan: example}
	r := build.Releases()[0]
	release := filepath.Join(c.Apt(), "core:/stable:", r.Minor(), "deb/Release.key")
	for path, text := range map[string]string{l.Key() + ".pub": "ssh-ed25519 KEY", release: "PGP", c.Etcd(r.Version, "etcdctl"): "1", c.Etcd(r.Version, "etcdutl"): "2"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.prepare("cp1", r); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(l.hostDir("cp1"), "upper")
	for path, want := range map[string]string{
		"etc/hosts":                  "10.77.3.24 w4",
		"etc/resolv.conf":            "nameserver 10.77.3.1",
		"root/.ssh/authorized_keys":  "ssh-ed25519 KEY",
		"etc/containerd/config.toml": `sandbox_image = "registry.k8s.io/pause:3.9"`,
		"etc/containerd/certs.d/registry.k8s.io/hosts.toml": `[host."http://10.77.3.1:8077"]`,
		"etc/apt/sources.list.d/kubernetes.list":            "http://10.77.3.1:8077/core:/stable:/v1.27/deb/ /",
		"etc/apt/keyrings/kubernetes-apt-keyring.asc":       "PGP",
		"usr/local/bin/etcdutl":                             "2",
	} {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil || !strings.Contains(string(text), want) || strings.Contains(string(text), "{{") {
			t.Errorf("%s: %v\n%s", path, err, text)
		}
	}
	for path, want := range map[string]fs.FileMode{"root/.ssh": 0o700, "usr/local/bin/etcdctl": 0o755, "etc": 0o755} {
		if info, err := os.Stat(filepath.Join(root, path)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}
}

// TestFiles proves that the server speaks as much of the registry's protocol as a pull takes, gives out packages, and
// takes nothing.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for path, text := range map[string]string{
		"registry/v2/lab/hello/manifests/1":      `{"manifest":1}`,
		"registry/v2/lab/hello/blobs/sha256:abc": "blob",
		"apt/core:/stable:/v1.28/deb/InRelease":  "packages",
		"secret":                                 "not for everybody",
	} {
		full := filepath.Join(dir, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(files(filepath.Join(dir, "apt"), filepath.Join(dir, "registry")))
	defer server.Close()
	for _, c := range []struct {
		method, path, kind, digest, body string
		code                             int
	}{
		{"GET", "/v2/", "", "", "", 200},
		{"GET", "/v2/lab/hello/manifests/1", manifestType, "sha256:", `{"manifest":1}`, 200},
		{"HEAD", "/v2/lab/hello/manifests/1", manifestType, "sha256:", "", 200},
		{"GET", "/v2/lab/hello/blobs/sha256:abc", "application/octet-stream", "sha256:abc", "blob", 200},
		{"GET", "/v2/lab/hello/manifests/2", "application/json", "", `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"the lab's registry has no lab/hello/manifests/2"}]}`, 404},
		{"GET", "/core:/stable:/v1.28/deb/InRelease", "", "", "packages", 200},
		{"GET", "/v2/../../secret", "", "", "", 404},
		{"PUT", "/v2/lab/hello/manifests/1", "", "", "the lab's files are read-only\n", 405},
	} {
		request, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		h := response.Header
		if response.StatusCode != c.code || c.kind != "" && h.Get("Content-Type") != c.kind || !strings.HasPrefix(h.Get("Docker-Content-Digest"), c.digest) || c.body != "" && string(body) != c.body {
			t.Errorf("%s %s: %d %v %q", c.method, c.path, response.StatusCode, h, body)
		}
	}
}
