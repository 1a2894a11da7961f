package host

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// What lies in the directory of a host, beside its disks.
const (
	configFile  = "host.json"
	lockFile    = "supervisor.lock" // held by the supervisor for as long as it lives
	logFile     = "supervisor.log"
	consoleFile = "console.log" // what systemd says while it boots
	controlFile = "control"     // the supervisor's socket
	cgroupsFile = "cgroups"     // one directory a line: what is to be removed
)

// A Config is what makes a host itself. It is kept in the host's directory, and read again at every boot.
type Config struct {
	Name    string  // w1
	Address string  // 10.77.3.21; the hosts of a lab share a /24
	Gateway string  // 10.77.3.1, the address of the bridge
	Bridge  string  // where the cable ends; it must be there before the host
	Cable   string  // the name of the cable on the machine, at most 15 characters
	Cgroup  string  // upgrader-lab/NAME/HOST, below the cgroup of whoever starts the host
	Rootfs  string  // the Debian that all hosts share; never written to
	Pods    string  // the network of its pods, 10.88.21.0/24
	Routes  []Route // to the pods of the other hosts
}

// A Route leads to the pods of another host.
type Route struct{ To, Via string }

// cableMax is the kernel's IFNAMSIZ without the closing zero.
const cableMax = 15

// These are stricter than the kernel: these names reach `ip` and paths.
var (
	hostName   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	linkName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)
	cgroupName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*$`)
)

// check finds all that is wrong with a configuration at once.
func (c Config) check() error {
	var faults []string
	say := func(wrong bool, fault string) {
		if wrong {
			faults = append(faults, fault)
		}
	}
	say(!hostName.MatchString(c.Name), "it is no host name")
	say(!isAddress(c.Address), fmt.Sprintf("address: %q is no IPv4 address", c.Address))
	say(!isAddress(c.Gateway), fmt.Sprintf("gateway: %q is no IPv4 address", c.Gateway))
	say(!isNetwork(c.Pods), fmt.Sprintf("pods: %q is no IPv4 network", c.Pods))
	for _, link := range []string{c.Bridge, c.Cable} {
		say(!linkName.MatchString(link) || len(link) > cableMax, fmt.Sprintf("%q is no name for a link: 1 to %d letters and digits", link, cableMax))
	}
	say(!cgroupName.MatchString(c.Cgroup), fmt.Sprintf("%q is no name for a cgroup", c.Cgroup))
	say(!filepath.IsAbs(c.Rootfs), fmt.Sprintf("root file system: %q is no absolute path", c.Rootfs))
	for _, r := range c.Routes {
		say(!isNetwork(r.To) || !isAddress(r.Via), fmt.Sprintf("%q via %q is no route", r.To, r.Via))
	}
	if len(faults) > 0 {
		return fmt.Errorf("the configuration of host %q cannot be: %s", c.Name, strings.Join(faults, "; "))
	}
	return nil
}

func isAddress(text string) bool {
	a, err := netip.ParseAddr(text)
	return err == nil && a.Is4()
}

func isNetwork(text string) bool {
	p, err := netip.ParsePrefix(text)
	return err == nil && p.Addr().Is4() && p == p.Masked()
}

// save writes the configuration, whole or not at all: a supervisor may be about to read it.
func (c Config) save(dir string) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the configuration of %s: %w", c.Name, err)
	}
	next := filepath.Join(dir, fmt.Sprintf("%s.%d", configFile, os.Getpid()))
	if err := os.WriteFile(next, append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the configuration of %s: %w", c.Name, err)
	}
	if err := os.Rename(next, filepath.Join(dir, configFile)); err != nil {
		return fmt.Errorf("writing the configuration of %s: %w", c.Name, err)
	}
	return nil
}

// load reads the configuration of the host in dir.
func load(dir string) (Config, error) {
	var c Config
	data, err := os.ReadFile(filepath.Join(dir, configFile))
	if err != nil {
		return c, fmt.Errorf("there is no host in %s: %w", dir, err)
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("reading %s: %w", filepath.Join(dir, configFile), err)
	}
	return c, c.check()
}
