package journal

import (
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// SmallDatabases makes every database of a test small, so that flushes,
// rotation and compactions come after kilobytes.
func SmallDatabases(t *testing.T) {
	adjust = func(o *pebble.Options) {
		o.MemTableSize = 16 << 10
		o.LBaseMaxBytes = 64 << 10
		for i := range o.TargetFileSizes {
			o.TargetFileSizes[i] = 8 << 10
		}
		for i := range o.Levels {
			o.Levels[i].BlockSize, o.Levels[i].IndexBlockSize = 1<<10, 1<<10
		}
	}
	t.Cleanup(func() { adjust = nil })
}

// Fingerprint reads everything a journal holds.
func Fingerprint(j *Journal) (string, error) { return fingerprint(j) }
