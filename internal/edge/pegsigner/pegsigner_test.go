package pegsigner

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/google/go-cmp/cmp"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

func secretOf(t testing.TB, n byte) *Secret {
	t.Helper()
	s, err := NewSecret([32]byte{5: 0xab, 31: n})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// federationOf is that of secrets 1 to n.
func federationOf(t testing.TB, n int) *peg.Federation {
	t.Helper()
	var keys [][33]byte
	for i := range n {
		keys = append(keys, secretOf(t, byte(i+1)).PublicKey())
	}
	f, err := peg.NewFederation(keys)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// request is a payment of n coins of 100,000 satoshi to one user, with change.
func request(t testing.TB, f *peg.Federation, n int) *message.SignPayout {
	t.Helper()
	tx := wire.NewMsgTx(2)
	m := &message.SignPayout{Number: 7}
	for i := range n {
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash{1, byte(i), byte(i >> 8)}, Index: uint32(i)}, Sequence: 0xfffffffd})
		m.Spent = append(m.Spent, message.SpentOutput{Amount: 100_000, Script: f.ScriptPubKey})
	}
	tx.AddTxOut(wire.NewTxOut(40_000, append([]byte{0, 20}, make([]byte, 20)...)))
	tx.AddTxOut(wire.NewTxOut(int64(n)*100_000-50_000, f.ScriptPubKey))
	return finish(t, m, tx)
}

func finish(t testing.TB, m *message.SignPayout, tx *wire.MsgTx) *message.SignPayout {
	t.Helper()
	var raw bytes.Buffer
	if err := tx.Serialize(&raw); err != nil {
		t.Fatal(err)
	}
	m.Raw.Data, m.Txid = raw.Bytes(), tx.TxHash()
	return m
}

func txOf(t testing.TB, m *message.SignPayout) *wire.MsgTx {
	t.Helper()
	tx := new(wire.MsgTx)
	if err := tx.Deserialize(bytes.NewReader(m.Raw.Data)); err != nil {
		t.Fatal(err)
	}
	return tx
}

// What two of three members sign spends the coins by Bitcoin's own rules.
func TestSignaturesSpend(t *testing.T) {
	f := federationOf(t, 3)
	m := request(t, f, 3)
	tx := txOf(t, m)
	bySigner := map[int][]message.PayoutSignature{}
	for _, n := range []byte{1, 3} {
		local, err := NewLocal(secretOf(t, n), f)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := Answer(t.Context(), local, f, m)
		if err != nil || signed.Txid != m.Txid || len(signed.Signatures) != 3 {
			t.Fatal(signed, err)
		}
		bySigner[int(n-1)] = signed.Signatures
	}
	spent := map[wire.OutPoint]*wire.TxOut{}
	for i, in := range tx.TxIn {
		spent[in.PreviousOutPoint] = wire.NewTxOut(int64(m.Spent[i].Amount), m.Spent[i].Script)
	}
	fetcher := txscript.NewMultiPrevOutFetcher(spent)
	for i := range tx.TxIn {
		signatures := make([][]byte, 3)
		for member, list := range bySigner {
			signatures[member] = list[i].Value[:]
		}
		tx.TxIn[i].Witness = f.Witness(signatures)
	}
	for i, in := range tx.TxIn {
		out := spent[in.PreviousOutPoint]
		vm, err := txscript.NewEngine(out.PkScript, tx, i, txscript.StandardVerifyFlags, nil, txscript.NewTxSigHashes(tx, fetcher), out.Value, fetcher)
		if err != nil {
			t.Fatal(err)
		}
		if err := vm.Execute(); err != nil {
			t.Errorf("input %d: %v", i, err)
		}
	}
}

