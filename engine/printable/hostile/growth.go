package hostile

import (
	"runtime"
	"strings"
	"testing"
)

// InProportion fails a test of a parser that works through more than six times the memory for four times as much text.
func InProportion(t testing.TB, line string, parse func(text string)) {
	t.Helper()
	if growth := growthOf(line, parse); growth > 6 {
		t.Errorf("four times as many of %.40q cost %.1f times as much", line, growth)
	}
}

// growthOf is by how much more memory a parser works through for four times as much text, made of lines that are all alike:
// about 4 where its cost is in proportion, 16 where it is squared.
func growthOf(line string, parse func(text string)) float64 {
	small, large := strings.Repeat(line, 4_000), strings.Repeat(line, 16_000)
	parse(small)                         // what is made once does not count
	least := uint64(len(small)) + 16<<10 // what takes less than its text is cheap, and what the runtime takes beside is not its own
	return float64(worked(func() { parse(large) })) / float64(max(worked(func() { parse(small) }), least))
}

func worked(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
