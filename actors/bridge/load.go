package bridge

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/record"
)

// Snapshot keys, in the order that Load needs: "" the pointers, 'b' the wallet of the
// base block (with the kind of the entry and its name), 'd' with txid a deposit, 'h'
// with height (big endian) a Bitcoin block, 'x' with number (big endian) and root a block;
// those of payments, in capitals, are in payments.go. The wallets above the base are computed from it.
const (
	walletEntry  byte = 'b'
	depositEntry byte = 'd'
	bitcoinEntry byte = 'h'
	blockEntry   byte = 'x'
)

// Kinds of entries of the base wallet.
const (
	coinEntry    byte = 'c'
	lackingEntry byte = 'l'
	mintedEntry  byte = 'm'
	pendingEntry byte = 'r'
	spentEntry   byte = 's'
	totalsEntry  byte = 't'
	unknownEntry byte = 'u'
)

func outPointKey(kind byte, out wire.OutPoint) []byte {
	key := append([]byte{walletEntry, kind}, out.Hash[:]...)
	return binary.BigEndian.AppendUint32(key, out.Index)
}

func blockKey(id message.BlockID) []byte {
	key := binary.BigEndian.AppendUint64([]byte{blockEntry}, id.Number)
	return append(key, id.Root[:]...)
}

func heightKey(height uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{bitcoinEntry}, height)
}

// walk yields entries until one fails.
type walk struct {
	yield func(key, value []byte) error
	err   error
}

func (w *walk) put(key []byte, r record.Record) bool {
	if w.err == nil {
		value, _ := record.Encode(r)
		w.err = w.yield(key, value)
	}
	return w.err == nil
}

func (w *walk) raw(key, value []byte) bool {
	if w.err == nil {
		w.err = w.yield(key, value)
	}
	return w.err == nil
}

// Walk implements core.State.
func (s *State) Walk(yield func(key, value []byte) error) error {
	w := &walk{yield: yield}
	w.put(nil, &s.pointers)
	s.walkPayments(w)
	if base := s.Block(s.Base.Root); base != nil {
		base.Wallet.walk(w)
	}
	s.deposits.Scan(func(d *Deposit) bool { return w.put(append([]byte{depositEntry}, d.Txid[:]...), d) })
	s.bitcoin.Scan(func(height uint64, hash chainhash.Hash) bool { return w.raw(heightKey(height), hash[:]) })
	s.heights.Scan(func(id message.BlockID) bool { return w.put(blockKey(id), &s.Block(id.Root).PegBlock) })
	return w.err
}

func (t *Wallet) walk(w *walk) {
	t.coins.Scan(func(c Coin) bool { return w.put(outPointKey(coinEntry, c.OutPoint), &c) })
	t.lacking.Scan(func(l Lacking) bool { return w.put(append([]byte{walletEntry, lackingEntry}, l.Txid[:]...), &l) })
	t.minted.Scan(func(m Mint) bool { return w.put(append([]byte{walletEntry, mintedEntry}, m.Txid[:]...), &m) })
	for i := range t.Pending {
		w.put(binary.BigEndian.AppendUint32([]byte{walletEntry, pendingEntry}, uint32(i)), &t.Pending[i])
	}
	t.spent.Scan(func(s Spent) bool { return w.put(outPointKey(spentEntry, s.OutPoint), &s) })
	w.put([]byte{walletEntry, totalsEntry}, &t.Totals)
	t.unknown.Scan(func(u Unknown) bool { return w.put(append([]byte{walletEntry, unknownEntry}, u.Txid[:]...), &u) })
}

// Load implements core.State.
func (s *State) Load(key, value []byte, resolve record.Resolver) error {
	canonical, err := s.load(key, value, resolve)
	if err != nil {
		return err
	}
	if !bytes.Equal(key, canonical) {
		return fault.New(fault.Corrupt, "bridge state: the entry under %x has the key %x", key, canonical)
	}
	return nil
}