// Each of these is refused before anything is signed.
func TestPaymentRefused(t *testing.T) {
	f := federationOf(t, 3)
	other := federationOf(t, 2)
	change := func(edit func(*wire.MsgTx)) func(*message.SignPayout) {
		return func(m *message.SignPayout) {
			tx := txOf(t, m)
			edit(tx)
			finish(t, m, tx)
		}
	}
	for name, c := range map[string]struct {
		edit func(*message.SignPayout)
		want string
	}{
		"another txid":      {func(m *message.SignPayout) { m.Txid[0]++ }, "the transaction given is"},
		"no transaction":    {func(m *message.SignPayout) { m.Raw.Data = nil }, "ends before"},
		"cut":               {func(m *message.SignPayout) { m.Raw.Data = m.Raw.Data[:len(m.Raw.Data)-2] }, "no unsigned transaction"},
		"longer":            {func(m *message.SignPayout) { m.Raw.Data = append(m.Raw.Data, 0) }, "follow"},
		"huge":              {func(m *message.SignPayout) { m.Raw.Data = make([]byte, MaxTransaction+1) }, "at most"},
		"count without end": {func(m *message.SignPayout) { m.Raw.Data = []byte{2, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff} }, "items"},
		"version":           {change(func(tx *wire.MsgTx) { tx.Version = 1 }), "version 1"},
		"lock time":         {change(func(tx *wire.MsgTx) { tx.LockTime = 9 }), "lock time 9"},
		"script":            {change(func(tx *wire.MsgTx) { tx.TxIn[0].SignatureScript = []byte{0x51} }), ""},
		"input twice": {change(func(tx *wire.MsgTx) {
			tx.TxIn[1].PreviousOutPoint = tx.TxIn[0].PreviousOutPoint
		}), "twice"},
		"more out than in":      {change(func(tx *wire.MsgTx) { tx.TxOut[0].Value = 1_000_000 }), "out of"},
		"negative":              {change(func(tx *wire.MsgTx) { tx.TxOut[0].Value = -1 }), "not possible"},
		"overflow":              {change(func(tx *wire.MsgTx) { tx.TxOut[0].Value = 1 << 62 }), "not possible"},
		"outputs missing":       {func(m *message.SignPayout) { m.Spent = m.Spent[1:] }, "give each"},
		"amount of all bitcoin": {func(m *message.SignPayout) { m.Spent[0].Amount = 1 << 63 }, "more than there is"},
		"coin of others":        {func(m *message.SignPayout) { m.Spent[1].Script = other.ScriptPubKey }, "no coin of the federation"},
	} {
		t.Run(name, func(t *testing.T) {
			m := request(t, f, 2)
			c.edit(m)
			local, err := NewLocal(secretOf(t, 1), f)
			if err != nil {
				t.Fatal(err)
			}
			signed, err := Answer(t.Context(), local, f, m)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) || len(signed.Signatures) > 0 {
				t.Fatalf("%v, %d signatures; want Invalid with %q", err, len(signed.Signatures), c.want)
			}
		})
	}
}

// lying is a signer that does not do what it says.
type lying struct {
	Signer
	edit func([][64]byte) [][64]byte
}

func (l lying) Sign(ctx context.Context, p *Payment) ([][64]byte, error) {
	out, err := l.Signer.Sign(ctx, p)
	return l.edit(out), err
}

func (l lying) SignDryRun(ctx context.Context, c [32]byte) ([64]byte, error) {
	out, err := l.Signer.SignDryRun(ctx, c)
	return l.edit([][64]byte{out})[0], err
}

