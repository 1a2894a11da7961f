// Package schemas carries the JSON Schemas of the files that upgrader reads, for editors and for CI. They are generated
// from the Go types and compared with them by a test. It imports nothing but embed.
package schemas

import "embed"

// FS holds plan.schema.json, inventory.schema.json and knowledge.schema.json.
//
//go:embed *.schema.json
var FS embed.FS
