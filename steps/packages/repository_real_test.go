package packages

import (
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"upgrader.dev/upgrader/engine"
	"upgrader.dev/upgrader/steps/facts"
	"upgrader.dev/upgrader/steps/remote"
)

const listFile = "etc/apt/sources.list.d/kubernetes.list"

// The minor version in the source is all that is rewritten, and apt knows the new packages afterwards.
func TestRealRepositoryIsPointed(t *testing.T) {
	h := upgradable(t, nil)
	h.source("1.27")
	before := h.read(listFile)
	did := apply(t, h, &repository{hosts: h, Version: "1.28.15", URL: officialURL})
	if diff := cmp.Diff([]string{"point the package repository to v1.28"}, did); diff != "" {
		t.Error(diff)
	}
	if want := strings.ReplaceAll(before, "/v1.27/", "/v1.28/"); h.read(listFile) != want {
		t.Errorf("the source is now %q, want %q", h.read(listFile), want)
	}
	if err := look0(t, h, "1.28.15-1.1"); err != nil {
		t.Error(err)
	}
}

func look0(t *testing.T, h *realHost, revision string) error {
	t.Helper()
	_, err := (&available{hosts: h, Packages: revisions{"kubeadm": revision}}).Observe(t.Context(), scene(nil))
	return err
}

// The source names the minor already, but a mirror has got the patch only since: the lists are fetched again.
func TestRealStaleListsAreFetched(t *testing.T) {
	h := upgradable(t, nil)
	h.serve("1.28", nil, "kubeadm=1.28.16-1.1")
	r := &repository{hosts: h, Version: "1.28.16", URL: officialURL}
	if diff := cmp.Diff([]string{"fetch the package lists of v1.28"}, apply(t, h, r)); diff != "" {
		t.Error(diff)
	}
	if err := look0(t, h, "1.28.16-1.1"); err != nil {
		t.Error(err)
	}
}

// A repository that is not there leaves the source as it was.
func TestRealRepositoryIsPutBack(t *testing.T) {
	h := upgradable(t, nil)
	for _, version := range []string{"1.29.15", "1.27.99"} {
		before := h.read(listFile)
		changes, err := (&repository{hosts: h, Version: version, URL: officialURL}).Observe(t.Context(), scene(nil))
		if err != nil || len(changes) != 1 {
			t.Fatal(changes, err)
		}
		if err := changes[0].Do(t.Context(), engine.Ticket{}); err == nil {
			t.Fatalf("%s: the job succeeded\n%s", version, h.out.String())
		}
		if h.read(listFile) != before {
			t.Errorf("%s: the source is now %q", version, h.read(listFile))
		}
	}
	if !strings.Contains(h.out.String(), "does not offer kubeadm | 1.27.99-; it offers:\n") || !strings.Contains(h.out.String(), "kubeadm | 1.27.3-1.1 |") {
		t.Errorf("the job does not say what there is:\n%s", h.out.String())
	}
}

type sourceCase struct {
	name, file, text string
	url              string
	say, expects     string
	refused          string
	old, new, line   string
	keyring, key     string
}

