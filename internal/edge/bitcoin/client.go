package bitcoin

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// What an answer may take. A block has at most 4,000,000 bytes, twice as many hexadecimal
// digits.
const (
	smallAnswer = 1 << 20
	blockAnswer = 9 << 20

	callTimeout = time.Minute
)

// ClientOptions say where a Bitcoin node is and how it knows us.
type ClientOptions struct {
	URL string // http or https, without user and password
	// User and Password, or the file that the node writes them to at each of its starts.
	User, Password string
	CookieFile     string
	// Certificate is the PEM file of a node with a certificate of its own, as btcd makes
	// it; empty for the system's authorities.
	CertificateFile string
	// OnCall is called after each call; nil for nothing.
	OnCall func(method string, took time.Duration, err error)
}

// Client is a Bitcoin node over JSON-RPC. It may be used from any goroutine.
type Client struct {
	o    ClientOptions
	name string // the address, for errors
	http *http.Client

	mu     sync.Mutex
	cookie string    // user:password as last read
	peer   *software // nil until the node was asked since it was last away
}

// Dial returns a client. It asks the node nothing; it reads the certificate file.
// The error is graded Invalid and names the setting.
func Dial(o ClientOptions) (*Client, error) {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fault.New(fault.Invalid, "bitcoin-rpc-url is no address of http or https, such as http://127.0.0.1:8332")
	case u.User != nil:
		return nil, fault.New(fault.Invalid, "bitcoin-rpc-url holds a user: give bitcoin-rpc-user and bitcoin-rpc-password, or bitcoin-rpc-cookie")
	case o.CookieFile != "" && o.User+o.Password != "":
		return nil, fault.New(fault.Invalid, "bitcoin-rpc-cookie and bitcoin-rpc-user or -password are both given: remove one")
	}
	transport, err := newTransport(o.CertificateFile)
	if err != nil {
		return nil, err
	}
	return &Client{
		o: o, name: u.Scheme + "://" + u.Host,
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Name is the node's address without path, user and password.
func (c *Client) Name() string { return c.name }

// Close implements [Node].
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Info implements [Node].
func (c *Client) Info(ctx context.Context) (Info, error) {
	var chain struct {
		Chain                string `json:"chain"`
		Blocks               int64  `json:"blocks"`
		Headers              int64  `json:"headers"`
		BestBlockHash        string `json:"bestblockhash"`
		InitialBlockDownload bool   `json:"initialblockdownload"`
		Pruned               bool   `json:"pruned"`
		PruneHeight          int64  `json:"pruneheight"`
	}
	if err := c.call(ctx, smallAnswer, &chain, "getblockchaininfo"); err != nil {
		return Info{}, err
	}
	tip, err := c.parseHash("getblockchaininfo", chain.BestBlockHash)
	if err != nil {
		return Info{}, err
	}
	if chain.Blocks < 0 || chain.Headers < 0 || chain.PruneHeight < 0 {
		return Info{}, c.unexpected("getblockchaininfo", "a negative height")
	}
	peer, err := c.software(ctx)
	if err != nil {
		return Info{}, err
	}
	return Info{
		Network: networkName(chain.Chain), Software: peer.version,
		Height: uint64(chain.Blocks), Tip: tip, Headers: uint64(max(chain.Headers, chain.Blocks)),
		// A node calls itself syncing while its tip is a day old, which says nothing where
		// blocks are made on demand.
		Syncing: chain.InitialBlockDownload && chain.Chain != "regtest",
		Pruned:  chain.Pruned, PruneHeight: uint64(chain.PruneHeight), TxIndex: peer.txIndex,
	}, nil
}

// networkName maps btcd's names of networks to Core's.
func networkName(name string) string {
	switch name {
	case "mainnet":
		return "main"
	case "testnet3":
		return "test"
	default:
		return name
	}
}

// BlockHash implements [Node].
func (c *Client) BlockHash(ctx context.Context, height uint64) (chainhash.Hash, error) {
	if height > math.MaxInt32 {
		return chainhash.Hash{}, fault.New(fault.CannotJudge, "Bitcoin block at height %d: beyond any chain", height)
	}
	var text string
	if err := c.call(ctx, smallAnswer, &text, "getblockhash", height); err != nil {
		return chainhash.Hash{}, err
	}
	return c.parseHash("getblockhash", text)
}

// Header implements [Node].
func (c *Client) Header(ctx context.Context, block chainhash.Hash) (Header, error) {
	var h Header
	raw, err := c.hexCall(ctx, smallAnswer, "getblockheader", block.String(), false)
	if err != nil {
		return h, err
	}
	if len(raw) != len(h.Raw) || chainhash.DoubleHashH(raw) != block {
		return h, c.unexpected("getblockheader", "not the header of block "+block.String())
	}
	copy(h.Raw[:], raw)
	var place struct {
		Height        int64 `json:"height"`
		Confirmations int64 `json:"confirmations"`
	}
	err = c.call(ctx, smallAnswer, &place, "getblockheader", block.String(), true)
	if code, ok := errorCode(err); ok && code == codeInternal {
		// btcd knows the height of best blocks only.
		h.Height, err = c.sideHeight(ctx, h.Raw)
		h.Confirmations = -1
		return h, err
	}
	if err == nil && place.Height < 0 {
		err = c.unexpected("getblockheader", "a negative height")
	}
	h.Height, h.Confirmations = uint64(max(place.Height, 0)), place.Confirmations
	return h, err
}

// sideHeight counts from a block off the best chain down to one on it.
func (c *Client) sideHeight(ctx context.Context, raw [80]byte) (uint64, error) {
	const deepest = 4096
	for above := uint64(1); above < deepest; above++ {
		parent := chainhash.Hash(raw[4:36])
		var place struct {
			Height uint64 `json:"height"`
		}
		err := c.call(ctx, smallAnswer, &place, "getblockheader", parent.String(), true)
		if err == nil {
			return place.Height + above, nil
		}
		if code, ok := errorCode(err); !ok || code != codeInternal {
			return 0, err
		}
		header, err := c.hexCall(ctx, smallAnswer, "getblockheader", parent.String(), false)
		if err != nil {
			return 0, err
		}
		if len(header) != len(raw) {
			return 0, c.unexpected("getblockheader", "no header")
		}
		raw = [80]byte(header)
	}
	return 0, fault.New(fault.CannotJudge, "the Bitcoin block leaves the best chain more than %d blocks below", deepest)
}

// Block implements [Node].
func (c *Client) Block(ctx context.Context, block chainhash.Hash) ([]byte, error) {
	raw, err := c.hexCall(ctx, blockAnswer, "getblock", block.String(), 0)
	if err != nil {
		return nil, err
	}
	if len(raw) < wire.MaxBlockHeaderPayload || chainhash.DoubleHashH(raw[:wire.MaxBlockHeaderPayload]) != block {
		return nil, c.unexpected("getblock", "not block "+block.String())
	}
	return raw, nil
}

// Transaction implements [Node]. The bytes have the txid; their witnesses are as the node
// gives them.
func (c *Client) Transaction(ctx context.Context, txid, block chainhash.Hash) ([]byte, error) {
	peer, err := c.software(ctx)
	if err != nil {
		return nil, err
	}
	var raw []byte
	if peer.btcd {
		raw, err = c.blockTransaction(ctx, txid, block)
	} else {
		raw, err = c.hexCall(ctx, blockAnswer, "getrawtransaction", txid.String(), false, block.String())
	}
	if fault.Is(err, fault.CannotJudge) && !errors.Is(err, errElsewhere) && !strings.Contains(err.Error(), "in the provided block") {
		indexed, indexErr := c.hexCall(ctx, blockAnswer, "getrawtransaction", txid.String())
		if indexErr != nil {
			return nil, fault.New(fault.Of(indexErr), "%w; and without the block: %w", err, indexErr)
		}
		raw, err = indexed, nil
	}
	if err != nil {
		return nil, err
	}
	if tx, err := decodeTransaction(raw); err != nil || tx.TxHash() != txid {
		return nil, c.unexpected("getrawtransaction", "not transaction "+txid.String())
	}
	return raw, nil
}

// errElsewhere is a block that is there without the transaction.
var errElsewhere = errors.New("the block does not have it")

// blockTransaction reads a transaction out of its block.
func (c *Client) blockTransaction(ctx context.Context, txid, block chainhash.Hash) ([]byte, error) {
	raw, err := c.Block(ctx, block)
	if err != nil {
		return nil, err
	}
	var b wire.MsgBlock
	if err := b.Deserialize(bytes.NewReader(raw)); err != nil {
		return nil, c.unexpected("getblock", "block "+block.String()+" does not decode: "+err.Error())
	}
	for _, tx := range b.Transactions {
		if tx.TxHash() == txid {
			var out bytes.Buffer
			if err := tx.Serialize(&out); err != nil {
				return nil, fault.Wrap(fault.Invalid, err, "Bitcoin transaction "+txid.String())
			}
			return out.Bytes(), nil
		}
	}
	return nil, fault.New(fault.CannotJudge, "Bitcoin block %s, transaction %s: %w", block, txid, errElsewhere)
}

// decodeTransaction decodes exactly one transaction.
func decodeTransaction(raw []byte) (*wire.MsgTx, error) {
	tx, in := new(wire.MsgTx), bytes.NewReader(raw)
	if err := tx.Deserialize(in); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "Bitcoin transaction")
	}
	if in.Len() > 0 {
		return nil, fault.New(fault.Invalid, "Bitcoin transaction %s has %d bytes after its end", tx.TxHash(), in.Len())
	}
	return tx, nil
}

