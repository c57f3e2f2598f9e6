package journal

import (
	"errors"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// HeadRecord is one readable slot of a head file.
type HeadRecord struct {
	ID   ID
	Head Head
}

// HeadRecords returns the readable slots of the head file of a journal
// directory, whatever the state of the database beside it. damage says what is
// wrong with each of the others. A file that is not there has no slots.
func HeadRecords(fs vfs.FS, dir string) (records []HeadRecord, damage []error, err error) {
	path := fs.PathJoin(dir, headName)
	f, err := fs.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fault.Wrap(fault.Fatal, err, "open head file "+path)
	}
	defer f.Close()
	file := make([]byte, headFileSize)
	n, err := f.ReadAt(file, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, fault.Wrap(fault.Fatal, err, "read head file "+path)
	}
	for i := range 2 {
		r, err := decodeSlot(file[min(i*headPage, n):min((i+1)*headPage, n)])
		if err != nil {
			damage = append(damage, err)
			continue
		}
		records = append(records, HeadRecord{ID: r.id, Head: r.head})
	}
	return records, damage, nil
}
