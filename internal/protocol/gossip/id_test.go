package gossip_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/vectors"
)

// TestVectorsHeard decodes everything a listening peer heard, encodes it again to the same
// bytes, and compares its id.
func TestVectorsHeard(t *testing.T) {
	for _, chain := range []string{"single", "fed3"} {
		lines, err := vectors.Lines(filepath.Join(vectors.Dir(legacyDir), "chains", chain), "gossip")
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range lines {
			var v struct{ Data, ID string }
			if err := json.Unmarshal(line, &v); err != nil {
				t.Fatal(err)
			}
			data, err := hex.DecodeString(v.Data)
			if err != nil {
				t.Fatal(err)
			}
			if got := gossip.MessageID(data); got != v.ID {
				t.Fatalf("%s line %d: %s, heard as %s", chain, i+1, got, v.ID)
			}
			m, err := gossip.Decode(data)
			if err != nil {
				t.Fatalf("%s line %d: %v", chain, i+1, err)
			}
			if !bytes.Equal(m.Encode(), data) {
				t.Fatalf("%s line %d: encodes to other bytes", chain, i+1)
			}
		}
		t.Logf("%s: %d messages", chain, len(lines))
	}
}

func BenchmarkMessageID(b *testing.B) {
	data := make([]byte, 4096)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		gossip.MessageID(data)
	}
}
