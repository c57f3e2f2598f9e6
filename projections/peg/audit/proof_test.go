package audit

import (
	"bytes"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/ethereum/go-ethereum/common"

	"github.com/AnduroProject/alys-go/actors/core"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/journal"
)

// story is a federation of three, a deposit in a Bitcoin block and a payment of it with
// witnesses, which a test may falsify before it is told.
type story struct {
	federation *peg.Federation
	configured *message.NodeConfigured
	deposit    *wire.MsgTx
	followed   *message.BitcoinFollowed
	minted     *message.PegInChanged
	payment    *wire.MsgTx // with witnesses
	final      *message.PaymentChanged
	totals     *message.PegTotals
}

func serialized(tb testing.TB, tx *wire.MsgTx) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := tx.Serialize(&b); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func tell(tb testing.TB) *story {
	tb.Helper()
	s := &story{}
	c := spec.Dev()
	var secrets []*btcec.PrivateKey
	c.FederationKeys = nil
	for i := range 3 {
		secret, public := btcec.PrivKeyFromBytes([]byte{byte(i + 1)})
		secrets, c.FederationKeys = append(secrets, secret), append(c.FederationKeys, [33]byte(public.SerializeCompressed()))
	}
	var err error
	if s.federation, err = peg.NewFederation(c.FederationKeys); err != nil {
		tb.Fatal(err)
	}
	s.configured = &message.NodeConfigured{ChainSpec: record.NewContent(c.Encode()), Bitcoin: true}

	account := common.Address(bytes.Repeat([]byte{0xfe}, 20))
	s.deposit = wire.NewMsgTx(2)
	s.deposit.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash{7}}})
	s.deposit.AddTxOut(wire.NewTxOut(50_000, s.federation.ScriptPubKey))
	s.deposit.AddTxOut(wire.NewTxOut(0, append([]byte{0x6a, 20}, account[:]...)))
	s.follow(tb)
	s.minted = &message.PegInChanged{
		Txid: s.deposit.TxHash(), State: message.PegInMinted, Amount: 50_000, Account: account, BitcoinBlock: s.followed.Blocks[0].Hash, BitcoinHeight: 7, Root: common.Hash{1}, Number: 3,
	}

	unsigned := wire.NewMsgTx(2)
	unsigned.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: s.deposit.TxHash()}, Sequence: 0xfffffffd})
	unsigned.AddTxOut(wire.NewTxOut(49_000, []byte{0x51}))
	hashes, err := s.federation.SigHashes(unsigned, []*wire.TxOut{s.deposit.TxOut[0]})
	if err != nil {
		tb.Fatal(err)
	}
	signatures := make([][][64]byte, 3)
	for i := range s.federation.Threshold {
		signed, err := schnorr.Sign(secrets[i], hashes[0][:])
		if err != nil {
			tb.Fatal(err)
		}
		signatures[i] = [][64]byte{[64]byte(signed.Serialize())}
	}
	if s.payment, err = s.federation.Finalize(unsigned, signatures); err != nil {
		tb.Fatal(err)
	}
	s.final = &message.PaymentChanged{Txid: s.payment.TxHash(), State: message.PaymentFinalized, Root: common.Hash{2}, Number: 5}
	s.totals = &message.PegTotals{Deposited: 50_000, Credited: 50_000, Requested: 50_000, Paid: 49_000, UserFees: 1000, BitcoinFees: 1000}
	return s
}

// follow makes a Bitcoin block of five transactions with regtest's work; the deposit is
// the third.
func (s *story) follow(tb testing.TB) {
	tb.Helper()
	txids := []chainhash.Hash{{1}, {2}, s.deposit.TxHash(), {4}, {5}}
	branch, err := peg.MerkleBranch(txids, 2)
	if err != nil {
		tb.Fatal(err)
	}
	h := wire.BlockHeader{Version: 4, Bits: 0x207fffff}
	h.MerkleRoot, _ = peg.MerkleRoot(txids)
	for ; ; h.Nonce++ {
		hash := h.BlockHash()
		number := slices.Clone(hash[:])
		slices.Reverse(number)
		if new(big.Int).SetBytes(number).BitLen() < 255 {
			break
		}
	}
	var raw bytes.Buffer
	if err := h.Serialize(&raw); err != nil {
		tb.Fatal(err)
	}
	t := message.BitcoinTransaction{Index: 2}
	for _, hash := range branch {
		t.Branch = append(t.Branch, message.SigHash{Value: hash})
	}
	s.followed = &message.BitcoinFollowed{Blocks: []message.BitcoinBlock{{
		Height: 7, Hash: h.BlockHash(), Header: [80]byte(raw.Bytes()), Transactions: []message.BitcoinTransaction{t},
	}}}
}