// A signature that is not the member's over this payment goes nowhere.
func TestAnswerChecksSignatures(t *testing.T) {
	f := federationOf(t, 3)
	local, err := NewLocal(secretOf(t, 2), f)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func([][64]byte) [][64]byte{
		"fewer":   func(s [][64]byte) [][64]byte { return s[:len(s)-1] },
		"flipped": func(s [][64]byte) [][64]byte { s[len(s)-1][40] ^= 1; return s },
		"swapped": func(s [][64]byte) [][64]byte { s[0], s[1] = s[1], s[0]; return s },
	} {
		if out, err := Answer(t.Context(), lying{local, edit}, f, request(t, f, 2)); !fault.Is(err, fault.CannotJudge) || len(out.Signatures) == 2 {
			t.Errorf("%s: %v, %v", name, out.Signatures, err)
		}
	}
	if err := DryRun(t.Context(), local); err != nil {
		t.Error(err)
	}
	flip := func(s [][64]byte) [][64]byte { s[0][3] ^= 1; return s }
	if err := DryRun(t.Context(), lying{local, flip}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

func TestDryRunIsNoSighash(t *testing.T) {
	challenge := [32]byte{1}
	plain := DryRunHash(challenge)
	if plain == challenge || plain == [32]byte(*chainhash.TaggedHash(chainhash.TagTapSighash, challenge[:])) {
		t.Error("a dry run signs what a transaction could have")
	}
}

func TestKeyOfNobody(t *testing.T) {
	if _, err := NewLocal(secretOf(t, 9), federationOf(t, 3)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "federationBitcoinPubkeys") {
		t.Error(err)
	}
	for _, text := range []string{"", "00", strings.Repeat("0", 64), strings.Repeat("f", 64), strings.Repeat("g", 64), strings.Repeat("1", 63), strings.Repeat("1", 65),
		"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"} {
		if s, err := ParseSecret(text); !fault.Is(err, fault.Invalid) || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v %v", text, s, err)
		}
	}
	if s, err := ParseSecret(" 0x" + strings.Repeat("0", 63) + "1\n"); err != nil || s.PublicKey()[0] != 2 {
		t.Error(s, err)
	}
}

// No form of a key leaves by formatting, JSON or a log.
func TestSecretIsHidden(t *testing.T) {
	s := secretOf(t, 1)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", struct{ Key *Secret }{s})
	}
	if err := json.NewEncoder(&out).Encode(map[string]any{"key": s}); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "secret", s)
	slog.New(slog.NewTextHandler(&out, nil)).Info("key", "secret", s)
	scalar := s.key.Serialize()
	for _, form := range []string{string(scalar), hex.EncodeToString(scalar), strings.ToUpper(hex.EncodeToString(scalar)),
		base64.StdEncoding.EncodeToString(scalar), fmt.Sprint(scalar), "171"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("%q is in what is printed:\n%s", form, out.String())
		}
	}
	s.Zero()
	if !bytes.Equal(s.key.Serialize(), make([]byte, 32)) {
		t.Error("the key is not overwritten")
	}
}

func TestSeal(t *testing.T) {
	secret := secretOf(t, 1)
	sealed, err := seal(secret, "correct horse", 2)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte(hex.EncodeToString(secret.key.Serialize()))) {
		t.Fatal("the key is in the sealed file")
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, sealed, 0o600); err != nil {
		t.Fatal(err)
	}
	opened, err := OpenSealed(path, "correct horse")
	if err != nil || opened.PublicKey() != secret.PublicKey() {
		t.Fatal(opened, err)
	}
	for _, c := range []struct{ passphrase, want string }{{"wrong", "not that of"}, {"", "empty"}, {strings.Repeat("x", 2000), "more than"}} {
		if _, err := OpenSealed(path, c.passphrase); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%.10q: %v", c.passphrase, err)
		}
	}
	for i := range sealed { // every byte counts
		damaged := bytes.Clone(sealed)
		damaged[i] ^= 1
		if s, err := Unseal(damaged, "correct horse"); err == nil {
			t.Errorf("byte %d flipped: opened as %x", i, s.PublicKey())
		}
	}
	for n := range sealed {
		if _, err := Unseal(sealed[:n], "correct horse"); err == nil {
			t.Errorf("cut after %d bytes: opened", n)
		}
	}
	// A cost that would take 2^40 times 1 KiB is refused before it is paid.
	costly := bytes.Replace(sealed, []byte(" 2\n"), []byte(" 40\n"), 1)
	if _, err := Unseal(costly, "correct horse"); !fault.Is(err, fault.Invalid) {
		t.Errorf("a file that costs more than is allowed: %v", err)
	}
}

// A key in the clear that is named as a sealed one must not end in an error's text.
func TestUnsealRepeatsNothing(t *testing.T) {
	digits := strings.Repeat("a1b2c3d4", 8)
	for _, text := range []string{digits, digits + "\n", "age-encryption.org/v1\n-> scrypt " + digits + " 10\n" + digits + "\n--- x\n",
		"-----BEGIN AGE ENCRYPTED FILE-----\n" + digits, sealedTitle + digits} {
		_, err := Unseal([]byte(text), "p")
		if !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), digits[:8]) {
			t.Errorf("%v", err)
		}
	}
}

