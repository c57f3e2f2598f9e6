package sim

import (
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Copy writes a member's journal and snapshots into a real directory, as the data
// directory of a node has them. Their signatures are stand-ins, so no node starts on
// it; replay knows them by the software that the journal names.
func (d *Disk) Copy(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(fault.Temporary, err, "the directory of a member")
	}
	for from, to := range map[string]string{JournalDir: "journal", SnapshotDir: "snapshots"} {
		if _, err := vfs.Clone(d.mem, vfs.Default, from, filepath.Join(dir, to), vfs.CloneSync); err != nil {
			return fault.Wrap(fault.Temporary, err, "writing the "+to+" of a member")
		}
	}
	return nil
}
