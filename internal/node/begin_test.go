package node_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/checkpoint"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/settle"
	"github.com/AnduroProject/alys-go/migration"
)

// offering is a peer with the state at a block, and the blocks of a recorded chain.
type offering struct {
	name   string
	store  *settle.Store
	branch *migration.Branch
	change func(number uint64, raw []byte) []byte
}

func (o *offering) Name() string { return o.name }

func (o *offering) Exchange(_ context.Context, request []byte) ([]byte, error) {
	m, err := checkpoint.Unpack(request)
	if err != nil {
		return nil, err
	}
	return checkpoint.Pack(o.store.Answer(m)), nil
}

func (o *offering) Blocks(_ context.Context, from uint64, count uint32) (list [][]byte, err error) {
	for n := from; n < from+uint64(count); n++ {
		b, err := o.branch.Block(n)
		if err != nil {
			return nil, fault.Wrap(fault.Temporary, err, "block")
		}
		raw := b.Data
		if o.change != nil {
			raw = o.change(n, raw)
		}
		list = append(list, raw)
	}
	return list, nil
}

// offer makes peers that are the members of a recorded chain.
func offer(t *testing.T, branch *migration.Branch, made *settle.Made, members ...uint8) (list []*offering) {
	t.Helper()
	for _, member := range members {
		store, err := settle.OpenStore(filepath.Join(t.TempDir(), "settled"))
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Keep(made, checkpoint.Sign(made.Claim, member, aura.DevKey(uint64(member)+1))); err != nil {
			t.Fatal(err)
		}
		list = append(list, &offering{name: string('a' + rune(member)), store: store, branch: branch})
	}
	return list
}

func beginWith(t *testing.T, chainName, dir string, peers ...*offering) (node.Begun, error) {
	t.Helper()
	return node.Begin(t.Context(), node.BeginOptions{
		DataDir: dir, ChainSpec: readChain(t, chainName, "chain.json"), GenesisJSON: readChain(t, chainName, "genesis.json"),
		Peers: func() (list []settle.Peer) {
			for _, p := range peers {
				list = append(list, p)
			}
			return list
		},
		Patience: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
}

// A node that begins with what a quorum of members states has the wallet and the chain of those
// that were there all the time: it goes on to the same states. Its signing is held, and the
// blocks before are audited while it runs.
func TestBegin(t *testing.T) {
	const chainName, height = "fed3", 40
	branch, b := legacyBranch(t, chainName), readBitcoin(t, chainName)
	first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
	im, stop := pegNode(t, chainName, first, b, true)
	im.upTo(branch, branch.Len()-1)
	stop()
	made, final := settledOf(t, first, height)
	peers := offer(t, branch, made[height], 0, 1, 2)

	if _, err := beginWith(t, chainName, second, peers[0]); fault.Of(err) != fault.Temporary {
		t.Fatalf("one member of three: %v", err)
	}
	if _, err := os.Stat(second); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a directory without a quorum: %v", err)
	}
	key := []byte("the key of a peer id") // that a federation's tool made
	if err := errors.Join(os.MkdirAll(second, 0o700), os.WriteFile(filepath.Join(second, "peer.key"), key, 0o600)); err != nil {
		t.Fatal(err)
	}
	begun, err := beginWith(t, chainName, second, peers[0], peers[2])
	if err != nil {
		t.Fatal(err)
	}
	if begun.Height != height || !slices.Equal(begun.Members, []int{0, 2}) || begun.Quorum != 2 {
		t.Fatalf("begun with %+v", begun)
	}
	if _, err := beginWith(t, chainName, second, peers...); !errors.Is(err, node.ErrRefused) {
		t.Errorf("a directory that is in use: %v", err)
	}
	if have, err := os.ReadFile(filepath.Join(second, "peer.key")); err != nil || !bytes.Equal(have, key) {
		t.Errorf("the key of the peer id is %q: %v", have, err)
	}
	if left, _ := filepath.Glob(second + ".*"); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}

	im, stop = pegNode(t, chainName, second, b, true)
	im.upTo(branch, branch.Len()-1)
	status := im.node.Status()
	for deadline := time.Now().Add(time.Minute); status.Audit != nil && status.Audit.Audited < height; status = im.node.Status() {
		if time.Now().After(deadline) {
			t.Fatalf("the audit is at %+v", status.Audit)
		}
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	if status.Audit == nil || !status.Chain.Signing.Held {
		t.Errorf("audit %+v, signing %+v", status.Audit, status.Chain.Signing)
	}
	equalReplay(t, second)
	var numbers []uint64
	for n := uint64(height); n <= final; n++ {
		numbers = append(numbers, n)
	}
	want, _ := settledOf(t, first, numbers...)
	have, _ := settledOf(t, second, numbers...)
	for _, n := range numbers {
		if !bytes.Equal(have[n].Index, want[n].Index) {
			t.Fatalf("at %d the node that began at %d has another state", n, height)
		}
	}
	if !slices.EqualFunc(answers(t, bridgeAt(t, first)), answers(t, bridgeAt(t, second)), bytes.Equal) {
		t.Error("at the end the two plan or judge another block")
	}
}

// A block whose signature is false has the root of the true one: the state is that of the
// quorum, and the audit ends the process with exit code 3.
func TestAuditFindsForgery(t *testing.T) {
	const chainName, height, forged = "fed3", 20, 7
	branch, b := legacyBranch(t, chainName), readBitcoin(t, chainName)
	first, second := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "second")
	im, stop := pegNode(t, chainName, first, b, true)
	im.upTo(branch, branch.Len()-1)
	stop()
	made, _ := settledOf(t, first, height)
	peers := offer(t, branch, made[height], 0, 1)
	for _, p := range peers {
		p.change = func(number uint64, raw []byte) []byte {
			if number != forged {
				return raw
			}
			signed, err := block.Decode(raw)
			if err != nil {
				t.Error(err)
				return raw
			}
			signed.Approvals = aura.None()
			if err := signed.Approvals.Add(aura.Approval{Signature: aura.DevKey(1).Sign([32]byte{9})}); err != nil {
				t.Error(err)
			}
			return signed.Encode()
		}
	}
	if _, err := beginWith(t, chainName, second, peers...); err != nil {
		t.Fatal(err)
	}
	n, err := node.Open(t.Context(), node.Options{DataDir: second, Importing: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := n.Run(ctx, nil); !fault.Is(err, fault.Corrupt) || ctx.Err() != nil {
		t.Fatalf("the audit of a false signature: %v", err)
	}
	var file struct{ Audited uint64 }
	data, err := os.ReadFile(filepath.Join(second, "begun.json"))
	if err := errors.Join(err, json.Unmarshal(data, &file)); err != nil || file.Audited >= forged {
		t.Errorf("audited to %d: %v", file.Audited, err)
	}
}
