package host

import (
	"errors"
	"strings"
	"testing"
)

func TestMissingCommandsTakeOneLine(t *testing.T) {
	err := missing(func(string) (string, error) { return "", errors.New("no") })
	want := "these commands are missing: ip, nsenter, mount; on Debian and Ubuntu: apt-get install -y iproute2 util-linux mount"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := missing(func(string) (string, error) { return "/bin/x", nil }); err != nil {
		t.Errorf("nothing is missing, but: %v", err)
	}
}

func TestAllFaultsAreReported(t *testing.T) {
	broken := probe{"layers", func() error { return errors.New("invalid argument") }, "set LAB_CACHE"}
	sound := probe{"cgroups", func() error { return nil }, "mount them"}
	err := report([]error{errNotRoot, sound.fault(), broken.fault()})
	want := `this machine cannot run the lab:
  - the lab makes namespaces, mounts and a bridge: run it as root (sudo make lab-up)
  - layers: invalid argument; set LAB_CACHE`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := report([]error{nil, sound.fault()}); err != nil {
		t.Errorf("nothing is wrong, but: %v", err)
	}
}

func TestCheckWithoutRoot(t *testing.T) {
	if privileged() == nil {
		t.Skip("this is root")
	}
	if err := Check(t.TempDir()); err == nil || !strings.Contains(err.Error(), privileged().Error()) {
		t.Errorf("got %v", err)
	}
}
