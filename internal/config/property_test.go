package config

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"pgregory.net/rapid"
)

// text draws a value that Load accepts for s.
func text(t *rapid.T, s *Setting) string {
	switch s.Key {
	case "engine.http-addr":
		return rapid.SampledFrom([]string{"", "127.0.0.1:0", "[::1]:8545", "localhost:65535", "127.9.9.9:1"}).Draw(t, s.Key)
	case "metrics.addr", "rpc.addr":
		return rapid.SampledFrom([]string{"", ":9600", "0.0.0.0:9600", "node.example:1"}).Draw(t, s.Key)
	case "log.format":
		return rapid.SampledFrom([]string{FormatText, FormatJSON, FormatAuto}).Draw(t, s.Key)
	case "log.level":
		return rapid.SampledFrom([]string{"debug", "info", "warn", "error"}).Draw(t, s.Key)
	case "log.actors":
		return rapid.SampledFrom([]string{"", "engine=debug", "engine=debug,chain=warn"}).Draw(t, s.Key)
	case "data-dir":
		return rapid.StringMatching(`[^\pC]+`).Draw(t, s.Key)
	}
	switch s.Kind {
	case kindAddrs:
		return rapid.SampledFrom([]string{"", "/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/2, /ip6/::1/udp/3/quic-v1"}).Draw(t, s.Key)
	case kindText:
		return rapid.StringMatching(`[^\pC:]*`).Draw(t, s.Key)
	case kindURL:
		return rapid.SampledFrom([]string{"", "s3://bucket", "s3://bucket/a b?endpoint=h:1&insecure=true"}).Draw(t, s.Key)
	case kindPath:
		return rapid.StringMatching(`[^\pC]*`).Draw(t, s.Key)
	case kindBool:
		return rapid.SampledFrom([]string{"true", "false"}).Draw(t, s.Key)
	case kindNetwork:
		return rapid.SampledFrom([]string{NetworkMainnet, NetworkTestnet, NetworkSignet, NetworkRegtest}).Draw(t, s.Key)
	case kindInteger:
		return fmt.Sprint(rapid.IntRange(2, 1000).Draw(t, s.Key))
	case kindSize:
		return (Size(rapid.Int64Range(32, 1024).Draw(t, s.Key)) * MiB).String()
	case kindDuration:
		if s.Key == "journal.commit-delay" {
			return (time.Duration(rapid.Int64Range(0, 1000).Draw(t, s.Key)) * time.Millisecond).String()
		}
		return (time.Duration(rapid.Int64Range(1000, 10000).Draw(t, s.Key)) * time.Millisecond).String()
	case kindAccount:
		return common.BytesToAddress(rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, s.Key)).Hex()
	default:
		t.Fatalf("no values for %s of kind %s", s.Key, s.Kind)
		return ""
	}
}

