package packages

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"upgrader.dev/upgrader/engine"
)

// A source is where a host gets packages of Kubernetes from.
type source struct {
	file    string
	base    string // its address up to the minor version: https://pkgs.k8s.io/core:/stable:
	minor   string // that it names now; empty: there is no source yet
	keyring string // the file that it trusts; empty: not named
}

// at returns the address of another minor version in the same place.
func (s source) at(minor string) string { return s.base + "/v" + minor + "/deb" }

var (
	grepped  = regexp.MustCompile(`^([^:]+):[0-9]+:(.*)$`)
	address  = regexp.MustCompile(`([a-z][a-z0-9+]*:[^\s\]]+)/v([0-9]+\.[0-9]+)/deb(?:/|\s|$)`)
	official = regexp.MustCompile(`core(?::|%3[Aa])/stable(?::|%3[Aa])$`) // also below isv:/kubernetes: and on mirrors
	signedBy = regexp.MustCompile(`(?i)(?:\bsigned-by=|^signed-by:\s*)(/[^\s\],]+)`)
	frozen   = regexp.MustCompile(`apt\.kubernetes\.io|packages\.cloud\.google\.com/apt`)
)

// source finds the host's source of Kubernetes: the one that names minor, else the one that names the newest. CRI-O has
// repositories of the same form; they are not ours to move.
func (r *repository) source(w *world, minor string) (source, error) {
	best := source{file: officialFile, base: strings.TrimSuffix(r.URL, "/"), keyring: officialKey}
	keyrings := map[string]string{} // deb822 names it on a line of its own
	for _, l := range w.sources {
		m := grepped.FindStringSubmatch(l)
		if m == nil {
			return source{}, fmt.Errorf("looking at the package sources of %s: the answer %q is not understood", w.host, l)
		}
		file, text := m[1], m[2]
		if frozen.MatchString(text) {
			return source{}, engine.Refuse(fmt.Sprintf("%s on %s lists a repository that was removed in March 2024: %s", file, w.host, strings.TrimSpace(text)),
				"remove that line: apt-get update cannot succeed with it")
		}
		k := signedBy.FindStringSubmatch(text)
		if k != nil && keyrings[file] == "" {
			keyrings[file] = k[1]
		}
		a := address.FindStringSubmatch(text)
		if a == nil || !official.MatchString(a[1]) && a[1] != strings.TrimSuffix(r.URL, "/") {
			continue
		}
		found := source{file: file, base: a[1], minor: a[2]}
		if k != nil {
			found.keyring = k[1]
		}
		if best.minor == "" || found.minor == minor || best.minor != minor && number(found.minor) > number(best.minor) {
			best = found
		}
	}
	if best.minor != "" && best.keyring == "" {
		best.keyring = keyrings[best.file]
	}
	return best, nil
}

// number orders minor versions: 1.9 before 1.10.
func number(minor string) int {
	_, n, _ := strings.Cut(minor, ".")
	i, _ := strconv.Atoi(n) // the pattern has let only digits through
	return i
}