// audit writes the story into a journal and audits it.
func (s *story) audit(t *testing.T) *Report {
	t.Helper()
	s.followed.Blocks[0].Transactions[0].Raw = record.NewContent(serialized(t, s.deposit))
	s.final.Raw = record.NewContent(serialized(t, s.payment))
	j, err := journal.Open(journal.Options{FS: vfs.NewMem(), Dir: "journal"})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	write := func(told core.Message, facts ...core.Message) {
		e := &journal.Event{Sequence: j.Head().Sequence + 1, Time: 1, Actor: "bridge", Type: told.Type(), Schema: told.Schema(), Stored: true}
		var contents []journal.Content
		keep := func(list []record.Content) {
			for _, c := range list {
				e.Contents = append(e.Contents, journal.Hash(c.Hash))
				contents = append(contents, journal.Content{Hash: journal.Hash(c.Hash), Data: c.Data})
			}
		}
		var list []record.Content
		e.Message, list = record.Encode(told)
		keep(list)
		for _, f := range facts {
			raw, list := record.Encode(f)
			keep(list)
			e.Outputs = append(e.Outputs, journal.Output{Kind: journal.KindFact, Type: f.Type(), Schema: f.Schema(), Payload: raw})
		}
		if _, err := j.Append(e, contents); err != nil {
			t.Fatal(err)
		}
	}
	write(s.configured)
	write(s.followed, s.minted)
	write(&message.PegHalted{}, s.final, &message.WalletChanged{Number: 5, Totals: s.totals})
	if err := j.WaitDurable(t.Context(), j.Head().Sequence); err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), j, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What is as it must be is counted, and differs in nothing.
func TestSoundStory(t *testing.T) {
	r := tell(t).audit(t)
	if r.Differing != 0 || r.Headers != 1 || r.Proofs != 1 || r.Minted != 1 || r.Unproven != 0 || r.Payments != 1 || r.Unchecked != 0 || r.Wallets != 1 || r.BitcoinAt != 7 {
		t.Errorf("%+v", r)
	}
}

// Each forgery of a sound story is found, by name.
func TestForgeries(t *testing.T) {
	for name, c := range map[string]struct {
		forge func(s *story)
		want  string
	}{
		"branch":         {func(s *story) { s.followed.Blocks[0].Transactions[0].Branch[1].Value[0] ^= 1 }, "is not in it"},
		"branch short":   {func(s *story) { b := &s.followed.Blocks[0].Transactions[0]; b.Branch = b.Branch[:2] }, "is not in it"},
		"index":          {func(s *story) { s.followed.Blocks[0].Transactions[0].Index = 3 }, "is not in it"},
		"index beyond":   {func(s *story) { s.followed.Blocks[0].Transactions[0].Index = 2 + 8 }, "is not in it"},
		"header":         {func(s *story) { s.followed.Blocks[0].Header[40] ^= 1 }, "has the header of"},
		"work":           {func(s *story) { s.followed.Blocks[0].Header[75] = 0x1d }, "has not the work"},
		"deposit's gold": {func(s *story) { s.deposit.TxOut[0].Value++ }, "is not in it"},
		"credit":         {func(s *story) { s.minted.Amount++ }, "by the rules 50000 to"},
		"account":        {func(s *story) { s.minted.Account[3]++ }, "by the rules 50000 to"},
		"signature":      {func(s *story) { s.payment.TxIn[0].Witness[2][5] ^= 1 }, "witnesses that do not hold"},
		"signer missing": {func(s *story) { s.payment.TxIn[0].Witness[2] = nil }, "witnesses that do not hold"},
		"script":         {func(s *story) { s.payment.TxIn[0].Witness[3][4] ^= 1 }, "witnesses that do not hold"},
		"control block":  {func(s *story) { s.payment.TxIn[0].Witness[4][0] ^= 1 }, "witnesses that do not hold"},
		"other payment":  {func(s *story) { s.payment.TxOut[0].Value++ }, "bytes of another transaction"},
		"locked":         {func(s *story) { s.totals.Coins++ }, "deposited + fetched"},
		"pending":        {func(s *story) { s.totals.Pending++ }, "requested = paid"},
		"drift":          {func(s *story) { s.totals.PoolDrift-- }, "user fees + drift"},
	} {
		t.Run(name, func(t *testing.T) {
			s := tell(t)
			c.forge(s)
			r := s.audit(t)
			if !slices.ContainsFunc(r.Differences, func(d Difference) bool { return strings.Contains(d.What, c.want) }) {
				t.Errorf("%+v, want %q", r.Differences, c.want)
			}
		})
	}
}

// A deposit that Bitcoin was not seen to have, and a payment of a coin that is not here,
// are told apart from sound ones.
func TestUnproven(t *testing.T) {
	s := tell(t)
	s.minted.BitcoinBlock[0] ^= 1
	if r := s.audit(t); r.Unproven != 1 || r.Differing != 0 {
		t.Errorf("deposit of another block: %+v", r)
	}
	s = tell(t)
	s.payment.TxIn[0].PreviousOutPoint.Hash[0] ^= 1
	s.final.Txid = s.payment.TxHash()
	if r := s.audit(t); r.Unchecked != 1 || r.Payments != 0 || r.Differing != 0 {
		t.Errorf("payment of an unknown coin: %+v", r)
	}
}