func (s *State) load(key, value []byte, resolve record.Resolver) (canonical []byte, err error) {
	if len(key) == 0 {
		return nil, s.loadPointers(value, resolve)
	}
	switch key[0] {
	case walletEntry:
		return s.loadWallet(key, value, resolve)
	case depositEntry:
		d := new(Deposit)
		if err := record.Decode(value, d, resolve); err != nil {
			return nil, err
		}
		if d.tx, err = readTransaction(d.Raw.Data); err != nil {
			return nil, fault.Wrap(fault.Corrupt, err, fmt.Sprintf("bridge state: deposit %s", d.Txid))
		}
		s.putDeposit(d)
		return append([]byte{depositEntry}, d.Txid[:]...), nil
	case bitcoinEntry:
		if len(key) != 9 || len(value) != chainhash.HashSize {
			break
		}
		height := binary.BigEndian.Uint64(key[1:])
		s.bitcoin.Set(height, chainhash.Hash(value))
		return heightKey(height), nil
	case blockEntry:
		return s.loadBlock(value, resolve)
	}
	return s.loadPayments(key, value, resolve)
}

func (s *State) loadPointers(value []byte, resolve record.Resolver) error {
	if err := record.Decode(value, &s.pointers, resolve); err != nil || s.Config == nil {
		return err
	}
	var err error
	s.rules, err = parseRules(s.Config)
	return err
}

// loadBlock computes the wallet of a block from its parent's, which came before it.
func (s *State) loadBlock(value []byte, resolve record.Resolver) ([]byte, error) {
	m := new(message.PegBlock)
	if err := record.Decode(value, m, resolve); err != nil {
		return nil, err
	}
	if s.rules == nil {
		return nil, fault.New(fault.Corrupt, "bridge state: block %s without a configuration", m.Root)
	}
	b, err := s.read(m)
	if err != nil {
		return nil, err
	}
	parent := s.Block(b.Parent)
	switch {
	case b.id() == s.Base:
		if s.loading == nil {
			s.loading = newWallet()
		}
		b.Wallet, s.loading = s.loading, nil
	case parent == nil || parent.Number+1 != b.Number:
		return nil, fault.New(fault.Corrupt, "bridge state: block %s at %d stands on none that is kept", b.Root, b.Number)
	default:
		b.Wallet = s.derive(b, parent.Wallet)
	}
	s.putBlock(b)
	return blockKey(b.id()), nil
}

func (s *State) loadWallet(key, value []byte, resolve record.Resolver) (canonical []byte, err error) {
	if s.loading == nil {
		s.loading = newWallet()
	}
	w := s.loading
	if len(key) < 2 {
		return nil, fault.New(fault.Corrupt, "bridge state has no entry %x", key)
	}
	name := func(kind byte, txid chainhash.Hash) []byte { return append([]byte{walletEntry, kind}, txid[:]...) }
	switch key[1] {
	case coinEntry:
		var c Coin
		err = record.Decode(value, &c, resolve)
		w.coins.Set(c)
		canonical = outPointKey(coinEntry, c.OutPoint)
	case lackingEntry:
		var l Lacking
		err = record.Decode(value, &l, resolve)
		w.lacking.Set(l)
		canonical = name(lackingEntry, l.Txid)
	case mintedEntry:
		var m Mint
		err = record.Decode(value, &m, resolve)
		w.minted.Set(m)
		canonical = name(mintedEntry, m.Txid)
	case pendingEntry:
		var r Request
		err = record.Decode(value, &r, resolve)
		canonical = binary.BigEndian.AppendUint32([]byte{walletEntry, pendingEntry}, uint32(len(w.Pending)))
		w.Pending = append(w.Pending, r)
	case spentEntry:
		var p Spent
		err = record.Decode(value, &p, resolve)
		w.spent.Set(p)
		canonical = outPointKey(spentEntry, p.OutPoint)
	case totalsEntry:
		err = record.Decode(value, &w.Totals, resolve)
		canonical = []byte{walletEntry, totalsEntry}
	case unknownEntry:
		var u Unknown
		err = record.Decode(value, &u, resolve)
		w.unknown.Set(u)
		canonical = name(unknownEntry, u.Txid)
	default:
		err = fault.New(fault.Corrupt, "bridge state has no entry %x", key)
	}
	return canonical, err
}
