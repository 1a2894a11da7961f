// Package plans carries the runbooks that come with the program, so that a binary alone can run them. It imports
// nothing but embed.
package plans

import "embed"

// FS holds every runbook by its file name, such as 1.27-to-1.28.yaml.
//
//go:embed *.yaml
var FS embed.FS
