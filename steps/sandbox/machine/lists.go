package machine

import (
	"fmt"
	"path"
	"regexp"
	"strings"
)

const listsDir = "/var/lib/apt/lists"

// writeLists keeps the files of the package lists in step with what was fetched: the signed list of each repository and
// the index that it vouches for. A file that is there stays as it is.
func (m *Machine) writeLists() {
	m.mu.Lock()
	wanted := map[string]int{}
	for minor, address := range m.apt.lists {
		wanted[listName(address)] = minor
	}
	m.mu.Unlock()
	entries, _ := m.tree.list("root", listsDir) // it is there since the machine was set up
	there := map[string]bool{}
	for _, e := range entries {
		stem, isList := strings.CutSuffix(e.Name(), "InRelease")
		there[stem] = isList
		if _, still := wanted[stem]; isList && !still {
			_ = m.tree.remove("root", path.Join(listsDir, e.Name()), false)
			_ = m.tree.remove("root", path.Join(listsDir, stem+"Packages"), false)
		}
	}
	for stem, minor := range wanted {
		if !there[stem] {
			m.tree.putLater(path.Join(listsDir, stem+"InRelease"), func() []byte { return []byte(listText(minor)) }, 0o644)
			m.tree.putLater(path.Join(listsDir, stem+"Packages"), func() []byte { return []byte(packagesText(minor)) }, 0o644)
		}
	}
}

// listName is the beginning of the names that apt gives to the files of a repository.
func listName(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	return strings.ReplaceAll(strings.TrimSuffix(rest, "/"), "/", "_") + "_"
}

// listText is the InRelease of a repository.
func listText(minor int) string {
	body := fmt.Sprintf(`-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA512

Origin: obs://build.opensuse.org/isv:kubernetes:core:stable:v1.%d/deb
Label: isv:kubernetes:core:stable:v1.%[1]d
Architectures: amd64
Description: Kubernetes v1.%[1]d (deb)
`, minor)
	return body + "-----BEGIN PGP SIGNATURE-----\n\n" + signatureOf(body) + "\n-----END PGP SIGNATURE-----\n"
}

// packagesText is the index of a repository.
func packagesText(minor int) string {
	var y yamlText // a document of lines like any other
	lists := map[int]string{minor: ""}
	for _, name := range []string{"cri-tools", "kubeadm", "kubectl", "kubelet", "kubernetes-cni"} {
		revisions, _ := offers(lists, name)
		for _, r := range revisions {
			y.line("Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: Kubernetes Authors <dev@kubernetes.io>\nFilename: amd64/%[1]s_%[2]s_amd64.deb\n", name, r)
		}
	}
	return y.String()
}

// setting is a line of a file of apt's configuration.
var setting = regexp.MustCompile(`^\s*([A-Za-z:-]+)\s+"([^"]*)";`)

// aptConfig prints the configuration of apt: what is built in, and the files.
func aptConfig(c *call) int {
	_, rest, ok := c.flags("", "", "o", "option", false)
	if !ok || len(rest) != 1 || rest[0] != "dump" {
		return c.unknown(strings.Join(c.args, " "))
	}
	c.printf("APT \"\";\nAPT::Architecture \"amd64\";\nAPT::Install-Recommends \"1\";\nAPT::Install-Suggests \"0\";\n")
	const parts = "/etc/apt/apt.conf.d"
	entries, _ := c.m.tree.list("root", parts) // none is fine
	files := []string{}
	for _, e := range entries {
		files = append(files, path.Join(parts, e.Name()))
	}
	for _, file := range append(files, "/etc/apt/apt.conf") {
		data, _ := c.m.tree.read(c.p.user, file) // likewise
		for line := range strings.Lines(string(data)) {
			if m := setting.FindStringSubmatch(line); m != nil {
				c.printf("%s \"%s\";\n", m[1], m[2])
			}
		}
	}
	return 0
}
