package devnet

import (
	"context"
	"crypto/ecdsa"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/AnduroProject/alys-go/internal/edge/bridge"
	"github.com/AnduroProject/alys-go/internal/federation"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// userKey is that of the first account of the development genesis, the first of the
// well-known test mnemonic.
const userKey = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"

const (
	// maxWaiting bounds transactions that are in no block: more are not sent.
	maxWaiting = 64
	callLimit  = 5 * time.Second
)

// Traffic is a user of the network: transfers, deposits and peg-outs.
type Traffic struct {
	n          *Network
	chain      *spec.Chain
	federation *peg.Federation
	key        *ecdsa.PrivateKey

	mu      sync.Mutex
	next    uint64 // nonce
	waiting []*types.Transaction
	sent    Sent
}

// Sent counts what was sent.
type Sent struct {
	Transfers uint64   `json:"transfers"`
	Deposits  []string `json:"deposits"` // txids on Bitcoin
	PegOuts   []string `json:"peg_outs"` // transactions on the sidechain
}

// NewTraffic returns a user that has sent nothing yet.
func (n *Network) NewTraffic() (*Traffic, error) {
	data, err := os.ReadFile(filepath.Join(n.Layout.Dir, federation.ChainName))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "chain specification of the network")
	}
	t := &Traffic{n: n}
	if t.chain, _, err = spec.Parse(data); err != nil {
		return nil, err
	}
	if t.federation, err = peg.NewFederation(t.chain.FederationKeys); err != nil {
		return nil, err
	}
	t.key, err = crypto.HexToECDSA(userKey)
	return t, fault.Wrap(fault.Fatal, err, "the user's account")
}

// Account is the user's on the sidechain.
func (t *Traffic) Account() common.Address { return crypto.PubkeyToAddress(t.key.PublicKey) }

// Sent returns what was sent so far.
func (t *Traffic) Sent() Sent {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sent
	s.Deposits, s.PegOuts = append([]string(nil), s.Deposits...), append([]string(nil), s.PegOuts...)
	return s
}

// Ethereum connects to the execution layer of a node. The caller closes it.
func (n *Network) Ethereum(ctx context.Context, node *federation.Node) (*ethclient.Client, error) {
	url := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(node.Ports.Engine))
	client, err := rpc.DialOptions(ctx, url, rpc.WithHTTPClient(n.httpClient(node.Name)))
	if err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "execution layer of "+node.Name)
	}
	return ethclient.NewClient(client), nil
}

// each calls f with every execution layer that can be dialled, and returns how many
// calls went well.
func (t *Traffic) each(ctx context.Context, f func(ctx context.Context, c *ethclient.Client) error) (well int) {
	for i := range t.n.Layout.Nodes {
		func() {
			ctx, cancel := context.WithTimeout(ctx, callLimit)
			defer cancel()
			client, err := t.n.Ethereum(ctx, &t.n.Layout.Nodes[i])
			if err != nil {
				return
			}
			defer client.Close()
			if f(ctx, client) == nil {
				well++
			}
		}()
	}
	return well
}

// Flush gives what is in no block to every node again: embedded execution layers do not
// gossip, their pools end with their process, and a block may be left. It returns how much
// waits still.
func (t *Traffic) Flush(ctx context.Context) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	confirmed := ^uint64(0)
	known := t.each(ctx, func(ctx context.Context, c *ethclient.Client) error {
		nonce, err := c.NonceAt(ctx, t.Account(), nil)
		if err == nil {
			confirmed = min(confirmed, nonce)
		}
		return err
	})
	if known == 0 {
		return len(t.waiting)
	}
	t.next = max(t.next, confirmed)
	for len(t.waiting) > 0 && t.waiting[0].Nonce() < confirmed {
		t.waiting = t.waiting[1:]
	}
	if len(t.waiting) > 0 {
		t.each(ctx, func(ctx context.Context, c *ethclient.Client) error {
			known, err := c.PendingNonceAt(ctx, t.Account())
			for _, tx := range t.waiting {
				if err == nil && tx.Nonce() >= known {
					err = c.SendTransaction(ctx, tx)
				}
			}
			return err
		})
	}
	return len(t.waiting)
}

// nonced is an execution client whose pool does not decide the nonce.
type nonced struct {
	*ethclient.Client
	next uint64
}

// PendingNonceAt implements bridge.Client.
func (c nonced) PendingNonceAt(context.Context, common.Address) (uint64, error) { return c.next, nil }

