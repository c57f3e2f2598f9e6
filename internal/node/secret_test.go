package node_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/AnduroProject/alys-go/internal/edge/pegsigner"
	"github.com/AnduroProject/alys-go/internal/node"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
	"github.com/AnduroProject/alys-go/internal/protocol/message"
	"github.com/AnduroProject/alys-go/internal/protocol/peg"
	"github.com/AnduroProject/alys-go/internal/protocol/spec"
	"github.com/AnduroProject/alys-go/journal"
)

// forms are the ways in which a key could stand somewhere.
func forms(key [32]byte) map[string][]byte {
	reversed := bytes.Clone(key[:])
	slices.Reverse(reversed)
	list := map[string][]byte{
		"bytes": key[:], "reversed bytes": reversed,
		"hex": []byte(hex.EncodeToString(key[:])), "upper hex": []byte(strings.ToUpper(hex.EncodeToString(key[:]))), "reversed hex": []byte(hex.EncodeToString(reversed)),
		"a list of numbers": []byte(strings.Trim(fmt.Sprint(key[:]), "[]")), "a decimal number": []byte(new(big.Int).SetBytes(key[:]).String()),
		"half of the hex": []byte(hex.EncodeToString(key[:16])), "the other half": []byte(hex.EncodeToString(key[16:])),
	}
	for shift := range 3 { // where base64 begins in a larger text
		text := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), key[:]...))
		list[fmt.Sprint("base64 ", shift)] = []byte(text[4 : len(text)-2])
		list[fmt.Sprint("base64url ", shift)] = []byte(strings.NewReplacer("+", "-", "/", "_").Replace(text[4 : len(text)-2]))
	}
	return list
}

// lockedBuffer takes the log of all goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// The federation key is in no file of the data directory, no event, no snapshot, no
// metric and no line of the log, in no form.
func TestFederationKeyStaysOutside(t *testing.T) {
	var key [32]byte
	if _, err := io.ReadFull(rand.Reader, key[:]); err != nil {
		t.Fatal(err)
	}
	key[0] &= 0x7f // below the group order
	makeSigner := func(f *peg.Federation) (pegsigner.Signer, error) {
		secret, err := pegsigner.NewSecret(key)
		if err != nil {
			return nil, err
		}
		return pegsigner.NewLocal(secret, f)
	}
	secret, err := pegsigner.NewSecret(key)
	if err != nil {
		t.Fatal(err)
	}
	c := spec.Dev()
	c.FederationKeys = [][33]byte{secret.PublicKey()}
	dir := t.TempDir()
	var log lockedBuffer
	o := devOptions(t, dir)
	o.ChainSpec, o.PegSigner = c.Encode(), makeSigner
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Telemetry = node.NewTelemetry()
	runUntil(t, o, func(f node.Fact) bool {
		m, ok := f.Message.(*message.HeadChanged)
		return ok && m.Number >= 3
	})
	families, err := o.Telemetry.Metrics.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	places := map[string][]byte{"the log": log.b.Bytes(), "the metrics": []byte(fmt.Sprint(families))}
	addFiles(t, dir, places)
	addEvents(t, dir, places)
	found, configured := 0, false
	for place, data := range places {
		found += len(data)
		configured = configured || strings.Contains(place, "event") && bytes.Contains(data, []byte(hex.EncodeToString(c.FederationKeys[0][:])))
		for name, form := range forms(key) {
			if bytes.Contains(data, form) {
				t.Errorf("the secret key is in %s as %s", place, name)
			}
		}
	}
	if !configured || found < 100_000 {
		t.Errorf("%d bytes searched, the public key found: %v; the search does not see what it should", found, configured)
	}
}

func addFiles(t *testing.T, dir string, places map[string][]byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		places["file "+path] = data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// addEvents adds what compression may hide in the files: messages, outputs, contents.
func addEvents(t *testing.T, dir string, places map[string][]byte) {
	t.Helper()
	j, err := journal.Open(journal.Options{Dir: node.JournalDir(dir), ReadOnly: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	for sequence := uint64(1); sequence <= j.Head().Sequence; sequence++ {
		e, _, err := j.Event(sequence)
		if err != nil {
			t.Fatal(err)
		}
		all := bytes.Clone(e.Message)
		for i := range e.Outputs {
			all = append(all, e.Outputs[i].Payload...)
		}
		for _, h := range e.Contents {
			data, err := j.Content(h)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, data...)
		}
		places[fmt.Sprint("event ", sequence)] = all
	}
}

// A member has both keys or neither; a node that is no validator may have one.
func TestBothKeysOrNeither(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*node.Options)
		want string
	}{
		"no federation key": {func(o *node.Options) { o.PegSigner = nil }, "an authority key without a federation key"},
		"no authority key":  {func(o *node.Options) { o.AuthorityKey = nil }, "a federation key without an authority key"},
		"neither":           {func(o *node.Options) { o.AuthorityKey, o.PegSigner = nil, nil }, ""},
		"no validator":      {func(o *node.Options) { o.PegSigner, o.NotValidator = nil, true }, ""},
		"the key of nobody": {func(o *node.Options) {
			o.PegSigner = func(f *peg.Federation) (pegsigner.Signer, error) {
				secret, err := pegsigner.DevSecret(7)
				if err != nil {
					return nil, err
				}
				return pegsigner.NewLocal(secret, f)
			}
		}, "is none of the chain spec's 1 federationBitcoinPubkeys"},
	} {
		t.Run(name, func(t *testing.T) {
			o := devOptions(t, t.TempDir())
			c.edit(&o)
			n, err := node.Open(t.Context(), o)
			if err == nil {
				err = n.Close()
			}
			if c.want == "" && err != nil || c.want != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
