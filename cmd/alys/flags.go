package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagText is one line of --help: name, placeholder, meaning, default, variable.
func flagText(f cli.Flag) string {
	d, ok := f.(cli.DocGenerationFlag)
	if !ok {
		return f.String()
	}
	placeholder, meaning := "", d.GetUsage()
	if i := strings.IndexByte(meaning, '`'); i >= 0 {
		if j := strings.IndexByte(meaning[i+1:], '`'); j >= 0 {
			placeholder = meaning[i+1 : i+1+j]
			meaning = strings.TrimPrefix(meaning[:i]+placeholder+meaning[i+j+2:], placeholder+": ")
		}
	}
	if p, ok := f.(interface{ Placeholder() string }); ok {
		placeholder = p.Placeholder()
	} else if placeholder == "" && d.TakesValue() {
		placeholder = "VALUE"
	}
	names := make([]string, 0, 2)
	for _, n := range f.Names() {
		if len(n) == 1 {
			names = append(names, "-"+n)
		} else {
			names = append(names, "--"+n)
		}
	}
	text := strings.Join(names, ", ")
	if placeholder != "" {
		text += " " + placeholder
	}
	var notes []string
	if value := d.GetDefaultText(); d.TakesValue() && value != "" && value != "0" && value != `""` {
		notes = append(notes, "default "+value)
	}
	for _, e := range d.GetEnvVars() {
		notes = append(notes, "$"+e)
	}
	if len(notes) > 0 {
		meaning += fmt.Sprintf(" (%s)", strings.Join(notes, ", "))
	}
	return text + "\t" + meaning
}