// make makes a transaction with the next nonce by any node that answers, and sends it to
// all at the next Flush.
func (t *Traffic) make(ctx context.Context, build func(ctx context.Context, c nonced) (*types.Transaction, error)) (common.Hash, error) {
	if waiting := t.Flush(ctx); waiting >= maxWaiting {
		return common.Hash{}, fault.New(fault.Temporary, "%d transactions are in no block yet", waiting)
	}
	t.mu.Lock()
	var tx *types.Transaction
	var failed error
	t.each(ctx, func(ctx context.Context, c *ethclient.Client) error {
		if tx == nil {
			tx, failed = build(ctx, nonced{c, t.next})
		}
		return failed
	})
	if tx == nil {
		t.mu.Unlock()
		return common.Hash{}, fault.New(fault.Temporary, "no node makes a transaction: %w", failed)
	}
	t.next++
	t.waiting = append(t.waiting, tx)
	t.mu.Unlock()
	t.Flush(ctx)
	return tx.Hash(), nil
}

// Transfer sends one gwei to an account.
func (t *Traffic) Transfer(ctx context.Context) error {
	_, err := t.make(ctx, func(_ context.Context, c nonced) (*types.Transaction, error) {
		to := common.BigToAddress(new(big.Int).SetUint64(0xa1))
		chainID := new(big.Int).SetUint64(uint64(t.chain.ChainID))
		return types.SignNewTx(t.key, types.LatestSignerForChainID(chainID), &types.DynamicFeeTx{
			ChainID: chainID, Nonce: c.next, To: &to, Value: big.NewInt(1e9), Gas: 21000, GasTipCap: big.NewInt(1e9), GasFeeCap: big.NewInt(1e11),
		})
	})
	if err == nil {
		t.mu.Lock()
		t.sent.Transfers++
		t.mu.Unlock()
	}
	return err
}

// Deposit pegs in for the user.
func (t *Traffic) Deposit(ctx context.Context, satoshi uint64) (string, error) {
	account := t.Account()
	txid, err := t.n.BitcoinClient().Deposit(ctx, t.federation.ScriptPubKey, satoshi, account[:])
	if err == nil {
		t.mu.Lock()
		t.sent.Deposits = append(t.sent.Deposits, txid)
		t.mu.Unlock()
	}
	return txid, err
}

// PegOut has the user burn an amount, to be paid to the faucet.
func (t *Traffic) PegOut(ctx context.Context, satoshi uint64) (string, error) {
	f, err := t.n.BitcoinClient().Faucet(ctx)
	if err != nil {
		return "", err
	}
	order, err := bridge.NewOrder(f.Address, satoshi, bridge.Policy{Network: &chaincfg.RegressionNetParams, Minimum: t.chain.Exceptions.MinPegoutSatoshi})
	if err != nil {
		return "", err
	}
	hash, err := t.make(ctx, func(ctx context.Context, c nonced) (*types.Transaction, error) {
		return bridge.Prepare(ctx, c, t.key, order)
	})
	if err == nil {
		t.mu.Lock()
		t.sent.PegOuts = append(t.sent.PegOuts, strings.ToLower(hash.Hex()))
		t.mu.Unlock()
	}
	return hash.Hex(), err
}

// Script amounts and how often, in slots.
const (
	depositSatoshi = 5_000_000
	pegOutSatoshi  = 2_000_000
	depositEvery   = 12
	pegOutEvery    = 18
)

// Run sends by the script until ctx ends: a transfer each slot, now and then a deposit and
// a peg-out. What fails is told and tried again later.
func (t *Traffic) Run(ctx context.Context) {
	ticker := time.NewTicker(time.Duration(t.chain.SlotDuration) * time.Millisecond)
	defer ticker.Stop()
	for i := 1; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		t.step(ctx, i)
	}
}

func (t *Traffic) step(ctx context.Context, i int) {
	tell := func(what string, err error) {
		if err != nil && ctx.Err() == nil {
			t.n.o.Logger.Warn("traffic: not sent", "what", what, "error", err)
		}
	}
	tell("a transfer", t.Transfer(ctx))
	if i%depositEvery == 1 {
		_, err := t.Deposit(ctx, depositSatoshi)
		tell("a deposit", err)
	}
	if i%pegOutEvery == 0 {
		_, err := t.PegOut(ctx, pegOutSatoshi)
		tell("a peg-out", err)
	}
}