func TestReadPassphrase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passphrase")
	for text, want := range map[string]string{"p q": "p q", "p\n": "p", "p\r\n": "p", "p \n\n": "p \n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadPassphrase(path); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPassphrase(path); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "chmod") {
		t.Error(err)
	}
	if _, err := ReadPassphrase(filepath.Join(t.TempDir(), "none")); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if _, err := ReadPassphrase(t.TempDir()); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// A payment and its request are two forms of the same.
func TestPaymentMessage(t *testing.T) {
	m := request(t, federationOf(t, 3), 4)
	m.Replaces = []message.PaymentID{{Txid: chainhash.Hash{9}}}
	p, err := NewPayment(m)
	if err != nil {
		t.Fatal(err)
	}
	back, err := p.Message()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, back); diff != "" {
		t.Error(diff)
	}
}

// The fee rate is that of the transaction with its witnesses.
func TestFeeRate(t *testing.T) {
	for _, n := range []int{1, 3, 7} {
		f := federationOf(t, n)
		m := request(t, f, 5)
		p, err := NewPayment(m)
		if err != nil {
			t.Fatal(err)
		}
		signatures := make([][]byte, n)
		for i := range f.Threshold {
			signatures[i] = make([]byte, 64)
		}
		tx := txOf(t, m)
		for i := range tx.TxIn {
			tx.TxIn[i].Witness = f.Witness(signatures)
		}
		weight := 3*tx.SerializeSizeStripped() + tx.SerializeSize()
		if want := p.Fee * 1000 / uint64((weight+3)/4); p.FeeRate(f) != want || p.Fee != 10_000 {
			t.Errorf("%d members: fee %d, rate %d, want %d", n, p.Fee, p.FeeRate(f), want)
		}
		if p.Paid(f) != 40_000 {
			t.Errorf("paid %d", p.Paid(f))
		}
	}
}

func FuzzPayment(f *testing.F) {
	federation := federationOf(f, 3)
	m := request(f, federation, 2)
	f.Add(m.Raw.Data, uint64(100_000), federation.ScriptPubKey, 2)
	f.Add([]byte{2, 0, 0, 0, 0xff, 1, 1, 1, 1, 1, 1, 1, 1}, uint64(1), []byte{}, 0)
	f.Fuzz(func(t *testing.T, raw []byte, amount uint64, script []byte, spent int) {
		m := &message.SignPayout{}
		m.Raw.Data = raw
		tx, err := decode(raw)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		m.Txid = tx.TxHash()
		for range min(max(spent, 0), 1000) {
			m.Spent = append(m.Spent, message.SpentOutput{Amount: amount, Script: script})
		}
		p, err := NewPayment(m)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if back, err := p.Message(); err != nil || !bytes.Equal(back.Raw.Data, raw) {
			t.Fatalf("%x was read and is written as %x, %v", raw, back.Raw.Data, err)
		}
		_, _, _ = p.FeeRate(federation), p.Paid(federation), p.Fee
		if hashes, err := p.SigHashes(federation); err == nil && len(hashes) != len(tx.TxIn) {
			t.Fatalf("%d hashes, %d inputs", len(hashes), len(tx.TxIn))
		}
	})
}

func FuzzUnseal(f *testing.F) {
	secret := secretOf(f, 1)
	sealed, err := seal(secret, "p", 2)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add([]byte("age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 2\nAAAA\n--- AAAA\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		// What costs more than a moment is not what is looked for here.
		if i := bytes.Index(data, []byte("scrypt")); i >= 0 && !bytes.Contains(data[i:], []byte(" 2\n")) {
			t.Skip()
		}
		if s, err := Unseal(data, "p"); err == nil && s.PublicKey() != secret.PublicKey() {
			t.Fatalf("another key: %x", s.PublicKey())
		} else if err != nil && !fault.Is(err, fault.Invalid) {
			t.Fatal(err)
		}
	})
}

func BenchmarkSign500(b *testing.B) {
	f := federationOf(b, 7)
	local, err := NewLocal(secretOf(b, 3), f)
	if err != nil {
		b.Fatal(err)
	}
	p, err := NewPayment(request(b, f, 500))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if s, err := local.Sign(b.Context(), p); err != nil || len(s) != 500 {
			b.Fatal(err)
		}
	}
}
