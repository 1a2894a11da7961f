//go:build linux

package build

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

// An image of the registry has one layer.
type image struct {
	ref        string // kube-apiserver:v1.27.3, without the registry
	entrypoint []string
	entries    []entry
}

// A descriptor points to a blob.
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// A manifest is what a tag stands for.
type manifest struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

// An imageConfig says how to run an image. The fields and their order are OCI's.
type imageConfig struct {
	Created      string `json:"created"`
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Config       struct {
		Env        []string
		Entrypoint []string
		WorkingDir string
	} `json:"config"`
	Rootfs struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

// put adds an image to a registry of static files: blobs first, and the tag last, so that whoever sees the tag can pull.
func (i image) put(registry string) error {
	name, tag, ok := strings.Cut(i.ref, ":")
	if !ok {
		return fmt.Errorf("image %q has no tag", i.ref)
	}
	dir := filepath.Join(registry, "v2", filepath.FromSlash(name))
	layer, err := putLayer(dir, i.entries)
	if err != nil {
		return fmt.Errorf("image %s: %w", i.ref, err)
	}
	config, err := putJSON(dir, "blobs", configType, i.config(layer))
	if err != nil {
		return fmt.Errorf("image %s: %w", i.ref, err)
	}
	m, err := putJSON(dir, "manifests", manifestType, manifest{2, manifestType, config, []descriptor{layer}})
	if err != nil {
		return fmt.Errorf("image %s: %w", i.ref, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "manifests", m.Digest))
	if err != nil {
		return fmt.Errorf("image %s: %w", i.ref, err)
	}
	return errors.Join(writeFile(filepath.Join(dir, "manifests", tag), data), prune(dir))
}

func (i image) config(layer descriptor) imageConfig {
	c := imageConfig{Created: epoch().Format("2006-01-02T15:04:05Z"), Architecture: runtime.GOARCH, OS: "linux"}
	c.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	c.Config.Entrypoint, c.Config.WorkingDir = i.entrypoint, "/"
	c.Rootfs.Type, c.Rootfs.DiffIDs = "layers", []string{layer.Digest}
	return c
}

// putLayer writes a layer under the name of its digest, which is known only at its end.
func putLayer(dir string, entries []entry) (descriptor, error) {
	blobs := filepath.Join(dir, "blobs")
	if err := makeFolder(blobs); err != nil {
		return descriptor{}, err
	}
	f, err := os.Create(filepath.Join(blobs, "layer.new"))
	if err != nil {
		return descriptor{}, err
	}
	sum := sha256.New()
	err = writeLayer(io.MultiWriter(f, sum), entries)
	size, seekErr := f.Seek(0, io.SeekCurrent)
	if err := errors.Join(err, seekErr, f.Close()); err != nil {
		return descriptor{}, err
	}
	d := descriptor{layerType, fmt.Sprintf("sha256:%x", sum.Sum(nil)), size}
	return d, os.Rename(f.Name(), filepath.Join(blobs, d.Digest))
}

func putJSON(dir, kind, mediaType string, v any) (descriptor, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	d := descriptor{mediaType, fmt.Sprintf("sha256:%x", sha256.Sum256(data)), int64(len(data))}
	return d, writeFile(filepath.Join(dir, kind, d.Digest), data)
}

// prune takes away what no tag of a name leads to any more.
func prune(dir string) error {
	manifests, err := filepath.Glob(filepath.Join(dir, "manifests", "*"))
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, path := range manifests {
		if strings.Contains(path, "sha256:") {
			continue
		}
		if err := follow(path, used); err != nil {
			return err
		}
	}
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "*"))
	for _, path := range append(manifests, blobs...) {
		if base := filepath.Base(path); strings.HasPrefix(base, "sha256:") && !used[base] {
			err = errors.Join(err, os.Remove(path))
		}
	}
	return err
}

// follow notes the digests that a tag leads to.
func follow(tag string, used map[string]bool) error {
	data, err := os.ReadFile(tag)
	if err != nil {
		return err
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("reading %s: %w", tag, err)
	}
	used[fmt.Sprintf("sha256:%x", sha256.Sum256(data))] = true
	used[m.Config.Digest] = true
	for _, layer := range m.Layers {
		used[layer.Digest] = true
	}
	return nil
}
