//go:build linux

package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// The bridge plugin connects the pods of a host, and gives them addresses of its pod network. There is no masquerading:
// the hosts have routes to the pods of each other.
const podNetwork = `{
  "cniVersion": "0.4.0",
  "name": "lab",
  "plugins": [
    {
      "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
      "ipam": { "type": "host-local", "ranges": [[{ "subnet": "%s" }]], "routes": [{ "dst": "0.0.0.0/0" }] }
    },
    { "type": "portmap", "capabilities": { "portMappings": true } }
  ]
}
`

// layCable lays a cable from the bridge to eth0 of the host whose pid 1 is given. It is not plugged in.
func layCable(ctx context.Context, c Config, pid int) error {
	if err := dropCable(ctx, c.Cable); err != nil {
		return err
	}
	if err := ip(ctx, "link", "add", c.Cable, "type", "veth",
		"peer", "name", "eth0", "address", hardwareAddress(c.Address), "netns", strconv.Itoa(pid)); err != nil {
		return err
	}
	return ip(ctx, "link", "set", c.Cable, "master", c.Bridge)
}

// hardwareAddress is the same at every boot, as a network card's is: the neighbours remember it. 02 marks addresses that
// no manufacturer gave.
func hardwareAddress(address string) string {
	a, _ := netip.ParseAddr(address) // it has been checked
	b := a.As4()
	return fmt.Sprintf("02:00:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3])
}

// setCable plugs the cable in or out.
func setCable(cable string, in bool) error {
	ctx, cancel := within(switchTimeout)
	defer cancel()
	return ip(ctx, "link", "set", cable, map[bool]string{true: "up", false: "down"}[in])
}

// dropCable takes the cable away if it is there. The kernel may do so at the same time: the other end is in a network
// that goes with its host.
func dropCable(ctx context.Context, cable string) error {
	for linkExists(cable) {
		err := ip(ctx, "link", "delete", cable)
		if err != nil && linkExists(cable) {
			return fmt.Errorf("the cable %s: %w", cable, err)
		}
	}
	return nil
}

func linkExists(name string) bool {
	_, err := os.Lstat(filepath.Join("/sys/class/net", name))
	return err == nil
}

// setUpNetwork gives eth0 its address, and routes to the world and to the pods of the other hosts.
func (h *inside) setUpNetwork() error {
	if err := ipBatch(h.networkCommands()); err != nil {
		return err
	}
	if err := os.WriteFile(h.path("proc/sys/net/ipv4/ip_forward"), []byte("1"), 0o600); err != nil {
		return err
	}
	err := os.WriteFile(h.path("proc/sys/net/bridge/bridge-nf-call-iptables"), []byte("1"), 0o600)
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("the kernel's br_netfilter is not loaded: run `modprobe br_netfilter` on the machine")
	}
	return err
}

// networkCommands are lines for `ip -batch`.
func (h *inside) networkCommands() []string {
	lines := []string{
		"link set lo up",
		"address add " + h.Address + "/24 dev eth0",
		"link set eth0 up",
		"route add default via " + h.Gateway,
	}
	for _, r := range h.Routes {
		if r.Via != h.Address {
			lines = append(lines, "route add "+r.To+" via "+r.Via)
		}
	}
	return lines
}

func (h *inside) writePodNetwork() error {
	return h.write("etc/cni/net.d/10-lab.conflist", fmt.Sprintf(podNetwork, h.Pods))
}

func ipBatch(lines []string) error {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	return complain(cmd)
}

func ip(ctx context.Context, args ...string) error {
	return complain(exec.CommandContext(ctx, "ip", args...))
}

// complain runs a command and says what it said if it fails.
func complain(cmd *exec.Cmd) error {
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(said.String()))
	}
	return nil
}
