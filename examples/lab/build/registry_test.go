//go:build linux

package build

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func program(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func testImage(t *testing.T, content string) image {
	return image{ref: "some/app:v1", entrypoint: []string{"/usr/bin/app", "serve"}, entries: []entry{
		{name: "usr/bin/app", from: program(t, content)}, {name: "bin", link: "usr/bin"}, {name: "tmp"},
	}}
}

func decode(t *testing.T, path string, into any) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
	return data
}

// A runtime follows tag, manifest, config and layer by their digests: all must be there, under the names they hash to.
func TestImageCanBePulled(t *testing.T) {
	registry := t.TempDir()
	if err := testImage(t, "one").put(registry); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(registry, "v2/some/app")
	var m manifest
	tag := decode(t, filepath.Join(dir, "manifests/v1"), &m)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(tag))
	if byDigest, err := os.ReadFile(filepath.Join(dir, "manifests", digest)); err != nil || !bytes.Equal(byDigest, tag) {
		t.Errorf("the manifest cannot be had by its digest: %v", err)
	}
	for _, d := range append(m.Layers, m.Config) {
		data, err := os.ReadFile(filepath.Join(dir, "blobs", d.Digest))
		if err != nil {
			t.Fatal(err)
		}
		if sum := fmt.Sprintf("sha256:%x", sha256.Sum256(data)); sum != d.Digest || int64(len(data)) != d.Size {
			t.Errorf("%s hashes to %s and has %d bytes, not %d", d.Digest, sum, len(data), d.Size)
		}
	}
	var c imageConfig
	decode(t, filepath.Join(dir, "blobs", m.Config.Digest), &c)
	if !slices.Equal(c.Config.Entrypoint, []string{"/usr/bin/app", "serve"}) || c.Rootfs.DiffIDs[0] != m.Layers[0].Digest {
		t.Errorf("the config says %+v", c)
	}
}

func TestLayerIsReproducibleAndSorted(t *testing.T) {
	var one, two bytes.Buffer
	i := testImage(t, "content")
	if err := writeLayer(&one, i.entries); err != nil {
		t.Fatal(err)
	}
	j := testImage(t, "content") // another file, made later
	slices.Reverse(j.entries)
	if err := writeLayer(&two, j.entries); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("the same files in another order give another layer")
	}
	var names []string
	for r := tar.NewReader(&one); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%s %o", h.Name, h.Mode))
	}
	want := []string{"bin 777", "tmp/ 755", "usr/ 755", "usr/bin/ 755", "usr/bin/app 755"}
	if !slices.Equal(names, want) {
		t.Errorf("the layer holds %q, want %q", names, want)
	}
}

func TestReplacedImageLeavesNothingBehind(t *testing.T) {
	registry := t.TempDir()
	for _, content := range []string{"one", "two"} {
		if err := testImage(t, content).put(registry); err != nil {
			t.Fatal(err)
		}
	}
	other := testImage(t, "three")
	other.ref = "some/app:v2"
	if err := other.put(registry); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]int{"blobs": 4, "manifests": 4} { // two images: a layer and a config, a tag and a digest each
		files, err := os.ReadDir(filepath.Join(registry, "v2/some/app", kind))
		if err != nil || len(files) != want {
			t.Errorf("%d %s, want %d: %v %v", len(files), kind, want, files, err)
		}
	}
}
