// Package document reads strict YAML into Go structs and says what is wrong with it: every fault at once, each with
// its file, line and column, and a suggestion for every word that is nearly right.
//
// A struct describes a document by its tags, and the same tags give the reference page (Fields) and the JSON Schema
// (Schema):
//
//	yaml:"name"        the key; a field without it is no part of the document
//	yaml:",inline"     the fields of an embedded struct belong to this one
//	doc:"..."          what the key means, for people
//	default:"..."      the value of an absent key; the field must be zero by then
//	required:"true"    the key must be there
//	enum:"a,b"         the words allowed, also for the items of a list
//	expr:"never"       no expression may stand here, such as in the text of a shell command
//	as:"duration"      what a field of type *Value stands for: string, bool, int, duration, intOrPercent or object
//
// Scalars are decoded from the text as it is written, so an unquoted 1.30 is the string "1.30" and never a number.
// Anchors, aliases and `<<` work inside one file. Everything that makes YAML dangerous is refused: a second document,
// duplicate keys, tags, documents that are too large, too deep, or that grow too large when aliases are expanded.
//
// It is the only importer of gopkg.in/yaml.v3, and imports go-multierror beside the standard library.
package document
