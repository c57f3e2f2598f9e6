package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/config"
	"github.com/AnduroProject/alys-go/internal/edge/bitcoin"
	"github.com/AnduroProject/alys-go/internal/edge/engine"
	"github.com/AnduroProject/alys-go/internal/edge/rpc"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/bootnode"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
)

func nodeCommand() *cli.Command {
	return &cli.Command{
		Name: "node", Usage: "run the node",
		Description: `Prints one line a block to stdout and logs to stderr. The first Ctrl-C or SIGTERM
finishes the turn, takes a snapshot and stops; the second stops at once, which
loses nothing that is durable.

A data directory that was used before knows its chain; a new one needs
--chain-spec and --genesis, or --dev.

Examples:
  alys node --dev
  alys node --chain-spec chain.json --genesis genesis.json --data-dir /var/lib/alys
  ALYS_AUTHORITY_KEY_FILE=authority.key alys node --config alys.toml
  alys node --config alys.toml --checkpoint-from-peers
  alys node --config alys.toml --engine-url http://127.0.0.1:8551 --jwt-secret jwt.hex`,
		Flags: append(config.Flags(), checkpointFlag),
		Action: func(cc *cli.Context) error {
			s, err := nodeSettings(cc)
			if err != nil {
				return err
			}
			o, err := nodeOptions(s, cc.App.ErrWriter)
			if err != nil {
				return err
			}
			if cc.Bool(checkpointFlag.Name) {
				if err := beginAtCheckpoint(cc.Context, cc, s, &o); err != nil {
					return err
				}
			}
			return runNode(cc.Context, cc.App.Writer, o, s.Metrics.Addr)
		},
	}
}

// nodeOptions turns settings into options, and reads the files they name.
func nodeOptions(s *settings, stderr io.Writer) (o node.Options, err error) {
	o = resourceOptions(s)
	o.NotValidator = s.NotValidator
	o.BuildWait = s.Production.BuildWait
	o.EngineHTTPAddr, o.EngineURL, o.EthURL = s.Engine.HTTPAddr, s.EngineURL, s.EthURL
	if s.JWTSecret != "" {
		if o.JWTSecret, err = engine.ReadJWTSecret(s.JWTSecret); err != nil {
			return o, err
		}
	}
	o.DevMiner, o.DevMinerInterval, o.FeeRecipient = s.Miner.Dev, s.Miner.DevInterval, s.Miner.FeeRecipient
	o.RPC = rpc.Options{
		Addr: s.RPC.Addr, Rate: float64(s.RPC.Rate), Burst: int(2 * s.RPC.Rate), MaxConnections: int(s.RPC.MaxConnections),
	}
	o.RPCMayFail = s.Origin("rpc.addr").Layer == "default"
	bitcoinOptions(s, &o)
	o.SettleEvery = s.P2P.CheckpointEvery
	o.P2P = node.P2POptions{Listen: bootnode.Split(s.P2P.Listen), Boot: bootnode.Split(s.P2P.Bootnodes), MDNS: s.P2P.MDNS, MaxPeers: int(s.P2P.MaxPeers), ListenSlots: uint32(s.P2P.ListenSlots)}
	if s.Dev {
		o.DevBitcoin, o.DevBitcoinInterval = true, s.Bitcoin.DevInterval
		return o, developmentChain(&o)
	}
	if s.ChainSpec != "" {
		if o.ChainSpec, err = os.ReadFile(s.ChainSpec); err != nil {
			return o, fault.Wrap(fault.Invalid, err, "chain-spec")
		}
	}
	if s.Genesis != "" {
		if o.GenesisJSON, err = os.ReadFile(s.Genesis); err != nil {
			return o, fault.Wrap(fault.Invalid, err, "genesis")
		}
	}
	if o.PegSigner, err = federationSigner(s, stderr); err != nil {
		return o, err
	}
	if o.LeaseDir, err = s.LeaseDir(); err != nil && o.P2P.On() {
		return o, err
	}
	o.AuthorityKey, err = s.Authority()
	return o, err
}