func (tt sourceCase) check(t *testing.T) {
	h := newRealHost(t)
	h.write("etc/apt/sources.list.d/"+tt.file, tt.text+"\n")
	r := &repository{hosts: h, Version: "1.28", URL: officialURL}
	if tt.url != "" {
		r.URL = tt.url
	}
	w, err := ask(t.Context(), h, "w1", sourceScript())
	if err != nil {
		t.Fatal(err)
	}
	for i := range w.sources {
		w.sources[i] = strings.ReplaceAll(w.sources[i], h.root, "")
	}
	src, err := r.source(w, "1.28")
	if tt.refused != "" {
		if no, ok := errors.AsType[*engine.RefusedError](err); !ok || no.Why != tt.refused {
			t.Fatalf("got %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	c, env := r.change("w1", "1.28", "1.28.", src)
	type seen struct{ say, expects, old, new, line, keyring, key string }
	want := seen{tt.say, tt.expects, tt.old, tt.new, tt.line, tt.keyring, tt.key}
	got := seen{c.Say, c.Expects, env["OLD"], env["NEW"], env["LINE"], env["KEYRING"], env["KEY_URL"]}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(seen{})); diff != "" {
		t.Error(diff)
	}
	if (env["KEY_URL"] == "") == (env["NO_KEY"] == "") {
		t.Errorf("a key from %q and a reason %q", env["KEY_URL"], env["NO_KEY"])
	}
	if c.Then[facts.Repository("w1")] != "1.28" {
		t.Errorf("promises %v", c.Then)
	}
}

func TestRealSources(t *testing.T) {
	tests := []sourceCase{
		{name: "the official one-line source", file: "kubernetes.list",
			text: "deb [signed-by=/etc/apt/keyrings/k.gpg] https://pkgs.k8s.io/core:/stable:/v1.27/deb/ /",
			say:  "point the package repository to v1.28", expects: "v1.27 in /etc/apt/sources.list.d/kubernetes.list",
			old: `https://pkgs\.k8s\.io/core:/stable:/v1\.27/deb`, new: "https://pkgs.k8s.io/core:/stable:/v1.28/deb",
			keyring: "/etc/apt/keyrings/k.gpg", key: "https://pkgs.k8s.io/core:/stable:/v1.28/deb/Release.key"},
		{name: "a deb822 source of a mirror", file: "k8s.sources",
			text: "Types: deb\nURIs: http://mirror.example.org/k8s/core:/stable:/v1.27/deb/\nSuites: /\nSigned-By: /usr/share/keyrings/mirror.asc",
			say:  "point the package repository to v1.28", expects: "v1.27 in /etc/apt/sources.list.d/k8s.sources",
			old: `http://mirror\.example\.org/k8s/core:/stable:/v1\.27/deb`, new: "http://mirror.example.org/k8s/core:/stable:/v1.28/deb",
			keyring: "/usr/share/keyrings/mirror.asc"},
		{name: "CRI-O's is not ours, and there is none of ours", file: "cri-o.list",
			text:    "deb [signed-by=/etc/apt/keyrings/crio.gpg] https://pkgs.k8s.io/addons:/cri-o:/stable:/v1.27/deb/ /",
			say:     "add the package repository v1.28",
			line:    "deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.gpg] https://pkgs.k8s.io/core:/stable:/v1.28/deb/ /",
			keyring: officialKey, key: "https://pkgs.k8s.io/core:/stable:/v1.28/deb/Release.key"},
		{name: "a mirror with a layout of its own", file: "own.list", url: "https://apt.example.org/kubernetes/",
			text: "deb [signed-by=/k.gpg arch=amd64] https://apt.example.org/kubernetes/v1.27/deb /",
			say:  "point the package repository to v1.28", expects: "v1.27 in /etc/apt/sources.list.d/own.list",
			old: `https://apt\.example\.org/kubernetes/v1\.27/deb`, new: "https://apt.example.org/kubernetes/v1.28/deb",
			keyring: "/k.gpg", key: "https://apt.example.org/kubernetes/v1.28/deb/Release.key"},
		{name: "a mirror with a password in its address", file: "k8s.list",
			text: "deb [signed-by=/k.gpg] https://bob:hunter2@mirror.example.org/core:/stable:/v1.27/deb/ /",
			say:  "point the package repository to v1.28", expects: "v1.27 in /etc/apt/sources.list.d/k8s.list",
			old: `https://bob:hunter2@mirror\.example\.org/core:/stable:/v1\.27/deb`, new: "https://bob:hunter2@mirror.example.org/core:/stable:/v1.28/deb",
			keyring: "/k.gpg"},
		{name: "two minors: the newest is pointed", file: "two.list",
			text: "deb https://pkgs.k8s.io/core:/stable:/v1.9/deb/ /\ndeb https://pkgs.k8s.io/core:/stable:/v1.27/deb/ /",
			say:  "point the package repository to v1.28", expects: "v1.27 in /etc/apt/sources.list.d/two.list",
			old: `https://pkgs\.k8s\.io/core:/stable:/v1\.27/deb`, new: "https://pkgs.k8s.io/core:/stable:/v1.28/deb"},
		{name: "commented out", file: "kubernetes.list", text: "# deb https://pkgs.k8s.io/core:/stable:/v1.27/deb/ /",
			say: "add the package repository v1.28", keyring: officialKey, key: "https://pkgs.k8s.io/core:/stable:/v1.28/deb/Release.key",
			line: "deb [signed-by=/etc/apt/keyrings/kubernetes-apt-keyring.gpg] https://pkgs.k8s.io/core:/stable:/v1.28/deb/ /"},
		{name: "the repository removed in 2024", file: "old.list", text: "deb https://apt.kubernetes.io/ kubernetes-xenial main",
			refused: "/etc/apt/sources.list.d/old.list on w1 lists a repository that was removed in March 2024: deb https://apt.kubernetes.io/ kubernetes-xenial main"},
	}
	for _, tt := range tests {
		t.Run(tt.name, tt.check)
	}
}

// sign signs the repository of a minor version with a new key, and returns the file that holds the key.
func (h *realHost) sign(minor string) string {
	h.t.Helper()
	repo := "'" + h.path("repo/core:/stable:/v"+minor+"/deb") + "'"
	home := h.t.TempDir()
	h.sh(`export GNUPGHOME=` + home + `
gpg --batch --quiet --passphrase '' --quick-generate-key 'test of v` + minor + `' rsa2048 sign never
cd ` + repo + `
apt-ftparchive release . >../Release && mv ../Release Release
gpg --batch --yes --clearsign -o InRelease Release
gpg --armor --export >Release.key
gpgconf --kill gpg-agent`)
	return strings.Trim(repo, "'") + "/Release.key"
}

// The signing key is fetched if it is missing or does not fit, put before what the keyring holds, and not otherwise.
func TestRealSigningKey(t *testing.T) {
	for _, tool := range []string{"gpg", "gpgconf", "apt-ftparchive", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s on this machine", tool)
		}
	}
	tests := []struct {
		name, keyring string
		before        string // whose key is in the keyring: "old", "new" or ""
		fetched       bool
	}{
		{"missing and binary", "k.gpg", "", true},
		{"missing and armoured", "k.asc", "", true},
		{"does not fit", "k.gpg", "old", true},
		{"fits", "k.gpg", "new", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := upgradable(t, nil)
			oldKey, newKey := h.sign("1.27"), h.sign("1.28")
			ring := "etc/apt/" + tt.keyring
			switch tt.before {
			case "old":
				h.sh("gpg --dearmor <'" + oldKey + "' >" + h.path(ring) + " 2>/dev/null")
			case "new":
				h.sh("gpg --dearmor <'" + newKey + "' >" + h.path(ring) + " 2>/dev/null")
			}
			h.write(listFile, "deb [signed-by="+h.path(ring)+"] copy:"+h.path("repo")+"/core:/stable:/v1.27/deb/ /\n")
			server := httptest.NewTLSServer(http.FileServer(http.Dir(filepath.Dir(newKey))))
			defer server.Close()
			h.trust(server)
			r := &repository{hosts: h, Version: "1.28.15", URL: officialURL, Key: server.URL + "/Release.key"}
			apply(t, h, r)
			if got := strings.Contains(h.out.String(), "fetching the signing key"); got != tt.fetched {
				t.Errorf("fetched the key: %v\n%s", got, h.out.String())
			}
			if err := look0(t, h, "1.28.15-1.1"); err != nil {
				t.Error(err)
			}
		})
	}
}

