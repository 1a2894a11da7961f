# Reads what the benchmarks print and writes the tables: times with their ratio to bare, and counts of one step.
function median(key,   i, j, v, n, list) {
	n = split(times[key], list, " ")
	for (i = 2; i <= n; i++) for (j = i; j > 1 && list[j] + 0 < list[j-1] + 0; j--) { v = list[j]; list[j] = list[j-1]; list[j-1] = v }
	return list[int((n + 1) / 2)]
}
/^Benchmark/ {
	name = $1
	sub(/^Benchmark/, "", name)
	sub(/-[0-9]+$/, "", name)
	split(name, part, "/")
	if (part[1] == "Cost") {
		if (!((part[2], "execs/step") in cost)) counted[++c] = part[2]
		for (i = 3; i < NF; i += 2) cost[part[2], $(i+1)] = $i
		next
	}
	if (!(name in times)) { order[++n] = name; kind[name] = part[1]; way[name] = part[2] }
	for (i = 3; i < NF; i += 2) if ($(i+1) == "ns/op") times[name] = times[name] " " $i / 1e9; else if ($(i+1) == "cpu-s/op") cpu[name] = $i
}
END {
	printf "%-14s %-10s %9s %9s %9s\n", "100 x 10", "", "seconds", "cpu-s", "to bare"
	for (i = 1; i <= n; i++) {
		k = order[i]
		printf "%-14s %-10s %9.1f %9.1f %8.1fx\n", kind[k], way[k], median(k), cpu[k], median(k) / median(kind[k] "/bare")
	}
	printf "\n%-14s %9s %9s %9s\n", "one step", "forks", "execs", "syncs"
	for (i = 1; i <= c; i++) printf "%-14s %9.1f %9.1f %9.1f\n", counted[i], cost[counted[i], "forks/step"], cost[counted[i], "execs/step"], cost[counted[i], "syncs/step"]
}
