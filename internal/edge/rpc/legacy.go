package rpc

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
)

// legacyAnswer is what one request in legacy's dialect gets.
type legacyAnswer struct {
	status int // of HTTP
	result []byte
	fail   *legacyError
}

// legacyError has no member beside code and message. (rpc.md)
type legacyError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// legacyMethods are the seven, by their exact names.
var legacyMethods = map[string]func(*Server, context.Context, string, json.RawMessage) legacyAnswer{
	"createauxblock":    (*Server).createAuxBlock,
	"submitauxblock":    (*Server).submitAuxBlock,
	"getdepositaddress": (*Server).getDepositAddress,
	"getheadblock":      (*Server).getHeadBlock,
	"getblockbyheight":  (*Server).getBlockByHeight,
	"getblockbyhash":    (*Server).getBlockByHash,
	"getqueuedpow":      (*Server).getQueuedPow,
}

func failed(status, code int, text string) legacyAnswer {
	return legacyAnswer{status: status, fail: &legacyError{code, text}}
}

func invalidParams() legacyAnswer {
	return failed(http.StatusBadRequest, codeInvalidParams, "Invalid params")
}

// unavailable is the answer when the node itself fails: legacy has none, and miners'
// software takes any error for "ask again".
func unavailable(err error) legacyAnswer {
	return failed(http.StatusServiceUnavailable, codeUnavailable, err.Error())
}

// legacy answers one request object in legacy's dialect.
func (s *Server) legacy(ctx context.Context, client string, r request) legacyAnswer {
	method, known := legacyMethods[r.method]
	switch {
	case r.params == nil:
		return failed(http.StatusOK, codeInvalidRequest, "Invalid Request")
	case !known:
		return failed(http.StatusNotFound, codeUnknownMethod, "Method not found")
	}
	return method(s, ctx, client, r.params)
}

// body writes the answer's members in legacy's order.
func (a legacyAnswer) body(id json.RawMessage) []byte {
	result, fail := a.result, []byte("null")
	if result == nil {
		result = []byte("null")
	}
	if a.fail != nil {
		fail = encode(a.fail)
	}
	id = canonicalID(id)
	out := make([]byte, 0, len(result)+len(fail)+len(id)+32)
	out = append(append(out, `{"result":`...), result...)
	out = append(append(out, `,"error":`...), fail...)
	out = append(append(out, `,"id":`...), id...)
	return append(out, '}')
}

func (s *Server) getDepositAddress(context.Context, string, json.RawMessage) legacyAnswer {
	return legacyAnswer{status: http.StatusOK, result: encode(s.opt.Backend.DepositAddress())}
}

func (s *Server) getHeadBlock(ctx context.Context, _ string, _ json.RawMessage) legacyAnswer {
	b, err := s.opt.Backend.Head(ctx)
	if err == nil && b == nil {
		return failed(http.StatusOK, codeBlockNotFound, "Block not found")
	}
	return blockAnswer(b, err)
}

func (s *Server) getBlockByHeight(ctx context.Context, _ string, params json.RawMessage) legacyAnswer {
	height, err := legacyHeight(params)
	if err != nil {
		return failed(http.StatusBadRequest, codeDecoder, err.Error())
	}
	return blockAnswer(s.opt.Backend.BlockByHeight(ctx, height))
}

func (s *Server) getBlockByHash(ctx context.Context, _ string, params json.RawMessage) legacyAnswer {
	root, ok := legacyHash(params)
	if !ok {
		return invalidParams()
	}
	return blockAnswer(s.opt.Backend.BlockByHash(ctx, root))
}

// blockAnswer is a signed block, or null when there is none.
func blockAnswer(b *Block, err error) legacyAnswer {
	if err != nil {
		return unavailable(err)
	}
	a := legacyAnswer{status: http.StatusOK}
	if b != nil {
		if a.result, err = b.Signed.MarshalJSON(); err != nil {
			return unavailable(err)
		}
	}
	return a
}

func (s *Server) getQueuedPow(ctx context.Context, _ string, _ json.RawMessage) legacyAnswer {
	header, err := s.opt.Backend.QueuedWork(ctx)
	if err != nil {
		return unavailable(err)
	}
	a := legacyAnswer{status: http.StatusOK}
	if header != nil {
		if a.result, err = header.MarshalJSON(); err != nil {
			return unavailable(err)
		}
	}
	return a
}

// createAuxBlock gives work out. Whatever stands in the way is "Chain is syncing"
// to miners' software. (rpc.md, C13)
func (s *Server) createAuxBlock(ctx context.Context, client string, params json.RawMessage) legacyAnswer {
	recipient, ok := legacyAddress(params)
	if !ok {
		return invalidParams()
	}
	work, err := s.desk.create(ctx, client, recipient)
	if err != nil || work.Error != "" {
		return failed(http.StatusServiceUnavailable, codeSyncing, "Chain is syncing")
	}
	return legacyAnswer{status: http.StatusOK, result: auxBlockJSON(work)}
}

// auxBlockJSON writes an aux block object, members in alphabetical order. (rpc.md)
func auxBlockJSON(w *message.AuxBlock) []byte {
	var target [32]byte
	auxpow.CheckTarget(w.Bits).FillBytes(target[:])
	b := make([]byte, 0, 384)
	b = hex.AppendEncode(append(b, `{"_target":"`...), target[:])
	b = strconv.AppendUint(append(b, `","bits":"`...), uint64(w.Bits), 16)
	b = strconv.AppendUint(append(b, `","chainid":`...), uint64(w.ChainID), 10)
	b = hex.AppendEncode(append(b, `,"coinbasevalue":0,"hash":"`...), w.Hash[:])
	b = strconv.AppendUint(append(b, `","height":`...), w.Height, 10)
	b = hex.AppendEncode(append(b, `,"previousblockhash":"`...), w.PreviousBlock[:])
	return append(b, `"}`...)
}

// submitAuxBlock takes work in: null only when the proof is queued. (rpc.md)
func (s *Server) submitAuxBlock(ctx context.Context, client string, params json.RawMessage) legacyAnswer {
	hash, raw, proof, err := legacyProof(params)
	if err != nil {
		return failed(http.StatusBadRequest, codeDecoder, err.Error())
	}
	rejected, err := s.desk.submit(ctx, client, submission{hash: hash, raw: raw, proof: proof})
	switch {
	case fault.Is(err, fault.Invalid):
		return failed(http.StatusBadRequest, codeDecoder, err.Error())
	case err != nil:
		return unavailable(err)
	case rejected != nil:
		return failed(http.StatusOK, rejectCode(rejected.check), fmt.Sprintf("%s: %s", rejected.check, rejected.reason))
	}
	return legacyAnswer{status: http.StatusOK}
}

// isArray reports whether a body is a list, which legacy never took.
func isArray(body []byte) bool {
	body = bytes.TrimLeft(body, " \t\r\n")
	return len(body) > 0 && body[0] == '['
}
