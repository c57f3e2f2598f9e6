package audit

import (
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/journal"
)

// audited audits a journal of one event with facts, and a message before them.
func audited(t *testing.T, told core.Message, facts ...core.Message) *Report {
	t.Helper()
	j, err := journal.Open(journal.Options{FS: vfs.NewMem(), Dir: "journal"})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	e := &journal.Event{Sequence: 1, Time: 1, Actor: "bridge", Type: told.Type(), Schema: told.Schema(), Stored: true}
	e.Message, _ = record.Encode(told)
	for _, f := range facts {
		raw, _ := record.Encode(f)
		e.Outputs = append(e.Outputs, journal.Output{Kind: journal.KindFact, Type: f.Type(), Schema: f.Schema(), Payload: raw})
	}
	if _, err := j.Append(e, nil); err != nil {
		t.Fatal(err)
	}
	if err := j.WaitDurable(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), j, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Each thing that is not as it must be is found, and named.
func TestDifferences(t *testing.T) {
	nothing := &message.PegHalted{}
	minted := func(state uint8, root byte) core.Message {
		return &message.PegInChanged{Txid: chainhash.Hash{1}, State: state, Root: common.Hash{root}, Amount: 5}
	}
	block := message.BitcoinBlock{Height: 7, Hash: chainhash.Hash{9}}
	for name, c := range map[string]struct {
		told  core.Message
		facts []core.Message
		want  string // of the first difference; none when empty
	}{
		"sums":       {nothing, []core.Message{&message.WalletChanged{Number: 3, Totals: &message.PegTotals{Deposited: 5, Coins: 4}}}, "block 3: deposited + fetched"},
		"exact sums": {nothing, []core.Message{&message.WalletChanged{Number: 3, Totals: &message.PegTotals{Deposited: 5, Coins: 5}}}, ""},
		"twice":      {nothing, []core.Message{minted(message.PegInMinted, 1), minted(message.PegInMinted, 2)}, "is minted by block"},
		"moved":      {nothing, []core.Message{minted(message.PegInMinted, 1), minted(message.PegInProposed, 1), minted(message.PegInMinted, 2)}, ""},
		"header":     {&message.BitcoinFollowed{Blocks: []message.BitcoinBlock{block}}, nil, "has the header of"},
	} {
		t.Run(name, func(t *testing.T) {
			r := audited(t, c.told, c.facts...)
			switch {
			case c.want == "" && r.Differing > 0:
				t.Errorf("%+v", r.Differences)
			case c.want != "" && (r.Differing == 0 || !strings.Contains(r.Differences[0].What, c.want)):
				t.Errorf("%+v, want %q", r.Differences, c.want)
			}
		})
	}
}
