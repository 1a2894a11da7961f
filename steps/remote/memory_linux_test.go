package remote

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Eight hosts print without end, and this side keeps no more of it than their number times what is kept of one. What is
// measured is the peak of the whole process, so it is one of its own: the test's binary, run again.
const (
	printingHosts = 8
	mostGrowth    = 32 // MiB, all hosts together
)

func TestEightHostsThatPrintMuch(t *testing.T) {
	if underRace {
		t.Skip("the race detector takes more memory than what is measured")
	}
	each := 48 << 20
	if *gigabyte {
		each = 1 << 30
	}
	for _, how := range []string{"Query", "Run", "Do"} {
		for _, shape := range []string{"one line", "lines"} {
			grown := growth(t, how, shape, each)
			t.Logf("figure: %s, %d MiB of each of %d hosts as %s: %.1f MiB more at the peak, of %d", how, each>>20, printingHosts, shape, grown, mostGrowth)
			if grown > mostGrowth {
				t.Errorf("%s as %s: %.1f MiB, of %d", how, shape, grown, mostGrowth)
			}
		}
	}
}

// gigabyte has the hosts print a GiB each, which takes minutes: go test ./steps/remote -run PrintMuch -v -args -gigabyte
var gigabyte = flag.Bool("gigabyte", false, "have eight hosts print a GiB each")

// growth is how many MiB more a process has at its peak than before eight hosts each print so many bytes.
func growth(t testing.TB, how, shape string, each int) float64 {
	t.Helper()
	d := startOpenSSH(t, "")
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run", "^TestHelperPrinting$")
	cmd.Env = append(os.Environ(), "UPGRADER_PRINTING="+strings.Join([]string{how, shape, strconv.Itoa(each), d.addr, d.user, d.identity, d.knownHosts, d.dir}, "\n"))
	out, err := cmd.CombinedOutput()
	_, said, found := strings.Cut(string(out), "grown by ")
	if err != nil || !found {
		t.Fatalf("%v\n%s", err, out)
	}
	said, _, _ = strings.Cut(said, " ")
	kib, err := strconv.Atoi(said)
	if err != nil {
		t.Fatal(err)
	}
	return float64(kib) / 1024
}

// TestHelperPrinting is the process that growth measures.
func TestHelperPrinting(t *testing.T) {
	args := strings.Split(os.Getenv("UPGRADER_PRINTING"), "\n")
	if len(args) != 8 {
		t.Skip("the part of another test")
	}
	d := door{addr: args[3], user: args[4], identity: args[5], knownHosts: args[6], dir: args[7]}
	var hosts []Host
	for i := range printingHosts {
		f := NewFleet(Config{Inventory: d.inventory(), StateDir: filepath.Join(d.dir, fmt.Sprint("state-", i))})
		defer f.Close()
		h, err := f.Host("w1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Run(t.Context(), ticket("t-0", 1, nil), Script{Text: "true"}); err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, h)
	}
	all := func(round string, bytes string) {
		var wg sync.WaitGroup
		for i, h := range hosts {
			wg.Go(func() { printMuch(t, h, args[0], printing(args[1], bytes), fmt.Sprint("t-", round, i)) })
		}
		wg.Wait()
	}
	all("little", "1000")
	before := memory(t, "VmRSS")
	write(t, "/proc/self/clear_refs", "5") // the peak counts from here on
	all("much", args[2])
	fmt.Printf("grown by %d KiB, to %d\n", memory(t, "VmHWM")-before, memory(t, "VmHWM"))
}

// printing is a script that prints so many bytes, as one line or as many, and fails.
func printing(shape, bytes string) Script {
	text := `yes "$PW is what a line of a log looks like" | head -c "$N"; echo failed >&2; exit 3`
	if shape == "one line" {
		text = `head -c "$N" /dev/zero | tr '\0' x; echo failed >&2; exit 3`
	}
	return Script{Text: text, Env: map[string]string{"N": bytes}, Secret: map[string]string{"PW": "correct horse battery"}}
}

func printMuch(t *testing.T, h Host, how string, s Script, id string) {
	tk := ticket(id, 1, nil)
	tk.Out = nil
	var err error
	switch how {
	case "Query":
		_, err = h.Query(t.Context(), s)
	case "Run":
		_, err = h.Run(t.Context(), tk, s)
	case "Do":
		err = h.Do(t.Context(), tk, Job{Name: "loud", Script: s})
	}
	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("%s: %v", how, err)
	}
}

// memory is a figure of this process in KiB.
func memory(t *testing.T, name string) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(data), name+":")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib
}
