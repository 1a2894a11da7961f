package hostile

import (
	"runtime"
	"strings"
)

// Growth is by how much more memory a parser works through for four times as much text, made of lines that are all alike:
// about 4 where its cost is in proportion, 16 where it is squared.
func Growth(line string, parse func(text string)) float64 {
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
