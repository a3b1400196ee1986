// Package spec reads what people and programs write: spec files and the specs inside messages.
//
// A kind describes its spec as a Go struct with json tags, doc comments and a few tags (required, enum, default, example,
// min, max, pattern). This package does the rest: it turns short forms into full ones, reports every problem at once, each
// with file, line, column, field and what to do, and derives the JSON Schemas and the reference from the same struct.
//
//	Load       the CLI's: files in YAML or JSON, variables replaced, scripts and folders read, everything checked
//	Decode     the worker's: a spec from a queue, which is hostile; as strict as Load, but it reads no files
//	Normalize  the same, giving the canonical full form
//	Read       for a spec that passed before
//
// A default tag documents what a kind does with an absent field; nothing fills it in here.
package spec
