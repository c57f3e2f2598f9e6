package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
)

// newApp builds the command tree.
func newApp(stdout, stderr io.Writer) *cli.App {
	cli.FlagStringer = flagText // the package has no other place for it
	app := &cli.App{
		Name:            "alys",
		Usage:           "node of a merge-mined Bitcoin sidechain, event-sourced",
		HideVersion:     true,
		HideHelpCommand: true,
		Writer:          stdout,
		ErrWriter:       stderr,
		Action:          group,
		Commands: []*cli.Command{
			nodeCommand(), replayCommand(), statusCommand(), healthCommand(), logCommand(), signingCommand(), syncCommand(), federationCommand(), keyCommand(), signerCommand(), chainCommand(), journalCommand(), snapshotCommand(),
			migrateCommand(), simCommand(), devCommand(), devnetCommand(), pegCommand(), p2pCommand(), configCommand(), versionCommand(),
		},
		OnUsageError:          usageError,
		ExitErrHandler:        func(*cli.Context, error) {}, // run decides the code
		CustomAppHelpTemplate: appHelp,
	}
	for _, c := range app.Commands {
		prepare(c)
	}
	return app
}

// prepare gives a command and those below it our handling of wrong usage.
func prepare(c *cli.Command) {
	c.OnUsageError = usageError
	c.CustomHelpTemplate = commandHelp
	if len(c.Subcommands) > 0 {
		c.Action = group
		c.CustomHelpTemplate = groupHelp
		c.HideHelpCommand = true
	} else if action := c.Action; action != nil {
		c.Action = func(cc *cli.Context) error {
			if cc.Args().Present() {
				return usage("%s takes no argument %q; see %s --help", cc.Command.HelpName, cc.Args().First(), cc.Command.HelpName)
			}
			return action(cc)
		}
	}
	for _, sub := range c.Subcommands {
		prepare(sub)
	}
}

// group is the action of a command that only has commands below it.
func group(cc *cli.Context) error {
	name := cc.Args().First()
	if name == "" {
		if cc.Command.Name == cc.App.Name {
			return cli.ShowAppHelp(cc)
		}
		cli.HelpPrinter(cc.App.Writer, groupHelp, cc.Command)
		return nil
	}
	commands := cc.Command.Subcommands
	where := strings.TrimSpace(cc.Command.HelpName)
	if where == "" || len(commands) == 0 {
		commands, where = cc.App.Commands, cc.App.Name
	}
	return usage("%s has no command %q%s; see %s --help", where, name, config.Suggest(commandNames(commands), name), where)
}

func usageError(cc *cli.Context, err error, _ bool) error {
	name := cc.Command.HelpName
	if name == "" {
		name = cc.App.Name
	}
	text := err.Error()
	if flag, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		flag = strings.TrimLeft(flag, "-")
		text = "there is no flag --" + flag + config.Suggest(flagNames(cc.Command.Flags), flag)
	}
	return usage("%s: %s; see %s --help", name, text, name)
}

func commandNames(commands []*cli.Command) (names []string) {
	for _, c := range commands {
		names = append(names, c.Name)
	}
	return names
}

func flagNames(flags []cli.Flag) (names []string) {
	for _, f := range flags {
		names = append(names, f.Names()...)
	}
	return names
}

const appHelp = `{{.Name}} - {{.Usage}}

Usage: {{.Name}} COMMAND [flags]

Commands:{{range .VisibleCommands}}
  {{join .Names ", "}}{{"\t"}}{{.Usage}}{{end}}

{{.Name}} COMMAND --help shows flags and examples. Results go to stdout, progress and
log to stderr. Exit codes: 0 ok, 1 usage or failure, 2 not ready, 3 damage or
divergence, 4 refused for safety.
`

const groupHelp = `{{.HelpName}} - {{.Usage}}

Usage: {{.HelpName}} COMMAND [flags]

Commands:{{range .VisibleCommands}}
  {{.Name}}{{"\t"}}{{.Usage}}{{end}}
`

const commandHelp = `{{.HelpName}} - {{.Usage}}

Usage: {{.HelpName}} [flags]
{{if .Description}}
{{.Description}}
{{end}}{{if .VisibleFlags}}
Flags:{{range .VisibleFlags}}
  {{.}}{{end}}
{{end}}`

// outcome prints v as one line of JSON or by text, whichever was asked for.
func outcome(cc *cli.Context, v any, text func(w io.Writer)) error {
	if cc.Bool(jsonFlag.Name) {
		return writeJSON(cc.App.Writer, v)
	}
	text(cc.App.Writer)
	return nil
}

var jsonFlag = &cli.BoolFlag{Name: "json", Usage: "print the result as JSON"}

func printf(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
