// Package config holds the node's settings: one list, four layers.
//
// Every setting is one row of [Settings]: key, default, help, limits. The TOML
// key, the environment variable, the flag, the sample file and the checks all
// follow from that row:
//
//	key       journal.cache
//	variable  ALYS_JOURNAL_CACHE
//	flag      --journal.cache
//
// # Usage
//
//	flags := config.Flags(config.Data, config.Log)        // of a command
//	c, err := config.FromContext(cc, os.Environ())        // in its action
//	c, err := config.Load(config.Sources{File: "alys.toml"}) // without flags
//	err = c.Show(os.Stdout, false)
//
// # Layers
//
// Defaults, then the TOML file, then ALYS_* variables, then flags; the later
// wins. Every value remembers where it came from ([Config.Origin]). There is no
// file unless --config or ALYS_CONFIG names one. Relative paths are relative to
// the working directory, also those of the file. A variable that is set and
// empty counts as set.
//
// Unknown keys of the file and unknown ALYS_* variables are errors with a
// suggestion, since a misspelt setting otherwise is a default nobody asked for.
// Variables that begin with ALYS_TEST_ belong to tests and are left alone.
//
// # Guarantees
//
//   - Load reports every wrong value at once, each with key, value, origin and
//     what is allowed. The grade of its errors is fault.Invalid.
//   - Show writes TOML that Load accepts and that gives the same settings.
//     Secrets appear in no output: they are comments there, so that feeding the
//     output back leaves them as the other layers set them.
//   - Secrets have no flag, since a command line is public to all users of a host.
//
// # Values
//
//	path, address  string
//	bool           TOML boolean; true, false, 1, 0 elsewhere
//	integer        decimal
//	size           string with a unit: "64MiB"; B, KiB, MiB, GiB, TiB
//	duration       string as in Go: "200ms", "1m30s"
package config
