package config_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/AnduroProject/alys-go/internal/config"
)

// The later layer wins: default, file, variable, flag.
func ExampleLoad() {
	dir, err := os.MkdirTemp("", "alys")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "alys.toml")
	text := "data-dir = \"node1\"\n[snapshot]\nkeep = 7\n[engine]\ncache = \"128MiB\"\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	c, err := config.Load(config.Sources{
		File:    file,
		Environ: []string{"ALYS_ENGINE_CACHE=256MiB", "ALYS_SNAPSHOT_KEEP=8"},
		Flags:   map[string]string{"snapshot.keep": "9"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(c.Journal.Cache, c.Origin("journal.cache").Layer)
	fmt.Println(c.DataDir, c.Origin("data-dir").Layer, "line", c.Origin("data-dir").Line)
	fmt.Println(c.Engine.Cache, c.Origin("engine.cache"))
	fmt.Println(c.Snapshot.Keep, c.Origin("snapshot.keep"))

	_, err = config.Load(config.Sources{Environ: []string{"ALYS_SNAPSHOT_KEPT=3"}})
	fmt.Println(err)
	// Output:
	// 16MiB default
	// node1 file line 1
	// 256MiB env ALYS_ENGINE_CACHE
	// 9 flag --snapshot.keep
	// settings: there is no setting for the variable ALYS_SNAPSHOT_KEPT, did you mean ALYS_SNAPSHOT_KEEP?
}