// trust has the host's curl verify a server by its own certificate.
func (h *realHost) trust(server *httptest.Server) {
	h.t.Helper()
	h.write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	h.env = append(h.env, "CURL_CA_BUNDLE="+h.path("ca.pem"))
}

// The key comes over https to the last redirection, and is no more than a key can be; what does not is left where it is, with the
// keyring and the source as they were.
func TestRealKeyIsFetchedOverHTTPSOnly(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl on this machine")
	}
	var plain, server *httptest.Server
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/key":
			_, _ = io.WriteString(w, "KEY\n")
		case "/moved":
			http.Redirect(w, r, server.URL+"/key", http.StatusFound)
		case "/to-http":
			http.Redirect(w, r, plain.URL+"/key", http.StatusFound)
		case "/to-ftp":
			http.Redirect(w, r, "ftp://127.0.0.1:1/key", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/endless":
			for _, err := io.WriteString(w, strings.Repeat("KEY\n", 1<<10)); err == nil; {
				_, err = io.WriteString(w, strings.Repeat("KEY\n", 1<<10))
			}
		}
	}
	var asked atomic.Int64
	plain = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1); handler(w, r) }))
	defer plain.Close()
	server = httptest.NewTLSServer(http.HandlerFunc(handler))
	defer server.Close()
	for address, fetched := range map[string]bool{
		server.URL + "/key": true, server.URL + "/moved": true,
		server.URL + "/to-http": false, server.URL + "/to-ftp": false, server.URL + "/round": false, server.URL + "/endless": false, plain.URL + "/key": false,
	} {
		h := newRealHost(t)
		h.trust(server)
		ring := h.path("etc/apt/k.asc")
		err := h.repository(map[string]string{"apt-get": "exit 0", "apt-cache": "echo 'kubeadm | 1.28.15-1.1 | x'"},
			map[string]string{"KEYRING": ring, "LINE": "deb x", "KEY_URL": address})
		_, missing := os.Stat(ring)
		if fetched != (err == nil) || fetched != (missing == nil) {
			t.Errorf("%s: %v, the keyring: %v\n%s", address, err, missing, h.out.String())
		}
		if !fetched && !strings.Contains(h.out.String(), "could not be fetched from "+address) {
			t.Errorf("%s: it says %s", address, h.out.String())
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d questions went over http", n)
	}
}

