package blockrange

import (
	"encoding/binary"
	"fmt"

	"github.com/AnduroProject/alys-go/internal/protocol/block"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// Protocol is the name the request is negotiated under. (wire.md 9.5)
const Protocol = "/eth2/chain/req/blocks_by_range/1/ssz_snappy"

// MaxCount is how many blocks legacy asks for at once. Legacy as a server has no
// bound; ours answers no more than this. (wire.md 9.6, 9.7)
const MaxCount = 1024

// requestSize is the body of a request.
const requestSize = 16

// maxText is the longest text behind a code other than OK.
const maxText = 256

// Request asks for blocks by height, ascending from Start. A count of 0 gets no
// answer from legacy.
type Request struct {
	Start uint64
	Count uint64
}

// Encode returns the bytes of the request. (wire.md 9.5)
func (r Request) Encode() []byte {
	body := binary.LittleEndian.AppendUint64(nil, r.Start)
	return appendBody(nil, binary.LittleEndian.AppendUint64(body, r.Count))
}

// DecodeRequest reads a whole request.
func DecodeRequest(data []byte) (Request, error) {
	body, rest, err := readBody(data, requestSize)
	if err != nil {
		return Request{}, fault.Wrap(fault.Invalid, err, "request for blocks")
	}
	if len(body) != requestSize || len(rest) > 0 {
		return Request{}, fault.New(fault.Invalid, "request for blocks: body of %d bytes, want %d, and %d bytes behind it; refuse the request", len(body), requestSize, len(rest))
	}
	return Request{binary.LittleEndian.Uint64(body), binary.LittleEndian.Uint64(body[8:])}, nil
}

// Code says what a chunk of an answer is.
type Code byte

// The codes legacy knows. (wire.md 9.5)
const (
	OK             Code = 0
	InvalidRequest Code = 1
	ServerError    Code = 2
	Unavailable    Code = 3
	RateLimited    Code = 139
)

// String names the code.
func (c Code) String() string {
	switch c {
	case OK:
		return "ok"
	case InvalidRequest:
		return "invalid request"
	case ServerError:
		return "server error"
	case Unavailable:
		return "unavailable"
	case RateLimited:
		return "rate limited"
	default:
		return fmt.Sprintf("code %d", byte(c))
	}
}

// Chunk is one part of an answer: a block if the code is OK, else a text, and then
// it is the last.
type Chunk struct {
	Code  Code
	Block *block.Signed
	Text  []byte // as the peer sent it: any bytes, at most 256
}

// AppendBlock appends a block's chunk to an answer. A block above [MaxBody] cannot
// be sent. (wire.md 9.5)
func AppendBlock(dst []byte, signed *block.Signed) ([]byte, error) {
	body := signed.Encode()
	if len(body) > MaxBody {
		return dst, fault.New(fault.Invalid, "block %s of %d bytes, an answer holds %d; it cannot be sent", signed.Root(), len(body), MaxBody)
	}
	return appendBody(append(dst, byte(OK)), body), nil
}

// AppendError appends the last chunk of an answer that ends in another code than OK.
// The text is cut to 256 bytes.
func AppendError(dst []byte, code Code, text string) []byte {
	return appendBody(append(dst, byte(code)), []byte(text[:min(len(text), maxText)]))
}

// DecodeChunk reads the first chunk of an answer and returns what follows it. An
// error about a chunk that is not whole yet wraps [ErrShort].
func DecodeChunk(data []byte) (Chunk, []byte, error) {
	if len(data) == 0 {
		return Chunk{}, nil, fault.New(fault.Invalid, "chunk of an answer: %w", ErrShort)
	}
	chunk, limit := Chunk{Code: Code(data[0])}, uint64(MaxBody)
	if chunk.Code != OK {
		limit = maxText
	}
	body, rest, err := readBody(data[1:], limit)
	if err != nil {
		return Chunk{}, nil, fault.Wrap(fault.Invalid, err, "chunk of an answer")
	}
	if chunk.Code != OK {
		chunk.Text = body
		return chunk, rest, nil
	}
	if chunk.Block, err = block.Decode(body); err != nil {
		return Chunk{}, nil, fault.Wrap(fault.Invalid, err, "chunk of an answer")
	}
	return chunk, rest, nil
}

// DecodeAnswer reads a whole answer. A peer that has none of the blocks sends
// nothing, which is no error. A code other than OK is one, with the peer's text and
// the blocks before it.
func DecodeAnswer(data []byte) ([]*block.Signed, error) {
	var blocks []*block.Signed
	for len(data) > 0 {
		chunk, rest, err := DecodeChunk(data)
		if err != nil {
			return blocks, fault.New(fault.Invalid, "answer with %d blocks: %w", len(blocks), err)
		}
		if chunk.Code != OK {
			return blocks, fault.New(fault.Temporary, "answer with %d blocks ends in %s: %q; ask another peer", len(blocks), chunk.Code, chunk.Text)
		}
		if len(blocks) == MaxCount {
			return blocks, fault.New(fault.Invalid, "answer of more than %d blocks; refuse the peer's message", MaxCount)
		}
		blocks, data = append(blocks, chunk.Block), rest
	}
	return blocks, nil
}
