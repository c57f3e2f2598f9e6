package vectors_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/blockrange"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
)

// wireFile is the sidecar of the wire protocol's page. It does not come from the
// legacy program, so it lies beside its data and is no part of another set.
const wireFile = "../../../testdata/wire.txt"

var (
	wireID    = regexp.MustCompile(`data = (empty|"hello"|100 zero bytes) +-> id text "(\d+)"`)
	wireHex   = regexp.MustCompile(`(?m)^   ([0-9a-f]{40,})$`)
	wireRoot  = regexp.MustCompile(`block root .*: 0x([0-9a-f]{64})`)
	wireSizes = regexp.MustCompile(`96 zero bytes\): (\d+) bytes; as a gossip payload: (\d+) bytes`)
)

// TestVectorsWire puts every number of the sidecar through our code: three message
// ids, a request for blocks, an approval, and the default block with its root and
// sizes.
func TestVectorsWire(t *testing.T) {
	text, err := os.ReadFile(wireFile)
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	count := func(err error) {
		if err != nil {
			t.Error(err)
			return
		}
		passed++
	}
	data := map[string][]byte{"empty": nil, `"hello"`: []byte("hello"), "100 zero bytes": make([]byte, 100)}
	for _, m := range wireID.FindAllSubmatch(text, -1) {
		count(equal("id", gossip.MessageID(data[string(m[1])]), string(m[2])))
	}
	var items [][]byte
	for _, m := range wireHex.FindAllSubmatch(text, -1) {
		item, err := hex.DecodeString(string(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
	}
	if len(items) != 3 {
		t.Fatalf("%d items, want 3", len(items))
	}
	request := blockrange.Request{Start: 5, Count: 1024}
	back, err := blockrange.DecodeRequest(items[0])
	count(errors.Join(err, equal("request", request.Encode(), items[0]), equal("request read", back, request)))
	approval := &gossip.ApproveBlock{Approval: aura.Approval{Authority: 5}}
	count(equal("approval", approval.Encode(), items[1]))
	count(checkDefault(text, items[2]))
	const vectors = 6
	if passed != vectors {
		t.Errorf("wire.txt: %d of %d passed", passed, vectors)
	}
	t.Logf("wire.txt: %d of %d passed", passed, vectors)
}

func checkDefault(text, message []byte) error {
	root, sizes := wireRoot.FindSubmatch(text), wireSizes.FindSubmatch(text)
	if root == nil || sizes == nil {
		return errors.New("the default block has no root or no sizes")
	}
	signed := &block.Signed{Approvals: aura.None()}
	payload := (&gossip.ConsensusBlock{Signed: signed}).Encode()
	if !bytes.HasSuffix(payload, signed.Encode()) {
		return errors.New("the payload does not end in the block")
	}
	return errors.Join(
		equal("default block", (&block.Block{}).Encode(), message),
		equal("root", signed.Root(), common.HexToHash(string(root[1]))),
		equal("size", fmt.Sprint(len(signed.Encode())), string(sizes[1])),
		equal("size of the payload", fmt.Sprint(len(payload)), string(sizes[2])),
	)
}
