//go:build linux

package cluster

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
)

// manifestType is what every image manifest of the lab's registry is.
const manifestType = "application/vnd.oci.image.manifest.v1+json"

// files serves the packages of an apt directory and, below /v2/, the images of a registry directory.
func files(apt, registry string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v2/", images(os.DirFS(registry)))
	mux.Handle("/", http.FileServerFS(os.DirFS(apt)))
	return readOnly(mux)
}

func readOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			http.Error(w, "the lab's files are read-only", http.StatusMethodNotAllowed)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// images is an image registry that can be pulled from: the files of the directory, under the types and digests that the
// distribution protocol wants.
func images(dir fs.FS) http.Handler {
	content := http.FileServerFS(dir)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		if r.URL.Path == "/v2/" {
			return // "is this a registry?"
		}
		name := strings.TrimPrefix(r.URL.Path, "/")
		switch path.Base(path.Dir(name)) {
		case "manifests":
			data, err := fs.ReadFile(dir, name)
			if err != nil {
				unknown(w, name)
				return
			}
			w.Header().Set("Content-Type", manifestType)
			w.Header().Set("Docker-Content-Digest", fmt.Sprintf("sha256:%x", sha256.Sum256(data)))
		case "blobs":
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Docker-Content-Digest", path.Base(name))
		default:
			unknown(w, name)
			return
		}
		content.ServeHTTP(w, r)
	})
}

// unknown answers in the registry's own words, which containerd passes on to the pod's events.
func unknown(w http.ResponseWriter, name string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusNotFound)
	fmt.Fprintf(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":%q}]}`, "the lab's registry has no "+strings.TrimPrefix(name, "v2/"))
}
