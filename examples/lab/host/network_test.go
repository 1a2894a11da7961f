//go:build linux

package host

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPodNetwork(t *testing.T) {
	h := &inside{Config: worker(), root: t.TempDir()}
	if err := h.writePodNetwork(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(h.root, "etc/cni/net.d/10-lab.conflist"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Plugins []struct {
			Type string
			IPAM struct {
				Ranges [][]struct{ Subnet string }
			}
		}
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if p := got.Plugins; len(p) != 2 || p[0].Type != "bridge" || p[0].IPAM.Ranges[0][0].Subnet != "10.88.21.0/24" || p[1].Type != "portmap" {
		t.Errorf("got %+v", got)
	}
}

func TestNetworkCommands(t *testing.T) {
	h := &inside{Config: worker()}
	h.Routes = append(h.Routes, Route{To: h.Pods, Via: h.Address}) // its own pods are no other host's
	want := []string{
		"link set lo up",
		"address add 10.77.3.21/24 dev eth0",
		"link set eth0 up",
		"route add default via 10.77.3.1",
		"route add 10.88.11.0/24 via 10.77.3.11",
	}
	if got := h.networkCommands(); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestHardwareAddress(t *testing.T) {
	if got := hardwareAddress("10.77.3.21"); got != "02:00:0a:4d:03:15" {
		t.Errorf("got %s", got)
	}
}

func TestDirectoriesInTheOptionsOfAnOverlay(t *testing.T) {
	if got := escape(`/a:b,c\d`); got != `/a\:b\,c\\d` {
		t.Errorf("got %s", got)
	}
}
