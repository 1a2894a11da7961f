//go:build linux

package build

import (
	"strings"
	"testing"
	"time"
)

// show plays a build of two parts with a clock of its own.
func show(width int) string {
	var out strings.Builder
	clock := epoch()
	p := newProgress(&out)
	p.width, p.now = width, func() time.Time { return clock }
	p.begin("rootfs", "/c/log/rootfs.log")
	_, _ = p.Write([]byte("I: Retrieving dbus\nI: Retr"))
	clock = clock.Add(time.Minute)
	p.tick()
	p.end("built in")
	p.begin("kubernetes 1.28.15", "/c/log/kubernetes-1.28.15.log")
	_, _ = p.Write([]byte("go: downloading k8s.io/api v0.28.15\n"))
	p.expect(2744)
	_, _ = p.Write([]byte("k8s.io/api/core/v1\n# k8s.io/api/core/v1\nwarning: something\nk8s.io/client-go/rest\n"))
	clock = clock.Add(2 * time.Minute)
	p.tick()
	p.end("failed after")
	return out.String()
}

func TestProgressInPlainLines(t *testing.T) {
	want := `rootfs: begun, output in /c/log/rootfs.log
rootfs: 1m0s, now Retrieving dbus
rootfs: built in 1m0s
kubernetes 1.28.15: begun, output in /c/log/kubernetes-1.28.15.log
kubernetes 1.28.15: 2m0s, compiled 2 of at most 2744 packages, now k8s.io/client-go/rest
kubernetes 1.28.15: failed after 2m0s
`
	if got := show(0); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	const clear = "\r\x1b[K"
	want := clear + "rootfs: 0s" +
		clear + "rootfs: 1m0s, now Retrieving dbus" +
		clear + "rootfs: built in 1m0s\n" +
		clear + "kubernetes 1.28.15: 0s" +
		clear + "kubernetes 1.28.15: 2m0s, compiled 2 of at most 2744 packages, now k8s." + // cut at the edge
		clear + "kubernetes 1.28.15: failed after 2m0s\n"
	if got := show(72); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}
