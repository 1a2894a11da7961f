package machine

import (
	"encoding/json"
	"fmt"
	"strings"
)

// kubectl tells its version and reads single paths of the API server of the host.
func kubectl(c *call) int {
	fl, rest, ok := c.flags("", "client short", "o", "output kubeconfig server request-timeout raw", false)
	if !ok {
		return 1
	}
	switch verb := strings.Join(rest, " "); {
	case verb == "version" && has(fl, "client"):
		return c.kubectlVersion(value(fl, "", "o", "output"))
	case verb == "get" && has(fl, "raw"):
		return c.getRaw(value(fl, "", "kubeconfig"), value(fl, c.m.endpoint(), "server"), value(fl, "", "raw"))
	}
	return c.unknown(strings.Join(c.args, " "))
}

// A clientVersion is what kubectl says of itself.
type clientVersion struct {
	Client struct {
		Major      string `json:"major"`
		Minor      string `json:"minor"`
		GitVersion string `json:"gitVersion"`
		Platform   string `json:"platform"`
	} `json:"clientVersion"`
	Kustomize string `json:"kustomizeVersion"`
}

func (c *call) kubectlVersion(form string) int {
	r, _ := parseRelease(c.m.installed("kubectl"))
	if form == "" {
		c.printf("Client Version: %s\nKustomize Version: v5.0.4-0.20230601165947-6ce0bf390ce3\n", r)
		return 0
	}
	v := clientVersion{Kustomize: "v5.0.1"}
	v.Client.Major, v.Client.Minor, v.Client.GitVersion, v.Client.Platform = "1", fmt.Sprint(r.minor), r.String(), "linux/amd64"
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return 1
	}
	c.printf("%s\n", text)
	return 0
}

// getRaw reads a path of the API server that answers at an address.
func (c *call) getRaw(config, server, path string) int {
	if config != "" {
		if _, err := c.m.tree.read(c.p.user, c.path(config)); err != nil {
			c.eprintf("error: stat %s: %s\n", config, strings.ToLower(reason(err)))
			return 1
		}
	}
	host := c.m.served(server)
	image, ready := c.m.world.StaticPod(host, "kube-apiserver")
	if image == "" || !ready {
		c.eprintf("The connection to the server %s was refused - did you specify the right host or port?\n", strings.TrimPrefix(server, "https://"))
		return 1
	}
	switch path {
	case "/readyz", "/healthz":
		if !c.m.world.APIReady(host) {
			c.eprintf("Error from server (InternalError): an error on the server (\"[-]etcd failed: reason withheld\\nreadyz check failed\") has prevented the request from succeeding\n")
			return 1
		}
		c.printf("ok")
	case "/livez":
		c.printf("ok")
	case "/metrics":
		c.printf("%s", c.m.world.Metrics(host))
	default:
		return c.unknown("kubectl get --raw " + path)
	}
	return 0
}

// served is the control plane whose API server listens at an address; "" is none. The address of the whole control plane
// and the loopback lead to the host's own, or to the first.
func (m *Machine) served(server string) string {
	if !strings.HasSuffix(server, ":6443") {
		return ""
	}
	address := hostOf(server)
	planes := m.world.ControlPlanes()
	for _, e := range m.world.EtcdMembers() {
		if hostOf(e.ClientURL) == address {
			return e.Name
		}
	}
	switch {
	case address == "127.0.0.1" && m.cfg.ControlPlane:
		return m.cfg.Name
	case m.cfg.Endpoint != "" && address == hostOf(m.cfg.Endpoint) && len(planes) > 0:
		return planes[0]
	}
	return ""
}
