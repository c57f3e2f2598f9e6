package journal

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// FormatVersion is the version of keys and values in the database together: the
// one this package writes and the newest it reads.
//
//   - 1: envelopes of version 1, contents as they are.
//   - 2: also envelopes of version 2 and coded contents. A journal of format 1
//     that is opened for writing becomes one of format 2; its events stay as
//     they are.
const FormatVersion = 2

// readFormat returns the format of a database that this program can read.
func readFormat(db *pebble.DB, dir string) (uint32, error) {
	value, err := readKey(db, metaFormat)
	if err != nil || len(value) != 4 || binary.BigEndian.Uint32(value) == 0 {
		return 0, &CorruptError{Key: dir, What: fmt.Sprintf("format key %q is missing or damaged", metaFormat), Cause: err}
	}
	v := binary.BigEndian.Uint32(value)
	if v > FormatVersion {
		return 0, fault.New(fault.Invalid, "journal database %s has format %d, this program reads up to %d: %w", dir, v, FormatVersion, ErrNewerFormat)
	}
	return v, nil
}

// upgradeFormat marks the database as one that this program writes, so that an
// older one refuses it by name from the first new event on.
func upgradeFormat(db *pebble.DB, dir string) error {
	v, err := readFormat(db, dir)
	if err != nil || v == FormatVersion {
		return err
	}
	err = guarded(func() error {
		return db.Set(metaFormat, binary.BigEndian.AppendUint32(nil, FormatVersion), pebble.Sync)
	})
	return fault.Wrap(fault.Fatal, err, fmt.Sprintf("upgrade journal database %s to format %d", dir, FormatVersion))
}
