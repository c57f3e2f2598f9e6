package main

import (
	"encoding/json"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/journal"
)

// version is set by the linker: -X main.version=v1.2.3.
var version = "devel"

// Versions of the formats on disk, as docs/formats/ draws them.
const (
	journalFormat  = journal.FormatVersion
	snapshotFormat = 1
)

// versionInfo is what `alys version --json` prints.
type versionInfo struct {
	Version   string  `json:"version"`
	Commit    string  `json:"commit"` // "" when the binary was built outside a checkout
	Modified  bool    `json:"modified"`
	Go        string  `json:"go"`
	Platform  string  `json:"platform"`
	Behaviour uint32  `json:"behaviour"`
	Formats   formats `json:"formats"`
}

// formats are the versions of what is on disk that this program writes.
type formats struct {
	Journal       uint32 `json:"journal"`
	Snapshot      uint32 `json:"snapshot"`
	Configuration uint32 `json:"node_configured"`
}

func currentVersion() versionInfo {
	v := versionInfo{
		Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Behaviour: node.Behaviour,
		Formats: formats{Journal: journalFormat, Snapshot: snapshotFormat, Configuration: (*message.NodeConfigured)(nil).Schema()},
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Usage: "print version, commit, formats and behaviour",
		Description: `A journal can be replayed by programs of the same behaviour; see docs/operator.md.

Example:
  alys version --json`,
		Flags: []cli.Flag{jsonFlag},
		Action: func(cc *cli.Context) error {
			v := currentVersion()
			return outcome(cc, v, func(w io.Writer) {
				commit := v.Commit
				if commit == "" {
					commit = "unknown"
				}
				if v.Modified {
					commit += " (modified)"
				}
				printf(w, "alys %s\ncommit     %s\ngo         %s %s\nbehaviour  %d\nformats    journal %d, snapshot %d\n",
					v.Version, commit, v.Go, v.Platform, v.Behaviour, v.Formats.Journal, v.Formats.Snapshot)
			})
		},
	}
}

// writeJSON prints v as indented JSON.
func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return fault.Wrap(fault.Temporary, encoder.Encode(v), "writing the result")
}
