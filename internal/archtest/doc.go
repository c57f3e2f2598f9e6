// Package archtest holds the rules of this module as tests over its source:
// the direction of imports, the purity of the deterministic packages,
// documentation, dependencies, and the pages of docs/decisions. A rule that
// someone could break by accident is a test, not a sentence.
//
// # Usage
//
//	go test ./internal/archtest
//
// A finding is one line: file, line, rule and what to do instead. Something
// that breaks a rule for a good reason is listed beside the rule with that
// reason, and a listed exception that no longer applies is a finding too.
//
// # Rules
//
//   - Imports point downwards through the layers of layers_test.go. A core
//     (actors/NAME) imports of this module only internal/protocol and the
//     contract actors/core. A directory that is in no layer is a finding.
//   - Cores, the contract and internal/protocol are deterministic: they import
//     only what purity_imports_test.go lists, start no goroutine, use no
//     channel, no floating point and no iteration over a map, print no address
//     and change no package variable. These rules are checked on types, so a
//     map behind a field, a named type or a function's result is seen.
//   - Exported names and packages are documented, files stay short, recover is
//     called only where a panic is meant to end.
//   - A direct dependency is imported somewhere and has a page in
//     docs/decisions; a page names only modules that are imported.
//
// Each rule is a function from parsed source to findings, and has a test that
// feeds it a small bad sample: a rule that never fires is not a rule.
//
// # Limits
//
// Third-party packages are not analysed. Deterministic packages import only
// listed ones, and functions of those that read the clock, randomness or the
// environment are listed as forbidden by name. A package variable changed
// through a copied pointer is not seen. Types come from the compiler's
// export data, so the first run after a change of dependencies compiles them.
package archtest
