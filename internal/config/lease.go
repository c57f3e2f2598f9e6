package config

import (
	"os"
	"path/filepath"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

var leaseSettings = []Setting{
	{
		Key: "lease-dir", Group: Data, Kind: kindPath, Example: "/var/lib/alys-leases",
		Help:  "where the nodes of this machine note which journal signs with which key; one directory for all of them. Empty is alys/leases in XDG_STATE_HOME, or in .local/state of the user's home",
		field: func(c *Config) any { return &c.LeaseDirectory },
	},
}

// LeaseDir is where leases of keys are kept. (docs/decisions/0084-key-lease.md)
func (c *Config) LeaseDir() (string, error) {
	if c.LeaseDirectory != "" {
		return c.LeaseDirectory, nil
	}
	state := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fault.New(fault.Invalid, "no place for leases of keys: %v; give lease-dir, the same for all nodes of this machine", err)
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "alys", "leases"), nil
}
