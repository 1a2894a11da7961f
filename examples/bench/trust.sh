#!/bin/sh
# Attacks the program at full size and prints what was found, a line a figure. SECURITY.md says what each is about. Each is an
# ordinary test that fails if the figure is not what is promised; `make test` has them in a smaller size.
set -eu
cd "$(dirname "$0")/../.."
said=$(mktemp)
trap 'rm -f "$said"' EXIT
attack() { # package, tests, further flags
	package=$1 tests=$2
	shift 2
	if ! go test -count=1 -v -timeout 60m "$package" -run "$tests" "$@" >"$said" 2>&1; then
		cat "$said" >&2
		exit 1
	fi
	sed -n "s|.*figure: |$package: |p" "$said"
}
attack ./steps/kube 'TestStaleControllers|TestRacesFind|TestNothingOfTheAPIComesRaw' -args -races 1000
attack ./steps/remote 'TestNoFormOfASecretReachesASink'
attack ./steps/remote 'TestEightHostsThatPrintMuch' -args -gigabyte
attack ./cmd/upgrader 'TestAnEditedRunIsRefused|TestNothingHostileComesOut'