// TestRoundTrip feeds what Show wrote back: same settings, whatever layer and
// values they came from, and the secret stays what the environment says.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		secret := "ALYS_AUTHORITY_KEY=" + key1
		src := Sources{Environ: []string{secret}, Flags: map[string]string{}}
		dev, external := rapid.Bool().Draw(t, "dev"), rapid.Bool().Draw(t, "external")
		for _, s := range Settings() {
			if s.Key == "engine-url" || s.Key == "jwt-secret" || s.Key == "eth-url" || external && s.Key == "engine.http-addr" ||
				strings.HasPrefix(s.Key, "bitcoin-rpc-") || strings.HasPrefix(s.Key, "bitcoin.fee-rate-") ||
				strings.HasPrefix(s.Key, "federation-") {
				continue // these go together
			}
			switch layer := rapid.IntRange(0, 2).Draw(t, "layer of "+s.Key); {
			case s.Secret || s.Key == "authority-key-file" || s.Key == "dev" || dev && (s.Key == "chain-spec" || s.Key == "genesis"):
			case layer == 1:
				src.Environ = append(src.Environ, s.Env()+"="+text(t, &s))
			case layer == 2:
				src.Flags[s.Flag()] = text(t, &s)
			}
		}
		src.Flags["dev"] = fmt.Sprint(dev)
		if external {
			src.Flags["engine-url"] = rapid.SampledFrom([]string{"http://127.0.0.1:8551", "https://[::1]/engine?x=1"}).Draw(t, "engine-url")
			src.Flags["jwt-secret"] = rapid.StringMatching(`[^\pC]+`).Draw(t, "jwt-secret")
			src.Flags["eth-url"] = rapid.SampledFrom([]string{"", "http://node.example:8545"}).Draw(t, "eth-url")
		}
		if rapid.Bool().Draw(t, "bitcoin") {
			src.Flags["bitcoin-rpc-url"] = rapid.SampledFrom([]string{"", "http://127.0.0.1:8332", "https://[::1]/wallet?x=1"}).Draw(t, "bitcoin-rpc-url")
			src.Flags["bitcoin-rpc-user"] = rapid.StringMatching(`[^\pC:]*`).Draw(t, "bitcoin-rpc-user")
			for i, name := range []string{"min", "fallback", "max"} {
				src.Flags["bitcoin.fee-rate-"+name] = fmt.Sprint(rapid.IntRange(1+1000*i, 1000+1000*i).Draw(t, name))
			}
		}
		if rapid.Bool().Draw(t, "signer") {
			src.Flags["federation-signer"] = rapid.SampledFrom([]string{"unix:/a b", "unix:@x"}).Draw(t, "federation-signer")
			src.Flags["federation-signer-key"] = strings.Repeat("02", 33)
		} else {
			src.Flags["federation-key-file"] = rapid.StringMatching(`[^\pC]+`).Draw(t, "federation-key-file")
			src.Flags["federation-key-passphrase-file"] = rapid.StringMatching(`[^\pC]*`).Draw(t, "passphrase")
		}
		first, err := Load(src)
		if err != nil {
			t.Fatal(err)
		}
		var shown, again bytes.Buffer
		if err := first.Show(&shown, false); err != nil {
			t.Fatal(err)
		}
		path := dir + "/shown.toml"
		if err := os.WriteFile(path, shown.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		second, err := Load(Sources{File: path, Environ: []string{secret}})
		if err != nil {
			t.Fatalf("%v in\n%s", err, shown.Bytes())
		}
		if values(first) != values(second) || first.AuthorityKey != second.AuthorityKey {
			t.Fatalf("fed back:\n%s\nwant\n%s", values(second), values(first))
		}
		if err := second.Show(&again, false); err != nil || strings.Count(again.String(), "\n") != len(Settings()) {
			t.Fatalf("not one line a setting (%v):\n%s", err, again.Bytes())
		}
	})
}

func TestSizeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Size(rapid.Int64Min(0).Draw(t, "size"))
		if got, err := ParseSize(want.String()); err != nil || got != want {
			t.Fatalf("%d reads back as %d, %v", want, got, err)
		}
	})
	for _, wrong := range []string{"", "B", "1", "-1MiB", "+1MiB", "1.5GiB", "1MB", "1  MiB", " 1MiB", "9223372036854775808B", "8388608TiB"} {
		if got, err := ParseSize(wrong); err == nil {
			t.Errorf("%q reads as %d", wrong, got)
		}
	}
}

// FuzzDocument checks that no file panics, and that what is accepted can be
// shown and loaded again.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{
		"", "dev = true", "engine.cache = \"1GiB\"", "[engine]\ncache = \"1GiB\" # x\n", "snapshot = {keep = 2}",
		"\xef\xbb\xbfdev = true", "[[engine]]", "a.b.c = [1, {d = 1979-05-27}]", "\"engine.cache\" = 1", "'' = 1", "[a.'b.c']\nx=1",
		"authority-key = \"zz\"", "\"\\u0064ev\" = true", "dev = true\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := write(t, "alys.toml", string(data))
		c, err := Load(Sources{File: path})
		if err != nil {
			return
		}
		var shown bytes.Buffer
		if err := c.Show(&shown, false); err != nil {
			t.Fatal(err)
		}
		again, err := Load(Sources{File: write(t, "again.toml", shown.String())})
		if err == nil && c.AuthorityKey == "" && values(again) != values(c) {
			t.Fatalf("%s\nreads back as\n%s", values(c), values(again))
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, shown.Bytes())
		}
	})
}
