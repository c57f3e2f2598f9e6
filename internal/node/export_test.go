package node_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"testing"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// sealed gives the bytes of an export a right end.
func sealed(body []byte) []byte {
	file := append([]byte(nil), body...)
	file = append(file, 0, 0, 0, 0, 0)
	sum := sha256.Sum256(file)
	return append(file, sum[:]...)
}

// Whatever an export says, restoring it ends with an error of a grade that a
// caller can act on. The frames themselves are fuzzed where they are defined.
func TestExportsWithoutSnapshot(t *testing.T) {
	head := binary.BigEndian.AppendUint32([]byte("ALYSEXPT"), 2)
	for _, body := range [][]byte{
		head,
		append(bytes.Clone(head), 1, 0xff, 0xff, 0xff, 0x3f),
		append(bytes.Clone(head), 1, 0, 0, 0, 3, 'a', 'b', 'c'),
		[]byte("ALYSEXPT\x00\x00\x00\x01"),
		{},
	} {
		for _, file := range [][]byte{body, sealed(body)} {
			_, err := node.RestoreSnapshot(t.Context(), bytes.NewReader(file), "", nil, slog.New(slog.DiscardHandler), nil)
			if err == nil {
				t.Fatal("an export without a snapshot is whole")
			}
			if g := fault.Of(err); g != fault.Corrupt && g != fault.Invalid {
				t.Fatalf("grade %v of %v", g, err)
			}
		}
	}
}
