#!/bin/sh
# Prints what a run costs on this machine, as a table: a line a benchmark, each at two sizes or more. README.md says what
# they are. BENCH chooses some by a regular expression.
set -eu
cd "$(dirname "$0")/../.."
go test -run '^$' -bench "${BENCH:-.}" -benchtime 0.2s -benchmem -timeout 60m \
	./engine ./engine/journal ./engine/plan ./plans ./cmd/upgrader ./steps/remote |
	awk -f examples/bench/table.awk
