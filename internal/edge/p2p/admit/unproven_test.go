package admit_test

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/edge/p2p/admit"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/gossip"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// forged is a message that anybody can make without end and that nothing is wrong with as
// far as it can be judged without state.
func forged(chain *spec.Chain, topic string, n uint64, size int) []byte {
	var id [32]byte
	binary.BigEndian.PutUint64(id[:], n)
	if topic == gossip.TopicApproveBlock { // of some block of long ago
		return (&gossip.ApproveBlock{Root: id, Approval: aura.Approval{Signature: aura.DevKey(1).Sign(id)}}).Encode()
	}
	e := gossip.PegoutEntry{Txid: id, PublicKey: chain.FederationKeys[0], Signatures: make([][64]byte, size/64)}
	return (&gossip.PegoutSignatures{Entries: []gossip.PegoutEntry{e}}).Encode()
}

// TestStrangersInNumbers has many strangers send what cannot be judged, each no more than it
// may. What is taken in of it, and so goes into the journal, does not grow with their number,
// and the node that passes it on is not taken for one that sends too much.
func TestStrangersInNumbers(t *testing.T) {
	const strangers, seconds = 20, 20
	for _, topic := range []string{gossip.TopicApproveBlock, gossip.TopicPegoutSignatures} {
		chain := federation()
		chain.FederationKeys = [][33]byte{{2, 1}}
		c := &clock{time.UnixMilli(1 << 40)}
		first, second := admitter(t, chain, c, nil), admitter(t, chain, c, nil)
		passed, bytes, n := 0, 0, uint64(0)
		for range seconds {
			for s := range strangers {
				for range 10 {
					n++
					who := fmt.Sprint("stranger ", s)
					data := forged(chain, topic, n, 4096)
					r := first.Judge(admit.Heard{Topic: topic, Data: data, From: who, Author: who})
					if r.Message != nil {
						bytes += len(data)
					}
					if r.Verdict != admit.Forward {
						continue
					}
					passed++
					for _, act := range second.Judge(admit.Heard{Topic: topic, Data: data, From: "first", Author: who}).Acts {
						if act.Kind == message.ActSpam {
							t.Fatalf("%s: who passes it on is blamed after %d messages: %s", topic, passed, act.Detail)
						}
					}
				}
			}
			c.now = c.now.Add(time.Second)
		}
		if most := 1<<20 + seconds*16<<10; passed == 0 || bytes > most {
			t.Errorf("%s: %d messages with %d bytes are taken in, at most %d bytes should be", topic, passed, bytes, most)
		}
	}
}

// TestApprovalsAmongStrangers takes the approvals of a block of now, another's and our own,
// while strangers repeat those of old ones.
func TestApprovalsAmongStrangers(t *testing.T) {
	chain := federation()
	c := &clock{}
	c.at(chain, 1000)
	a := admitter(t, chain, c, nil)
	others := signed(t, chain, 1000, 0)
	if r := a.Judge(onBlocks(others)); r.Verdict != admit.Forward {
		t.Fatalf("a block: %+v", r)
	}
	own := signed(t, chain, 1001, 0)
	a.Publishing(own.Root())
	for n := range uint64(400) {
		a.Judge(admit.Heard{Topic: gossip.TopicApproveBlock, Data: forged(chain, gossip.TopicApproveBlock, n, 0), From: "stranger", Author: "stranger"})
	}
	for i, root := range []([32]byte){others.Root(), own.Root()} {
		m := &gossip.ApproveBlock{Root: root, Approval: aura.Approval{Authority: 1, Signature: aura.DevKey(2).Sign(root)}}
		if r := a.Judge(admit.Heard{Topic: gossip.TopicApproveBlock, Data: m.Encode(), From: "p", Author: "p"}); r.Verdict != admit.Forward {
			t.Errorf("approval of block %d: %+v", i, r)
		}
	}
}
