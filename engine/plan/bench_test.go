package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"upgrader.dev/upgrader/engine/plan"
)

// size is how many steps the plans of BenchmarkValidate have.
const size = 10_000

// BenchmarkValidate reads and checks plans of 10,000 steps in every shape. A document holds 20,000 values, so the largest
// are made by fragments.
func BenchmarkValidate(b *testing.B) {
	c := catalog(b)
	for _, shape := range []struct {
		name  string
		files plan.Bundle
	}{
		{"flat", plan.Bundle{"plan.yaml": uses(size/1000, "./f.yaml"), "f.yaml": fragment(1000, `{uses: cluster.healthy}`)}},
		{"groups", groups(size / 20)},
		{"fragments", fragments()},
		{"chain", chain(2400)},
		{"fan-in", fanIn(3300)},
		{"expressions", expressions(size / 1000)},
	} {
		b.Run(shape.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p, err := loadBundle("", "plan.yaml", shape.files)
				if err == nil {
					err = p.Check(c)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// uses is a plan whose steps use one fragment again and again.
func uses(n int, what string) []byte {
	return []byte(header + "steps:\n" + strings.Repeat("  - {uses: "+what+"}\n", n))
}

// fragment is a fragment of one step again and again.
func fragment(n int, step string) []byte {
	return []byte(fragmentHeader + "steps:\n" + strings.Repeat("  - "+step+"\n", n))
}

// groups is many groups of one fragment each.
func groups(n int) plan.Bundle {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  - {id: g%d, hosts: workers, steps: [{uses: ./f.yaml}]}\n", i)
	}
	return plan.Bundle{"plan.yaml": []byte(header + "steps:\n" + b.String()), "f.yaml": fragment(20, "{uses: node.uncordon}")}
}

// fragments is fragments in fragments, ten times ten times ten times ten.
func fragments() plan.Bundle {
	ten := func(what string) []byte { return fragment(10, "{uses: "+what+"}") }
	return plan.Bundle{"plan.yaml": uses(10, "./a.yaml"), "a.yaml": ten("./b.yaml"), "b.yaml": ten("./c.yaml"), "c.yaml": ten("cluster.healthy")}
}

// chain is steps that each need the one before by name.
func chain(n int) plan.Bundle {
	var b strings.Builder
	b.WriteString("  - {id: s0, uses: cluster.healthy}\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "  - {id: s%d, uses: cluster.healthy, needs: [s%d]}\n", i, i-1)
	}
	return plan.Bundle{"plan.yaml": []byte(header + "steps:\n" + b.String())}
}

// fanIn is one step that needs all others by name.
func fanIn(n int) plan.Bundle {
	var b, names strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  - {id: s%d, uses: cluster.healthy}\n", i)
		fmt.Fprintf(&names, "s%d, ", i)
	}
	fmt.Fprintf(&b, "  - {id: all, uses: cluster.healthy, needs: [%s]}\n", names.String())
	return plan.Bundle{"plan.yaml": []byte(header + "steps:\n" + b.String())}
}

// expressions is steps whose settings and conditions are expressions.
func expressions(n int) plan.Bundle {
	step := `{uses: ssh.run, when: "facts['os'] == vars.os", timeout: "${{ vars.t }}", with: {run: x, env: {A: "${{ vars.os }}-${{ host.name }}"}}}`
	vars := "vars: {os: {default: x}, t: {type: duration, default: 5m}}\n"
	return plan.Bundle{"plan.yaml": uses(n, "./f.yaml, hosts: workers"), "f.yaml": []byte(fragmentHeader + vars + "steps:\n" + strings.Repeat("  - "+step+"\n", 1000))}
}
