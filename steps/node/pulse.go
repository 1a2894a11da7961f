package node

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"upgrader.dev/upgrader/steps/remote"
)

// pulseScript tells in which boot a host is, what time it is there, and since when its kubelet runs. TZ makes systemctl
// print its times as ParseStamp reads them.
const pulseScript = `echo "boot $(cat /proc/sys/kernel/random/boot_id)"
echo "now $(date +%s)"
TZ=UTC systemctl show -p LoadState -p ActiveState -p ExecMainStartTimestamp kubelet.service 2>/dev/null || :`

// A pulse is what a host itself says of its kubelet. After a reboot the cluster's picture is that of the boot before, and
// after a restart that of the kubelet before, until the new one reports.
type pulse struct {
	boot    string
	now     time.Time // by the host's clock, which the kubelet's lease goes by too
	state   string    // of the unit, as systemd calls it; empty: systemd does not know it
	started time.Time // of the kubelet's process, to the second
}

// ran is how long the kubelet's process has been running; 0 where systemd does not know it.
func (p pulse) ran() time.Duration {
	if p.started.IsZero() {
		return 0
	}
	return p.now.Sub(p.started)
}

func (r *ready) pulse(ctx context.Context, node string) (p pulse, err error) {
	host, err := r.hosts.Host(node)
	if err != nil {
		return p, err
	}
	said, err := host.Query(ctx, remote.Script{Text: pulseScript, AsUser: true})
	if err != nil {
		return p, fmt.Errorf("asking %s for its boot and its kubelet: %w", node, err)
	}
	p, err = parsePulse(said.Stdout)
	if err != nil {
		return p, fmt.Errorf("asking %s for its boot and its kubelet: %w", node, err)
	}
	return p, nil
}

func parsePulse(text string) (p pulse, err error) {
	unit := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		word, rest, _ := strings.Cut(line, " ")
		switch key, value, property := strings.Cut(line, "="); {
		case word == "boot":
			p.boot = rest
		case word == "now":
			seconds, err := strconv.ParseInt(rest, 10, 64)
			if err != nil {
				return p, fmt.Errorf("the time %q is not understood", rest)
			}
			p.now = time.Unix(seconds, 0)
		case property:
			unit[key] = value
		}
	}
	if unit["LoadState"] != "loaded" {
		return p, nil
	}
	p.state = unit["ActiveState"]
	p.started, err = remote.ParseStamp(unit["ExecMainStartTimestamp"])
	return p, err
}