// FeeRate implements [Node]: what the node estimates for confirmation in the next block.
// btcd estimates by another method, from blocks it has seen since its start; it counts as
// no estimate. (peg.md A1)
func (c *Client) FeeRate(ctx context.Context) (uint64, error) {
	var estimate struct {
		FeeRate float64 `json:"feerate"` // bitcoins for 1000 vbytes
	}
	err := c.call(ctx, smallAnswer, &estimate, "estimatesmartfee", 1)
	if _, answered := errorCode(err); answered && !fault.Is(err, fault.Temporary) {
		return 0, nil
	}
	if err != nil || !(estimate.FeeRate > 0 && estimate.FeeRate <= 1) {
		return 0, err
	}
	return uint64(math.Round(estimate.FeeRate * 1e8)), nil
}

// hexCall makes a call whose result is bytes in hexadecimal.
func (c *Client) hexCall(ctx context.Context, limit int64, method string, params ...any) ([]byte, error) {
	var text string
	if err := c.call(ctx, limit, &text, method, params...); err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(text)
	if err != nil {
		return nil, c.unexpected(method, "no hexadecimal text")
	}
	return raw, nil
}

func (c *Client) parseHash(method, text string) (chainhash.Hash, error) {
	if len(text) != 2*chainhash.HashSize {
		return chainhash.Hash{}, c.unexpected(method, "no hash")
	}
	hash, err := chainhash.NewHashFromStr(text)
	if err != nil {
		return chainhash.Hash{}, c.unexpected(method, "no hash")
	}
	return *hash, nil
}

