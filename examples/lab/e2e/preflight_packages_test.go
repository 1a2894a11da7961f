//go:build e2e

package e2e

// brokenPackages are troubles with dpkg and apt on the way to the next minor version.
func brokenPackages() []trouble {
	return []trouble{
		{
			name: "dpkg was interrupted", host: "w1",
			plant: companion + `
build 1 ` + from + `-1.1 'exit 1'
dpkg -i companion_1.deb || :
`,
			cure: `dpkg --purge companion; rm -r /srv/companion`,
			want: []wanted{{"warning", "packages.dpkg", "w1", "dpkg was interrupted in configuring packages", "companion", "dpkg --configure -a"}},
		},
		{
			name:  "somebody's apt-get waits at its prompt",
			plant: `(sleep 3600 | apt-get remove less) </dev/null >/dev/null 2>&1 &`,
			shows: `grep -q ":$(stat -c %i /var/lib/dpkg/lock-frontend) " /proc/locks`,
			cure:  `pkill -x sleep; pkill -x apt-get || :; until ! pgrep -x apt-get; do sleep 0.1; done`,
			want:  []wanted{{"warning", "packages.lock", "cp1", "somebody else uses apt or dpkg now", "the lock is held by apt-get", "let it end"}},
		},
	}
}

// carelessPackages are troubles that a plan meets which does not see to the repository itself.
func carelessPackages() []trouble {
	return []trouble{
		{
			name: "a held package that has to move too", host: "w1",
			plant: companion + `
build 1 ` + from + `-1.1
build 2 ` + to + `-1.1
dpkg -i companion_1.deb
apt-mark hold companion
echo 'deb [trusted=yes] file:/srv/companion ./' >/etc/apt/sources.list.d/companion.list
` + moveRepository,
			cure:  `apt-mark unhold companion; dpkg --purge companion; rm -r /srv/companion /etc/apt/sources.list.d/companion.list; ` + moveBack,
			want:  []wanted{{"blocker", "packages.held", "w1", "the package companion is held", "apt-mark showhold: companion, kubeadm", "apt-mark unhold companion"}},
			along: []string{"packages.installable"},
		},
		{
			name: "a package that has to stay",
			plant: companion + `
build 1 ` + from + `-1.1
dpkg -i companion_1.deb
` + moveRepository,
			cure: `dpkg --purge companion; rm -r /srv/companion; ` + moveBack,
			want: []wanted{{"blocker", "packages.installable", "cp1", "apt cannot install what the plan wants", "companion", "apt-get -s install kubeadm=" + to + "-1.1"}},
		},
		{
			name: "another signing key",
			plant: `
ring=/etc/apt/keyrings/kubernetes-apt-keyring.asc
keep $ring
{ echo '-----BEGIN PGP PUBLIC KEY BLOCK-----'; echo; base64 /usr/share/keyrings/debian-archive-keyring.gpg; echo '-----END PGP PUBLIC KEY BLOCK-----'; } >$ring`,
			cure: `restore /etc/apt/keyrings/kubernetes-apt-keyring.asc`,
			want: []wanted{{"blocker", "packages.signature", "cp1", "the key that signed the package lists of Kubernetes has expired or is missing", "ERRSIG", "Release.key"}},
		},
	}
}

// companion makes packages that go with one revision of the kubelet: build VERSION REVISION [POSTINST].
const companion = `
mkdir -p /srv/companion
cd /srv/companion
build() {
  mkdir -p "p$1/DEBIAN"
  printf 'Package: companion\nVersion: %s\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: goes with one kubelet\nDepends: kubelet (= %s)\n' "$1" "$2" >"p$1/DEBIAN/control"
  if [ -n "${3-}" ]; then printf '#!/bin/sh\n%s\n' "$3" >"p$1/DEBIAN/postinst"; chmod 755 "p$1/DEBIAN/postinst"; fi
  dpkg-deb -Znone -b "p$1" "companion_$1.deb"
  cat "p$1/DEBIAN/control" >>Packages
  printf 'Filename: ./companion_%s.deb\nSize: %s\nSHA256: %s\n\n' "$1" "$(stat -c %s "companion_$1.deb")" "$(sha256sum "companion_$1.deb" | cut -d ' ' -f 1)" >>Packages
}
`

// moveRepository shows a host the packages of the next minor version, moveBack those of before.
const (
	moveRepository = `
f=/etc/apt/sources.list.d/kubernetes.list
keep $f
sed -i 's#/v1[.]27/#/v1.28/#' $f
apt-get -q update
`
	moveBack = `
restore /etc/apt/sources.list.d/kubernetes.list
apt-get -q update
`
)
