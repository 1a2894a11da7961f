# Makes a table of what go test -bench says: the time of one round, what it allocated, and figures of the benchmark's own.
function time(ns) {
	if (ns >= 1e9) return sprintf("%.2f s", ns / 1e9)
	if (ns >= 1e6) return sprintf("%.1f ms", ns / 1e6)
	return sprintf("%.1f us", ns / 1e3)
}
BEGIN { printf "%-52s %12s %12s  %s\n", "BENCHMARK", "TIME", "ALLOCATED", "" }
/^Benchmark/ {
	name = $1; sub(/^Benchmark/, "", name); sub(/-[0-9]+$/, "", name)
	allocated = ""; more = ""
	for (i = 3; i < NF; i += 2) {
		if ($(i + 1) == "ns/op") spent = time($i)
		else if ($(i + 1) == "B/op") allocated = sprintf("%.1f MB", $i / 1048576)
		else if ($(i + 1) != "allocs/op" && $(i + 1) != "MB/s") more = more sprintf("%s %s  ", $i, $(i + 1))
	}
	printf "%-52s %12s %12s  %s\n", name, spent, allocated, more
}
/^(FAIL|panic|---)/ { print; failed = 1 }
END { exit failed }
