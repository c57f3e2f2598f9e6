package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// Shown is one setting as Show writes it in JSON.
type Shown struct {
	Key    string `json:"key"`
	Value  string `json:"value"` // empty for a secret
	Origin string `json:"origin"`
	Secret bool   `json:"secret,omitempty"`
	Set    bool   `json:"set,omitempty"` // of a secret: whether it has a value
}

// Show writes all settings, one per line with its origin: as TOML that [Load]
// accepts, or as a JSON array of [Shown]. Secrets are left out; their lines are
// comments. The error is that of w.
func (c *Config) Show(w io.Writer, asJSON bool) error {
	if asJSON {
		return c.showJSON(w)
	}
	var b bytes.Buffer
	for i := range settings {
		s := &settings[i]
		field, origin := s.field(c), c.origins[s.Key]
		switch {
		case s.Secret && format(field) == "":
			fmt.Fprintf(&b, "# %s is not set\n", s.Key)
		case s.Secret:
			fmt.Fprintf(&b, "# %s is set and hidden # %s\n", s.Key, origin)
		case bare(field):
			fmt.Fprintf(&b, "%s = %s # %s\n", s.Key, format(field), origin)
		default:
			fmt.Fprintf(&b, "%s = %s # %s\n", s.Key, quote(format(field)), origin)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (c *Config) showJSON(w io.Writer) error {
	list := make([]Shown, len(settings))
	for i := range settings {
		s := &settings[i]
		list[i] = Shown{Key: s.Key, Origin: c.origins[s.Key].String(), Secret: s.Secret}
		if value := format(s.field(c)); s.Secret {
			list[i].Set = value != ""
		} else {
			list[i].Value = value
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(list)
}

// Sample writes the documented sample file: every setting, commented out, at its
// default. The error is that of w.
func Sample(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString("# Settings of alys, all at their defaults. Give the file with --config or ALYS_CONFIG.\n" +
		"# The ALYS_* variables win over the file, flags win over both.\n" +
		"# Generated from internal/config: make generate.\n")
	group := Group("")
	for i := range settings {
		s := &settings[i]
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "\n# -- %s --\n", group)
		}
		fmt.Fprintf(&b, "\n# %s\n# %s", s.Help, s.Env())
		if s.Flag() != "" {
			fmt.Fprintf(&b, ", --%s", s.Flag())
		}
		if s.Allowed != "" {
			fmt.Fprintf(&b, "; allowed: %s", s.Allowed)
		}
		b.WriteByte('\n')
		switch {
		case s.Secret:
			fmt.Fprintf(&b, "#%s = \"\"\n", s.Key)
		case s.Default == "":
			fmt.Fprintf(&b, "#%s = \"\" # such as %s\n", s.Key, quote(s.Example))
		case bare(s.field(new(Config))):
			fmt.Fprintf(&b, "#%s = %s\n", s.Key, s.Default)
		default:
			fmt.Fprintf(&b, "#%s = %s\n", s.Key, quote(s.Default))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}