// bitcoinOptions are those of the parent chain.
func bitcoinOptions(s *settings, o *node.Options) {
	b := &s.Bitcoin
	o.BitcoinNetwork = bitcoinNetwork(b.Network)
	o.BitcoinRPC = bitcoin.ClientOptions{
		URL: b.RPCURL, User: b.RPCUser, Password: string(b.RPCPassword), CookieFile: b.RPCCookie, CertificateFile: b.RPCCert,
	}
	o.MinFeeRate, o.MaxFeeRate, o.FallbackFeeRate = b.FeeRateMin, b.FeeRateMax, b.FeeRateFallback
	o.PayoutConfirmations = uint32(b.PayoutConfirmations)
}

// bitcoinNetwork returns the parameters of a network by its name in the settings.
func bitcoinNetwork(name string) *chaincfg.Params {
	switch name {
	case config.NetworkMainnet:
		return &chaincfg.MainNetParams
	case config.NetworkTestnet:
		return &chaincfg.TestNet3Params
	case config.NetworkSignet:
		return &chaincfg.SigNetParams
	default:
		return &chaincfg.RegressionNetParams
	}
}

// resourceOptions are the options that do not depend on the chain.
func resourceOptions(s *settings) node.Options {
	return node.Options{
		DataDir: s.dataDir, DiskReserve: uint64(s.DiskReserve), Archive: s.archive, Version: version, Logger: s.log, Levels: s.levels,
		EngineCacheMB: s.Engine.Cache.MiB(), JournalCacheMB: s.Journal.Cache.MiB(), MaxPendingBytes: int(s.Journal.MaxPending), CommitDelay: s.Journal.CommitDelay,
		SnapshotTurns: s.Snapshot.EveryTurns, SnapshotBytes: uint64(s.Snapshot.EveryBytes),
		SnapshotEvery: s.Snapshot.Every, SnapshotKeep: s.Snapshot.Keep, ScrubRate: int64(s.Journal.ScrubRate),
	}
}

// developmentChain fills in the chain of --dev: one authority and federation member with
// secret key 1, whose keys are ours.
func developmentChain(o *node.Options) error {
	c := developmentRules()
	genesis, err := json.Marshal(engine.DevGenesis(uint64(c.ChainID)))
	if err != nil {
		return fault.Wrap(fault.Fatal, err, "development genesis")
	}
	key := aura.DevKey(1)
	if o.PegSigner, err = developmentSigner(); err != nil {
		return err
	}
	o.ChainSpec, o.GenesisJSON, o.AuthorityKey = c.Encode(), genesis, &key
	o.DevMiner = true
	return nil
}

// developmentRules are those of --dev: every rule that is tighter than legacy's binds from
// the first block on, and deposits need few confirmations.
func developmentRules() *spec.Chain {
	c := spec.Dev()
	c.Confirmations = 6
	c.Activations = spec.Activations{
		Finality: 1, ExactWithdrawals: 1, UniquePegins: 1, ExactAuxHeader: 1, RangeOnBranch: 1, Author: 1, SlotTimestamp: 1, BurnRecipient: 1,
		StrictPegins: 1, StrictPegouts: 1,
	}
	return c
}

// runNode runs a node until ctx ends, and prints its blocks.
func runNode(ctx context.Context, stdout io.Writer, o node.Options, metricsAddr string) (err error) {
	lines := newConsole(stdout)
	defer lines.close()
	o.OnFact = lines.fact
	started := time.Now()
	o.Telemetry = node.NewTelemetry(rpc.Methods()...)
	if metricsAddr != "" {
		serving, stop := context.WithCancel(ctx)
		defer stop()
		if at, err := o.Telemetry.Serve(serving, metricsAddr); err != nil {
			o.Logger.Error("metrics and health are not served", "error", err)
		} else {
			o.Logger.Debug("metrics and health", "address", at.String())
		}
	}
	n, err := node.Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	before := n.Status()
	return n.Run(ctx, func() { lines.started(before, time.Since(started)) })
}
