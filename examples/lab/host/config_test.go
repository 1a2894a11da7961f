package host

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

func worker() Config {
	return Config{
		Name: "w1", Address: "10.77.3.21", Gateway: "10.77.3.1", Bridge: "lab3", Cable: "lab3-w1",
		Cgroup: "upgrader-lab/lab/w1", Rootfs: "/var/cache/upgrader-lab/rootfs", Pods: "10.88.21.0/24",
		Routes: []Route{{To: "10.88.11.0/24", Via: "10.77.3.11"}},
	}
}

func TestAConfigurationComesBackAsItWasWritten(t *testing.T) {
	dir := t.TempDir()
	if err := worker().save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := load(dir)
	if err != nil || !reflect.DeepEqual(got, worker()) {
		t.Errorf("got %+v, %v", got, err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left %v", entries)
	}
}

func TestAConfigurationIsChecked(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*Config)
		want  string
	}{
		"name":       {func(c *Config) { c.Name = "W 1" }, "no host name"},
		"address":    {func(c *Config) { c.Address = "fd00::1" }, "address: \"fd00::1\" is no IPv4"},
		"gateway":    {func(c *Config) { c.Gateway = "" }, "gateway"},
		"pods":       {func(c *Config) { c.Pods = "10.88.21.1/24" }, "pods"},
		"long cable": {func(c *Config) { c.Cable = "0123456789abcdef" }, "1 to 15"},
		"option":     {func(c *Config) { c.Bridge = "-h" }, "no name for a link"},
		"cgroup":     {func(c *Config) { c.Cgroup = "../w1" }, "no name for a cgroup"},
		"rootfs":     {func(c *Config) { c.Rootfs = "rootfs" }, "no absolute path"},
		"route":      {func(c *Config) { c.Routes[0].Via = "x" }, "is no route"},
	} {
		t.Run(name, func(t *testing.T) {
			config := worker()
			c.spoil(&config)
			if err := config.check(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

func TestAHostThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	if _, err := load(dir); err == nil || !strings.Contains(err.Error(), "there is no host in "+dir) {
		t.Errorf("got %v", err)
	}
}
