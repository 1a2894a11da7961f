package machine

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// A webAnswer is what a pretend web server gives.
type webAnswer struct {
	code int
	body string
}

// curl reaches the API server of this host, the package repositories and the registry of Kubernetes; there is no other
// network.
func curl(c *call) int {
	fl, rest, ok := c.flags("fsSLkvI", "fail silent show-error location insecure head tlsv1.2", "omHw",
		"output max-time header cacert cert key connect-timeout retry write-out proto proto-redir max-redirs", false)
	if !ok {
		return 2
	}
	if len(rest) != 1 {
		return c.unknown(strings.Join(c.args, " "))
	}
	format := value(fl, "", "w", "write-out")
	if protocol, _, _ := strings.Cut(rest[0], ":"); value(fl, protocol, "", "proto") == "=https" && protocol != "https" {
		c.eprintf("curl: (1) Protocol %q not supported or disabled in libcurl\n", protocol)
		return 1
	}
	answer, st := c.reach(rest[0])
	if st == 0 && answer.code >= http.StatusBadRequest && has(fl, "f", "fail") {
		c.eprintf("curl: (22) The requested URL returned error: %d\n", answer.code)
		st = 22
	}
	if st == 0 {
		st = c.save(value(fl, "", "o", "output"), answer.body)
	}
	c.printf("%s", strings.NewReplacer("%{http_code}", fmt.Sprintf("%03d", answer.code), `\n`, "\n").Replace(format))
	return st
}

// reach asks the server that a URL names.
func (c *call) reach(url string) (webAnswer, int) {
	switch host := hostOf(url); {
	case host == "127.0.0.1" && strings.Contains(url, ":6443/"), host == "localhost" && strings.Contains(url, ":6443/"):
		if !c.m.world.APIReady(c.m.cfg.Name) {
			c.eprintf("curl: (7) Failed to connect to %s port 6443 after 0 ms: Couldn't connect to server\n", host)
			return webAnswer{}, 7
		}
		return webAnswer{http.StatusOK, "ok"}, 0
	case host == "127.0.0.1", host == "localhost":
		c.eprintf("curl: (7) Failed to connect to %s port 80 after 0 ms: Couldn't connect to server\n", host)
		return webAnswer{}, 7
	case strings.Contains(url, "/core:/stable:/v1."):
		return repositoryAnswer(url), 0
	case host == registry:
		return registryAnswer(strings.TrimPrefix(url, "https://"+registry)), 0
	default:
		c.eprintf("curl: (6) Could not resolve host: %s\n", host)
		return webAnswer{}, 6
	}
}

// repositoryAnswer is a file of the package repository of a minor version.
func repositoryAnswer(url string) webAnswer {
	m := regexp.MustCompile(`/core:/stable:/v1\.(\d+)/deb/(Release\.key|Packages|InRelease)$`).FindStringSubmatch(url)
	if m == nil || patches[int(number(m[1]))] == 0 {
		return webAnswer{http.StatusForbidden, ""} // pkgs.k8s.io answers so for what is not there
	}
	switch minor := int(number(m[1])); m[2] {
	case "Release.key":
		return webAnswer{http.StatusOK, armoured(keyMark)}
	case "Packages":
		return webAnswer{http.StatusOK, packagesText(minor)}
	default:
		return webAnswer{http.StatusOK, listText(minor)}
	}
}

// registryAnswer is a path of registry.k8s.io: the manifests of the images that Kubernetes has released.
func registryAnswer(path string) webAnswer {
	m := regexp.MustCompile(`^/v2/(.+)/manifests/([^/]+)$`).FindStringSubmatch(path)
	if m == nil || !released(m[1], m[2]) {
		return webAnswer{http.StatusNotFound, "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}\n"}
	}
	return webAnswer{http.StatusOK, "{\"schemaVersion\":2}\n"}
}

// released says whether the registry has an image.
func released(name, tag string) bool {
	for minor, patch := range patches {
		switch {
		case name == "etcd" && tag == etcdTags[minor], name == "pause" && tag == pauseTags[minor]:
			return true
		case name == "coredns/coredns" && tag == coreDNSTags[minor]:
			return true
		case strings.HasPrefix(name, "kube-") && slices.Contains(kubernetesImages, name):
			if r, ok := parseRelease(tag); ok && r.minor == minor && r.patch <= patch && tag == r.String() {
				return true
			}
		}
	}
	return false
}

// kubernetesImages have the version of Kubernetes as their tag.
var kubernetesImages = []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"}

// save writes what was received to a file, or prints it.
func (c *call) save(file, body string) int {
	if file == "" {
		c.printf("%s", body)
		return 0
	}
	differs, err := c.m.tree.write(c.p.user, c.path(file), []byte(body), 0o666&^c.p.mask())
	if err != nil {
		c.eprintf("curl: (23) Failure writing output to destination\n")
		return 23
	}
	if differs {
		c.m.changedFile(c.p, "wrote", c.path(file))
	}
	return 0
}