// repository runs the script with pretend tools: no archive answers as a test needs it.
func (h *realHost) repository(tools, env map[string]string) error {
	h.t.Helper()
	for name, text := range tools {
		h.write("bin/"+name, "#!/bin/sh\n"+text+"\n")
		h.must(os.Chmod(h.path("bin/"+name), 0o755))
	}
	all := map[string]string{"FILE": h.path("etc/apt/sources.list.d/kubernetes.list"), "KEYRING": "", "WANT": "| 1.28.15-", "LINE": "", "OLD": "", "NEW": "",
		"KEY_URL": "https://pkgs.example.com/Release.key", "NO_KEY": "", "LOCK_TIMEOUT": "1"}
	maps.Copy(all, env)
	_, err := h.run(h.t.Context(), remote.Script{Text: locksSh + repositorySh, Env: all}, &h.out)
	return err
}

// apt verifies as the user _apt, who must be able to look into a directory that was made for the key.
func TestRepositoryMakesAKeyringThatAptCanRead(t *testing.T) {
	h := newRealHost(t)
	keyring := h.path("etc/apt/keyrings/k.asc")
	err := h.repository(map[string]string{"curl": "echo key", "apt-get": "exit 0", "apt-cache": "echo 'kubeadm | 1.28.15-1.1 | x'"},
		map[string]string{"KEYRING": keyring, "LINE": "deb x"})
	info, statErr := os.Stat(filepath.Dir(keyring))
	if err != nil || statErr != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v: %v\n%s", err, statErr, info, h.out.String())
	}
}

// What fails, or is ended in the middle, leaves the source and the keys as they were.
func TestRepositoryPutsBackWhatItTouched(t *testing.T) {
	const key, source = "etc/apt/trusted.gpg.d/k.asc", "etc/apt/sources.list.d/kubernetes.list"
	for name, aptGet := range map[string]string{
		"a bad signature": "echo 'W: GPG error: BADSIG, signatures were invalid'; exit 100",
		"ended":           "kill -TERM $PPID; sleep 0.2; exit 143",
	} {
		t.Run(name, func(t *testing.T) {
			h := newRealHost(t)
			h.write(key, "OLD KEY\n")
			h.write(source, "deb x/v1.27/deb/ /\n")
			err := h.repository(map[string]string{"curl": "echo STRANGER", "apt-get": aptGet, "apt-cache": ":"},
				map[string]string{"KEYRING": h.path(key), "OLD": `x/v1\.27/deb`, "NEW": "x/v1.28/deb"})
			if err == nil || h.read(key) != "OLD KEY\n" || h.read(source) != "deb x/v1.27/deb/ /\n" {
				t.Errorf("%v: the host trusts %q and reads %q", err, h.read(key), h.read(source))
			}
		})
	}
}
