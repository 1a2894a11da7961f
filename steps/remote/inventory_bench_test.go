package remote

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// BenchmarkReadInventory reads, checks and lays out inventories of so many hosts, each with an address, three labels and
// groups of its own, and listed in a group of all.
func BenchmarkReadInventory(b *testing.B) {
	for _, n := range []int{1000, 10000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "inventory.yaml")
			text := largeInventory(n)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				inv, err := LoadInventory(path)
				if err != nil {
					b.Fatal(err)
				}
				if got := len(inv.Targets()); got != n {
					b.Fatal(got)
				}
			}
			b.ReportMetric(float64(len(text))/1e6, "disk-MB")
		})
	}
}

func largeInventory(n int) string {
	var b strings.Builder
	b.WriteString("apiVersion: upgrader.dev/v1\nkind: Inventory\nhosts:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - name: worker-%05d\n    address: 10.%d.%d.%d\n    groups: [rack-%d, gpu]\n    labels:\n"+
			"      topology.kubernetes.io/zone: zone-%d\n      node.kubernetes.io/instance-type: m5.large\n      pool: general\n", i, i>>16, i>>8&255, i&255, i/40, i%3)
	}
	b.WriteString("groups:\n  workers:\n")
	for i := range n {
		fmt.Fprintf(&b, "    - worker-%05d\n", i)
	}
	return b.String()
}
