package journal

import (
	"encoding/binary"
	"fmt"
)

// Key prefixes. Contents, events and metadata are three separate key ranges.
const (
	prefixContent = 'c'
	prefixEvent   = 'e'
	prefixMeta    = 'm'
)

const (
	eventKeyLen   = 1 + 8
	contentKeyLen = 1 + len(Hash{})
)

// Metadata keys, written when the journal is created.
var (
	metaID     = []byte("mid")     // the ID, 16 bytes
	metaFormat = []byte("mformat") // the format version, 4 bytes big-endian
)

func appendEventKey(dst []byte, sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, prefixEvent), sequence)
}

func appendContentKey(dst []byte, h Hash) []byte {
	return append(append(dst, prefixContent), h[:]...)
}

// eventKeyText is how errors print the key of an event: prefix and hexadecimal
// sequence, the form in which database tools show it.
func eventKeyText(sequence uint64) string { return fmt.Sprintf("key e/%016x", sequence) }

func contentKeyText(h Hash) string { return "key c/" + h.String() }

// splitEvent cuts the stored value of an event into envelope and hash.
func splitEvent(value []byte) (envelope []byte, hash Hash, ok bool) {
	n := len(value) - len(Hash{})
	if n < 0 {
		return nil, Hash{}, false
	}
	return value[:n:n], Hash(value[n:]), true
}
