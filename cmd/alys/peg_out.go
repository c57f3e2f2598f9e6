package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/edge/bridge"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
)

func pegOutCommand() *cli.Command {
	return &cli.Command{
		Name: "out", Usage: "make the transaction with which a user pegs out",
		Description: `Builds and signs a call of the bridge contract, and shows it; with --send it is
sent too. The contract checks nothing: what it is given is burned, and there is no
refund. So it is refused, with exit code 4, what the members would not pay: an
amount below the minimum, an address that is none, one of another network, one that
has no use yet. The fee of the Bitcoin payment is taken from the amount.

--key is a keystore file of go-ethereum (version 3) or a file with 64 hex digits,
readable by its owner alone. The passphrase of a keystore file is the first line of
--passphrase-file, which may be /dev/stdin.

Examples:
  alys peg out --to bc1q... --amount 0.5 --key alice.json --passphrase-file alice.txt
  alys peg out --to bcrt1q... --amount 0.05 --key alice.hex --bitcoin-network regtest --rpc http://127.0.0.1:8545 --send
  alys peg out --to bc1q... --amount 0.5 --key alice.json --passphrase-file alice.txt --json`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "Bitcoin `ADDRESS` that is paid"},
			&cli.StringFlag{Name: "amount", Usage: "`BTC` to burn, such as 0.05"},
			&cli.StringFlag{Name: "key", Usage: "`FILE` with the account's key"},
			&cli.StringFlag{Name: "passphrase-file", Usage: "`FILE` whose first line opens a keystore file"},
			&cli.StringFlag{Name: "rpc", Usage: "`URL` of an execution client's JSON-RPC", Value: "http://127.0.0.1:8545"},
			&cli.StringFlag{Name: "bitcoin-network", Usage: "`NETWORK` of the address: mainnet, testnet, signet or regtest", Value: config.NetworkMainnet},
			&cli.StringFlag{Name: "minimum", Usage: "least `BTC` that this chain pays", Value: peg.FormatAmount(peg.MinPegOut)},
			&cli.BoolFlag{Name: "send", Usage: "send the transaction"},
			jsonFlag,
		},
		Action: pegOut,
	}
}

// pegOutResult is what `alys peg out` prints with --json.
type pegOutResult struct {
	Transaction string `json:"transaction"` // hash
	From        string `json:"from"`
	Bridge      string `json:"bridge"`
	Destination string `json:"destination"`
	Satoshi     uint64 `json:"satoshi"`
	Wei         string `json:"wei"`
	Nonce       uint64 `json:"nonce"`
	ChainID     string `json:"chain_id"`
	Gas         uint64 `json:"gas"`
	MaxFee      string `json:"max_fee_wei"` // of the transaction, beside the amount
	Raw         string `json:"raw"`
	Sent        bool   `json:"sent"`
}

func pegOut(cc *cli.Context) error {
	order, err := pegOutOrder(cc)
	if err != nil {
		return err
	}
	if cc.String("key") == "" {
		return usage("--key is missing: the file with the account's key")
	}
	key, err := bridge.ReadKey(cc.String("key"), func() (string, error) { return passphrase(cc.String("passphrase-file")) })
	if err != nil {
		return err
	}
	client, err := ethclient.DialContext(cc.Context, cc.String("rpc"))
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "--rpc")
	}
	defer client.Close()
	tx, err := bridge.Prepare(cc.Context, client, key, order)
	if err != nil {
		return err
	}
	r, err := describePegOut(tx, order)
	if err != nil {
		return err
	}
	r.From = crypto.PubkeyToAddress(key.PublicKey).Hex()
	if cc.Bool("send") {
		if err := send(cc.Context, client, tx); err != nil {
			return err
		}
		r.Sent = true
	}
	return outcome(cc, r, r.print)
}

func pegOutOrder(cc *cli.Context) (bridge.Order, error) {
	for _, name := range []string{"to", "amount"} {
		if cc.String(name) == "" {
			return bridge.Order{}, usage("--%s is missing; see %s --help", name, cc.Command.HelpName)
		}
	}
	network := cc.String("bitcoin-network")
	switch network {
	case config.NetworkMainnet, config.NetworkTestnet, config.NetworkSignet, config.NetworkRegtest:
	default:
		return bridge.Order{}, usage("--bitcoin-network %q: mainnet, testnet, signet or regtest", network)
	}
	amount, err := peg.ParseAmount(cc.String("amount"))
	if err != nil {
		return bridge.Order{}, fault.Wrap(fault.Invalid, errors.Join(err, bridge.ErrRefused), "--amount")
	}
	minimum, err := peg.ParseAmount(cc.String("minimum"))
	if err != nil {
		return bridge.Order{}, fault.Wrap(fault.Invalid, err, "--minimum")
	}
	return bridge.NewOrder(cc.String("to"), amount, bridge.Policy{Network: bitcoinNetwork(network), Minimum: minimum})
}

// passphrase is the first line of a file.
func passphrase(path string) (string, error) {
	if path == "" {
		return "", usage("the key is a keystore file: --passphrase-file is missing")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "--passphrase-file")
	}
	defer f.Close()
	const most = 4096
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "--passphrase-file")
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	return string(bytes.TrimSuffix(line, []byte("\r"))), nil
}

func send(ctx context.Context, client *ethclient.Client, tx *types.Transaction) error {
	// Whether a transaction that got no answer was taken is not known: its hash tells.
	return fault.Wrap(fault.Temporary, client.SendTransaction(ctx, tx), "send transaction "+tx.Hash().Hex())
}

func describePegOut(tx *types.Transaction, order bridge.Order) (*pegOutResult, error) {
	raw, err := tx.MarshalBinary()
	if err != nil {
		return nil, fault.Wrap(fault.Fatal, err, "encode the transaction")
	}
	fee := tx.Cost()
	return &pegOutResult{
		Transaction: tx.Hash().Hex(), Bridge: bridge.Address.Hex(), Destination: order.Destination, Satoshi: order.Amount, Wei: tx.Value().String(),
		Nonce: tx.Nonce(), ChainID: tx.ChainId().String(), Gas: tx.Gas(), MaxFee: fee.Sub(fee, tx.Value()).String(), Raw: hexutil.Encode(raw),
	}, nil
}

func (r *pegOutResult) print(w io.Writer) {
	printf(w, "peg-out      %s BTC to %s, less the fee of the Bitcoin payment\n", peg.FormatAmount(r.Satoshi), r.Destination)
	printf(w, "from         %s, nonce %d, chain %s\n", r.From, r.Nonce, r.ChainID)
	printf(w, "burns        %s wei at %s, with a fee of up to %s wei\n", r.Wei, r.Bridge, r.MaxFee)
	printf(w, "transaction  %s\n", r.Transaction)
	if r.Sent {
		printf(w, "sent\n")
		return
	}
	printf(w, "raw          %s\n", r.Raw)
	printf(w, "not sent: add --send\n")
}
