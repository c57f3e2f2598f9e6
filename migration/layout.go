package migration

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Layout names the four parts of what a legacy node leaves: paths of two
// directories and two files.
type Layout struct {
	ChainDB   string // LevelDB store of the blocks
	Wallet    string // sled store of the federation's coins
	ChainSpec string // chain spec, JSON (consensus.md C1)
	Genesis   string // execution layer's genesis, JSON
}

// part is one member of a Layout: its name in the directory and what it has to be.
type part struct {
	path *string
	name string
	dir  bool
}

func (l *Layout) parts() []part {
	return []part{
		{&l.ChainDB, "chain_db", true},
		{&l.Wallet, "wallet", true},
		{&l.ChainSpec, "chain.json", false},
		{&l.Genesis, "genesis.json", false},
	}
}

// FindLayout returns the parts as they lie in dir under legacy's names:
// chain_db/, wallet/, chain.json, genesis.json. Parts that are missing are
// named by the error, graded Invalid, and empty in the layout that is returned
// with it, so that a caller who has them elsewhere can go on with [Layout.With].
func FindLayout(dir string) (Layout, error) {
	var l Layout
	info, err := os.Stat(dir)
	if err != nil {
		return l, fault.Wrap(fault.Invalid, err, "legacy directory")
	}
	if !info.IsDir() {
		return l, fault.New(fault.Invalid, "legacy directory: %s is a file; name the directory that has chain_db in it", dir)
	}
	for _, p := range l.parts() {
		path := filepath.Join(dir, p.name)
		if info, err := os.Stat(path); err == nil && info.IsDir() == p.dir {
			*p.path = path
		}
	}
	return l, l.Check()
}

// With returns l with every part that o names taken from o.
func (l Layout) With(o Layout) Layout {
	to, from := l.parts(), o.parts()
	for i := range to {
		if *from[i].path != "" {
			*to[i].path = *from[i].path
		}
	}
	return l
}

// Check reports which parts are missing or not what they have to be, in one
// error graded Invalid.
func (l Layout) Check() error {
	var wrong []string
	for _, p := range l.parts() {
		kind := "file"
		if p.dir {
			kind = "directory"
		}
		if *p.path == "" {
			wrong = append(wrong, p.name+" ("+kind+") is missing")
			continue
		}
		info, err := os.Stat(*p.path)
		switch {
		case err != nil:
			wrong = append(wrong, p.name+": "+err.Error())
		case info.IsDir() != p.dir:
			wrong = append(wrong, p.name+": "+*p.path+" is not a "+kind)
		}
	}
	if wrong == nil {
		return nil
	}
	return fault.New(fault.Invalid, "legacy directory: %s; name each missing part by its own path", strings.Join(wrong, "; "))
}