// software is what a node is.
type software struct {
	version string
	btcd    bool
	txIndex bool
}

// software asks the node what it is, once until it is away.
func (c *Client) software(ctx context.Context) (software, error) {
	c.mu.Lock()
	known := c.peer
	c.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	var found software
	var network struct {
		Subversion string `json:"subversion"`
	}
	err := c.call(ctx, smallAnswer, &network, "getnetworkinfo")
	_, answered := errorCode(err)
	switch {
	case err == nil:
		found.version = printable(network.Subversion)
		found.txIndex, err = c.coreIndex(ctx)
	case answered && !fault.Is(err, fault.Temporary):
		found.btcd = true
		found.version, found.txIndex, err = c.btcdVersion(ctx)
	}
	if err != nil {
		return software{}, err
	}
	c.mu.Lock()
	c.peer = &found
	c.mu.Unlock()
	return found, nil
}

func (c *Client) coreIndex(ctx context.Context) (bool, error) {
	var indexes map[string]struct {
		Synced bool `json:"synced"`
	}
	err := c.call(ctx, smallAnswer, &indexes, "getindexinfo")
	if _, answered := errorCode(err); answered && !fault.Is(err, fault.Temporary) {
		return false, nil // before 0.21
	}
	return indexes["txindex"].Synced, err
}

// btcdVersion also finds whether btcd has an index of transactions, by asking for one
// that cannot be.
func (c *Client) btcdVersion(ctx context.Context) (version string, txIndex bool, err error) {
	var info struct {
		Version uint32 `json:"version"`
	}
	if err := c.call(ctx, smallAnswer, &info, "getinfo"); err != nil {
		return "", false, err
	}
	err = c.call(ctx, smallAnswer, new(string), "getrawtransaction", strings.Repeat("0", 64))
	if _, answered := errorCode(err); !answered {
		return "", false, err
	}
	v := info.Version
	return fmt.Sprintf("btcd %d.%d.%d", v/1_000_000, v/10_000%100, v/100%100), !strings.Contains(err.Error(), "--txindex"), nil
}
