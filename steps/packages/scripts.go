package packages

import _ "embed"

// What a host is asked and what is done to it. Everything that is Debian's about this family is in these files and in
// look.go; the kinds themselves speak of packages, revisions and holds.
var (
	//go:embed locks.sh
	locksSh string // functions that the others use
	//go:embed look.sh
	lookSh string
	//go:embed source.sh
	sourceSh string
	//go:embed repository.sh
	repositorySh string
	//go:embed install.sh
	installSh string
	//go:embed hold.sh
	holdSh string
	//go:embed configure.sh
	configureSh string
)
