package node

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"

	"github.com/AnduroProject/alys-go/internal/edge/admin"
	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/regtest"
	"github.com/AnduroProject/alys-go/internal/edge/bridge"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

// bitcoinDirName is where the regtest chain of a development node lies.
const bitcoinDirName = "bitcoin"

// developmentKey is that of the first account of the development genesis, the first of the
// well-known test mnemonic.
const developmentKey = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"

// developmentBitcoin is the Bitcoin chain in this process, and what the control socket
// offers with it.
type developmentBitcoin struct {
	node       *Node
	chain      *regtest.Chain
	rules      *spec.Chain
	federation *peg.Federation
}

// openDevelopmentBitcoin opens the Bitcoin chain in this process.
func (n *Node) openDevelopmentBitcoin(rules *spec.Chain) (*developmentBitcoin, error) {
	if network := n.bitcoinNetwork(); network.Name != regtest.Params().Name {
		return nil, fault.New(fault.Invalid, "the Bitcoin chain in this process is a regtest chain, bitcoin.network is %s: set it to regtest, or name a Bitcoin node by bitcoin-rpc-url", network.Name)
	}
	federation, err := peg.NewFederation(rules.FederationKeys)
	if err != nil {
		return nil, err
	}
	chain, err := regtest.Open(regtest.Options{Dir: filepath.Join(n.opt.DataDir, bitcoinDirName), Logger: n.log.With("edge", string(bitcoinName))})
	if err != nil {
		return nil, err
	}
	return &developmentBitcoin{node: n, chain: chain, rules: rules, federation: federation}, nil
}

// Faucet is the answer to `alys dev faucet`.
type Faucet struct {
	Height        uint64 `json:"height"`
	Tip           string `json:"tip"`
	Faucet        string `json:"faucet"`  // address that mined coins go to
	Satoshi       uint64 `json:"satoshi"` // that it can spend now
	Federation    string `json:"federation"`
	Confirmations uint64 `json:"confirmations"` // that a deposit needs
	Payout        uint64 `json:"payout_confirmations"`
	Account       string `json:"account"` // of development, with coins from genesis on
}

// RegtestBlocks is the answer to `alys dev mine` and `alys dev reorg`.
type RegtestBlocks struct {
	Height uint64   `json:"height"`
	Blocks []string `json:"blocks"` // hashes, lowest first
}

// Deposit is a deposit of the faucet.
type Deposit struct {
	Txid    string `json:"txid"`
	Account string `json:"account"`
	Satoshi uint64 `json:"satoshi"`
}

// PegOutRequest is a request of the development account.
type PegOutRequest struct {
	Transaction string `json:"transaction"`
	Account     string `json:"account"`
	Destination string `json:"destination"`
	Satoshi     uint64 `json:"satoshi"`
}

// handlers are those of the control socket; a node without the chain has none.
func (d *developmentBitcoin) handlers() admin.Development {
	if d == nil {
		return admin.Development{}
	}
	return admin.Development{
		Faucet: func(ctx context.Context) (any, error) { return d.faucet(ctx) },
		Mine: func(ctx context.Context, blocks int) (any, error) {
			hashes, err := d.chain.Mine(ctx, blocks)
			return d.blocks(ctx, hashes, err)
		},
		Reorganise: func(ctx context.Context, depth int) (any, error) {
			hashes, err := d.chain.Reorg(ctx, depth)
			return d.blocks(ctx, hashes, err)
		},
		Deposit: func(ctx context.Context, account string, satoshi uint64) (any, error) {
			return d.deposit(ctx, account, satoshi)
		},
		PegOut: func(ctx context.Context, destination string, satoshi uint64) (any, error) {
			request, err := d.pegOut(ctx, destination, satoshi)
			if errors.Is(err, bridge.ErrRefused) {
				err = errors.Join(err, admin.ErrRefused)
			}
			return request, err
		},
	}
}

func (d *developmentBitcoin) faucet(ctx context.Context) (*Faucet, error) {
	info, err := d.chain.Info(ctx)
	if err != nil {
		return nil, err
	}
	balance, err := d.chain.FaucetBalance(ctx)
	if err != nil {
		return nil, err
	}
	address, err := d.federation.Address(regtest.Params())
	if err != nil {
		return nil, err
	}
	key, err := crypto.HexToECDSA(developmentKey)
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "development account")
	}
	return &Faucet{
		Height: info.Height, Tip: info.Tip.String(), Faucet: d.chain.FaucetAddress(), Satoshi: balance, Federation: address,
		Confirmations: uint64(d.rules.Confirmations), Payout: uint64(d.node.config.PayoutConfirmations),
		Account: crypto.PubkeyToAddress(key.PublicKey).Hex(),
	}, nil
}

func (d *developmentBitcoin) blocks(ctx context.Context, hashes []chainhash.Hash, err error) (*RegtestBlocks, error) {
	if err != nil {
		return nil, err
	}
	info, err := d.chain.Info(ctx)
	if err != nil {
		return nil, err
	}
	blocks := &RegtestBlocks{Height: info.Height}
	for _, hash := range hashes {
		blocks.Blocks = append(blocks.Blocks, hash.String())
	}
	return blocks, nil
}

func (d *developmentBitcoin) deposit(ctx context.Context, account string, satoshi uint64) (*Deposit, error) {
	if !common.IsHexAddress(account) {
		return nil, fault.New(fault.Invalid, "account %.60q is no address: 0x and 40 hex digits", account)
	}
	to := common.HexToAddress(account)
	txid, err := d.chain.Deposit(ctx, d.federation.ScriptPubKey, satoshi, to[:])
	if err != nil {
		return nil, err
	}
	return &Deposit{Txid: txid.String(), Account: to.Hex(), Satoshi: satoshi}, nil
}

// pegOut sends a request to the execution layer in this process.
func (d *developmentBitcoin) pegOut(ctx context.Context, destination string, satoshi uint64) (*PegOutRequest, error) {
	if d.node.embedded == nil {
		return nil, fault.New(fault.Invalid, "the execution client is another process: use alys peg out --rpc with its address")
	}
	order, err := bridge.NewOrder(destination, satoshi, bridge.Policy{Network: regtest.Params(), Minimum: d.rules.Exceptions.MinPegoutSatoshi})
	if err != nil {
		return nil, err
	}
	key, err := crypto.HexToECDSA(developmentKey)
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "development account")
	}
	client := ethclient.NewClient(d.node.embedded.Attach())
	defer client.Close()
	tx, err := bridge.Prepare(ctx, client, key, order)
	if err != nil {
		return nil, err
	}
	if err := client.SendTransaction(ctx, tx); err != nil {
		return nil, fault.Wrap(fault.Temporary, err, "send the request "+tx.Hash().Hex())
	}
	return &PegOutRequest{Transaction: tx.Hash().Hex(), Account: crypto.PubkeyToAddress(key.PublicKey).Hex(), Destination: destination, Satoshi: satoshi}, nil
}
