package config

import (
	"strconv"

	"github.com/urfave/cli/v2"
)

// FileFlag is the name of the flag that names the TOML file.
const FileFlag = "config"

// Flags returns the flags of the settings in groups, in the order of
// [Settings], after --config. Without groups it returns all. A flag only knows
// whether it was given: default and variable are for --help.
func Flags(groups ...Group) []cli.Flag {
	flags := []cli.Flag{newFlag(FileFlag, kindPath, "TOML file with settings", "", fileEnv)}
	for i := range settings {
		s := &settings[i]
		if s.Flag() == "" || !s.in(groups) {
			continue
		}
		if s.Kind == kindBool {
			flags = append(flags, &boolFlag{cli.BoolFlag{Name: s.Flag(), Usage: s.Help}, s.Env()})
			continue
		}
		flags = append(flags, newFlag(s.Flag(), s.Kind, s.Help, s.Default, s.Env()))
	}
	return flags
}

// FromContext is [Load] with the flags that were given to the command of cc.
func FromContext(cc *cli.Context, environ []string) (*Config, error) {
	src := Sources{Environ: environ, Flags: make(map[string]string)}
	if cc.IsSet(FileFlag) {
		src.File = cc.String(FileFlag)
	}
	for i := range settings {
		name := settings[i].Flag()
		switch {
		case name == "" || !cc.IsSet(name):
		case settings[i].Kind == kindBool:
			src.Flags[name] = strconv.FormatBool(cc.Bool(name))
		default:
			src.Flags[name] = cc.String(name)
		}
	}
	return Load(src)
}

func (s *Setting) in(groups []Group) bool {
	for _, g := range groups {
		if g == s.Group {
			return true
		}
	}
	return len(groups) == 0
}

// stringFlag and boolFlag show their variable in --help and leave reading it to
// [Load]: a value the flag took from a variable would claim the wrong origin.
type (
	stringFlag struct {
		cli.StringFlag
		kind, env string
	}
	boolFlag struct {
		cli.BoolFlag
		env string
	}
)

func newFlag(name, kind, help, value, env string) *stringFlag {
	return &stringFlag{cli.StringFlag{Name: name, Usage: help, DefaultText: value}, kind, env}
}

// GetEnvVars returns the variable of the setting.
func (f *stringFlag) GetEnvVars() []string { return []string{f.env} }

// String returns the flag's line of --help.
func (f *stringFlag) String() string { return cli.FlagStringer(f) }

// Placeholder returns the word that stands for the value in --help.
func (f *stringFlag) Placeholder() string { return f.kind }

// GetEnvVars returns the variable of the setting.
func (f *boolFlag) GetEnvVars() []string { return []string{f.env} }

// String returns the flag's line of --help.
func (f *boolFlag) String() string { return cli.FlagStringer(f) }
