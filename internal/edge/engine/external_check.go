package engine

import (
	"context"
	"errors"
	"math/big"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Identity is what two execution layers of one chain have in common.
type Identity struct {
	ChainID *big.Int
	Genesis common.Hash
}

// IdentityOf returns the identity of the chain that begins with a genesis.
func IdentityOf(genesis *core.Genesis) Identity {
	return Identity{ChainID: genesis.Config.ChainID, Genesis: genesis.ToBlock().Hash()}
}

// Peer is what a client says of itself.
type Peer struct {
	Version string // name and version; empty when it does not tell
	Bodies  bool   // it serves engine_getPayloadBodiesByHashV1
}

// The methods of the Engine API that this program calls or can do with.
var (
	requiredMethods = []string{"engine_newPayloadV2", "engine_forkchoiceUpdatedV2", "engine_getPayloadV2"}
	wantedMethods   = append(slices.Clone(requiredMethods), "engine_getPayloadBodiesByHashV1", "engine_getClientVersionV1")
)

// codeNoMethod is the JSON-RPC error code of an unknown method.
const codeNoMethod = -32601

// Check asks the client what it offers and which chain it is on. (consensus.md C15)
//
// Errors: Invalid when the JWT secret differs, the client lacks a method or is on
// another chain; Temporary when it cannot be reached.
func (e *External) Check(ctx context.Context) (*Peer, error) {
	var methods []string
	if err := e.callUnchecked(ctx, e.engine, timeoutCapabilities, &methods, "engine_exchangeCapabilities", wantedMethods); err != nil {
		return nil, e.checkError(ctx, err, "engine_exchangeCapabilities")
	}
	for _, m := range requiredMethods {
		if !slices.Contains(methods, m) {
			return nil, fault.New(fault.Invalid, "execution client %s does not offer %s: it must know the Capella fork", e.name, m)
		}
	}
	peer := &Peer{Bodies: slices.Contains(methods, "engine_getPayloadBodiesByHashV1")}
	var err error
	if peer.Version, err = e.version(ctx); err != nil {
		return nil, err
	}
	var id hexutil.Big
	if err := e.callUnchecked(ctx, e.eth, timeoutRead, &id, "eth_chainId"); err != nil {
		return nil, e.checkError(ctx, err, "eth_chainId")
	}
	if id.ToInt().Cmp(e.genesis.ChainID) != 0 {
		return nil, fault.New(fault.Invalid, "execution client %s is on chain %s, this node on chain %s: start the client with the genesis of this chain (geth init)", e.name, id.ToInt(), e.genesis.ChainID)
	}
	var header *types.Header
	if err := e.callUnchecked(ctx, e.eth, timeoutRead, &header, "eth_getBlockByNumber", hexutil.Uint64(0), false); err != nil {
		return nil, e.checkError(ctx, err, "eth_getBlockByNumber")
	}
	if header == nil || header.Hash() != e.genesis.Genesis {
		return nil, fault.New(fault.Invalid, "execution client %s has another block 0 than %s: start the client with the genesis of this chain (geth init) on an empty directory", e.name, e.genesis.Genesis)
	}
	e.checked.Store(peer)
	return peer, nil
}

// checkError grades an error that the client answers to a question of Check.
func (e *External) checkError(ctx context.Context, err error, method string) error {
	if errorCode(err) == codeNoMethod {
		return fault.New(fault.Invalid, "execution client %s does not know %s: is %s its Engine API, with the namespaces engine and eth?", e.name, method, e.name)
	}
	return clientError(ctx, err, "check "+e.name+" by "+method)
}

// version asks for name and version; clients of before 2024 do not tell.
func (e *External) version(ctx context.Context) (string, error) {
	type clientVersion struct {
		Code    string `json:"code"`
		Name    string `json:"name"`
		Version string `json:"version"`
		Commit  string `json:"commit"`
	}
	var versions []clientVersion
	us := clientVersion{Code: "AL", Name: "alys", Version: "1", Commit: "0x00000000"}
	err := e.callUnchecked(ctx, e.engine, timeoutCapabilities, &versions, "engine_getClientVersionV1", us)
	var graded *fault.Error
	switch {
	case errors.As(err, &graded):
		return "", err
	case err != nil || len(versions) == 0:
		return "", nil
	}
	return strings.TrimSpace(versions[0].Name + " " + versions[0].Version), nil
}

// Peer returns what the client said of itself, or nil while it was not reached since
// a call failed.
func (e *External) Peer() *Peer { return e.checked.Load() }
