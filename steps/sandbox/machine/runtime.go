package machine

import (
	"fmt"
	"slices"
	"strings"
)

// seedRuntime writes the configuration of containerd as an administrator of a kubeadm cluster has it.
func (m *Machine) seedRuntime() {
	m.tree.mustDir("/etc/containerd/certs.d")
	m.tree.put("/etc/containerd/config.toml", fmt.Sprintf(`version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/containerd/certs.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true
`, Image("pause", m.cfg.Version)), 0o644)
}

// crictl lists the static pods' containers and the images, and runs etcdctl in etcd's.
func crictl(c *call) int {
	fl, rest, ok := c.flags("qait", "quiet all", "ro", "runtime-endpoint image-endpoint name state output timeout", true)
	if !ok {
		return 1
	}
	if len(rest) == 0 {
		return c.unknown("crictl without a command")
	}
	if st := c.runtimeAnswers(value(fl, runtimeSocket, "r", "runtime-endpoint")); st != 0 {
		return st
	}
	sub := *c
	sub.args = rest
	switch rest[0] {
	case "ps":
		more, _, ok := sub.flags("qa", "quiet all", "o", "name state output label", false)
		if !ok {
			return 1
		}
		return c.containers(append(fl, more...))
	case "info":
		c.printf("{\n  \"status\": {\n    \"conditions\": [\n      {\n        \"type\": \"RuntimeReady\",\n        \"status\": true\n      }\n    ]\n  }\n}\n")
		return 0
	case "images":
		for _, image := range c.m.images() {
			c.printf("%s\n", image)
		}
		return 0
	case "inspecti":
		return c.inspectImages(&sub)
	case "exec":
		if len(rest) > 2 && (strings.HasPrefix(rest[2], "etcdctl") || strings.HasPrefix(rest[2], "etcdutl")) {
			sub.args = rest[2:]
			return c.m.commands[rest[2]](&sub)
		}
	}
	return c.unknown(strings.Join(c.args, " "))
}

// runtimeAnswers says 0 when containerd runs and listens at the socket.
func (c *call) runtimeAnswers(socket string) int {
	file, err := c.m.tree.real("root", strings.TrimPrefix(socket, "unix://"))
	why := "no such file or directory"
	if active, _, _, _ := c.m.state("containerd.service"); err == nil && file == "/run/containerd/containerd.sock" {
		if active == "active" {
			return 0
		}
		why = "connection refused"
	}
	return c.fail(1, "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial unix %s: connect: %s\"", strings.TrimPrefix(socket, "unix://"), why)
}

func (c *call) containers(fl []flag) int {
	name, err := posixRegexp(value(fl, "", "name"), true, false)
	if err != nil {
		return c.fail(1, "%v", err)
	}
	for i, k := range components {
		image, ready := c.m.world.StaticPod(c.m.cfg.Name, k)
		if image == "" || !ready || !name.MatchString(k) {
			continue
		}
		id := fmt.Sprintf("%x%012x", i+10, len(c.m.cfg.Name)*7919+i)
		if has(fl, "q", "quiet") {
			c.printf("%s\n", id)
		} else {
			c.printf("%s  %s  Running  %s\n", id, image, k)
		}
	}
	return 0
}

// images are those of what runs on the host: static pods, kube-proxy, CoreDNS, and the pause container of each of them.
func (m *Machine) images() []string {
	var all []string
	for _, k := range components {
		if image, _ := m.world.StaticPod(m.cfg.Name, k); image != "" {
			all = append(all, image)
		}
	}
	version := m.world.ClusterVersion()
	return append(all, Image("kube-proxy", version), Image("coredns", version), Image("pause", version))
}

// inspectImages is crictl inspecti, whose flags and names stand in sub.
func (c *call) inspectImages(sub *call) int {
	_, names, ok := sub.flags("q", "quiet", "o", "output", false)
	if !ok || len(names) == 0 {
		return 1
	}
	here := c.m.images()
	for _, name := range names {
		if !slices.Contains(here, name) {
			return c.fail(1, "no such image %q present", name)
		}
		c.printf("{\n  \"status\": {\n    \"repoTags\": [\n      %q\n    ]\n  }\n}\n", name)
	}
	return 0
}
