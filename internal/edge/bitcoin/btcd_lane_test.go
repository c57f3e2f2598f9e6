package bitcoin_test

import (
	"strings"
	"testing"
	"time"

	"github.com/AnduroProject/alys-go/internal/edge/bitcoin"
	"github.com/AnduroProject/alys-go/internal/edge/bitcoin/nodetest"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

// The client against real nodes, with and without an index of transactions. make e2e-btcd.
func TestRealNode(t *testing.T) {
	for _, index := range []struct {
		name string
		on   bool
	}{{"no index", false}, {"index", true}} {
		t.Run(index.name, func(t *testing.T) {
			nodetest.Each(t, func(t *testing.T, p *nodetest.Process) {
				p.TxIndex = index.on
				p.Start()
				client, err := bitcoin.Dial(p.Options())
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				started := time.Now()
				miner, err := nodetest.NewMiner(t.Context(), p, client)
				if err != nil {
					t.Fatalf("%v\n%s", err, p.Output())
				}
				info, err := client.Info(t.Context())
				if err != nil || info.TxIndex != index.on {
					t.Fatalf("%+v %v", info, err)
				}
				t.Logf("%s at height %d after %s", info.Software, info.Height, time.Since(started).Round(time.Millisecond))
				nodetest.Run(t, client, miner)
				restarts(t, p, client, miner)
			})
		})
	}
}

// restarts kills the node and starts it again: the client that was there goes on.
func restarts(t *testing.T, p *nodetest.Process, client *bitcoin.Client, miner *nodetest.Miner) {
	before, err := client.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if _, err := client.Info(t.Context()); !fault.Is(err, fault.Temporary) || !strings.Contains(err.Error(), "not reached") {
		t.Errorf("a node that is away: %v", err)
	}
	if outcome, _, err := client.Send(t.Context(), make([]byte, 10)); outcome == 0 && !fault.Is(err, fault.Temporary) {
		t.Errorf("sent to a node that is away: %d %v", outcome, err)
	}
	p.Start()
	if err := miner.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, err := client.Info(t.Context())
	if err != nil || after != before {
		t.Errorf("%+v after a restart, %+v before: %v", after, before, err)
	}
}

// A wrong password, certificate or address says what to do.
func TestRealNodeRefuses(t *testing.T) {
	nodetest.Each(t, func(t *testing.T, p *nodetest.Process) {
		p.Start()
		good := p.Options()
		for _, c := range []struct {
			name string
			with func(o *bitcoin.ClientOptions)
			says string
		}{
			{"password", func(o *bitcoin.ClientOptions) { o.User, o.Password, o.CookieFile = "alys", "wrong", "" }, "bitcoin-rpc-password"},
			{"certificate", func(o *bitcoin.ClientOptions) { o.CertificateFile = "" }, "bitcoin-rpc-cert"},
			{"scheme", func(o *bitcoin.ClientOptions) {
				if p.Core {
					o.URL = "https" + strings.TrimPrefix(o.URL, "http")
				} else {
					o.URL = "http" + strings.TrimPrefix(o.URL, "https")
				}
			}, "bitcoin-rpc-url begins with"},
		} {
			if c.name == "certificate" && p.Core {
				continue // it has none
			}
			o := good
			c.with(&o)
			client, err := bitcoin.Dial(o)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Info(t.Context()); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", c.name, err)
			}
			_ = client.Close()
		}
	})
}
