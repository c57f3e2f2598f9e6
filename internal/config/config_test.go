package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"github.com/AnduroProject/alys-go/internal/protocol/aura"
	"github.com/AnduroProject/alys-go/internal/protocol/fault"
)

var update = flag.Bool("update", false, "write docs/alys.sample.toml")

const key1 = "0000000000000000000000000000000000000000000000000000000000000001"

func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	c, err := Load(Sources{Environ: []string{"HOME=/root", "PATH", "ALYS_TEST_X=1"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.DataDir != "alys-data" || c.Engine.Cache != 64*MiB || c.Snapshot.EveryTurns != 2000 || c.Snapshot.Keep != 5 ||
		c.Log.Level != slog.LevelInfo || c.Production.BuildWait != 200*time.Millisecond {
		t.Errorf("defaults: %+v", c)
	}
	for _, s := range Settings() {
		if got := c.Origin(s.Key).String(); got != "default" {
			t.Errorf("%s: origin %q", s.Key, got)
		}
	}
}

// TestList checks what every row owes: names that cannot collide, a default that
// is its own canonical text, and a field of its own.
func TestList(t *testing.T) {
	seen := map[any]string{}
	c := new(Config)
	for _, s := range Settings() {
		for _, name := range []any{s.Key, s.Env(), s.field(c)} {
			if other, ok := seen[name]; ok {
				t.Errorf("%s and %s share %v", s.Key, other, name)
			}
			seen[name] = s.Key
		}
		if s.Help == "" || s.Group == "" || s.Kind == "" {
			t.Errorf("%s: help, group or kind is missing", s.Key)
		}
		if s.Default == "" && s.Example == "" && !s.Secret {
			t.Errorf("%s: neither default nor example", s.Key)
		}
		if s.Default != "" {
			if _, err := parse(s.field(c), s.Default); err != nil || format(s.field(c)) != s.Default {
				t.Errorf("%s: default %q reads as %q, %v", s.Key, s.Default, format(s.field(c)), err)
			}
		}
	}
	if got, want := countFields(reflect.TypeOf(*c)), len(Settings()); got != want {
		t.Errorf("Config has %d fields and the list %d rows", got, want)
	}
}

func countFields(t reflect.Type) (n int) {
	for i := range t.NumField() {
		switch f := t.Field(i); {
		case !f.IsExported():
		case f.Type.Kind() == reflect.Struct && f.Type.Name() == "":
			n += countFields(f.Type)
		default:
			n++
		}
	}
	return n
}

func TestLayers(t *testing.T) {
	file := write(t, "alys.toml", `data-dir = "from-file"
not-validator = true
snapshot = { keep = 7 }

[engine]
cache = "128MiB"
http-addr = "127.0.0.1:8545"
`)
	c, err := Load(Sources{
		File:    file,
		Environ: []string{"ALYS_ENGINE_CACHE=256MiB", "ALYS_LOG_LEVEL=WARN", "ALYS_ENGINE_HTTP_ADDR="},
		Flags:   map[string]string{"log.level": "debug", "not-validator": "false"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ key, value, origin string }{
		{"data-dir", "from-file", "file " + file + ":1"},
		{"not-validator", "false", "flag --not-validator"},
		{"snapshot.keep", "7", "file " + file + ":3"},
		{"engine.cache", "256MiB", "env ALYS_ENGINE_CACHE"},
		{"engine.http-addr", "", "env ALYS_ENGINE_HTTP_ADDR"},
		{"log.level", "debug", "flag --log.level"},
		{"log.format", "auto", "default"},
	} {
		for _, s := range Settings() {
			if s.Key == want.key {
				if value := format(s.field(c)); value != want.value || c.Origin(s.Key).String() != want.origin {
					t.Errorf("%s = %q from %s, want %q from %s", s.Key, value, c.Origin(s.Key), want.value, want.origin)
				}
			}
		}
	}
}

func TestRefused(t *testing.T) {
	tests := []struct {
		name, file string
		env        []string
		flags      map[string]string
		want       []string // parts of the error; FILE stands for the path
	}{
		{name: "unknown key", file: "\n[engine]\ncahce = \"1GiB\"", want: []string{"file FILE:3: there is no setting engine.cahce, did you mean engine.cache?"}},
		{name: "unknown table", file: "[enigne]\n", want: []string{"file FILE:1: there is no setting enigne"}},
		{name: "table forgotten", file: "max-pending = \"8MiB\"", want: []string{"did you mean journal.max-pending?"}},
		{name: "quoted dot", file: "\"engine.cache\" = \"64MiB\"", want: []string{"there is no setting"}},
		{name: "two unknown keys in order", file: "b = 1\na = 2", want: []string{"FILE:1: there is no setting b\n", "FILE:2: there is no setting a"}},
		{name: "array of tables", file: "[[engine]]\ncache=\"64MiB\"", want: []string{"there is no setting engine"}},
		{name: "not TOML", file: "dev = true\nx = = 1", want: []string{"file FILE:2: not TOML"}},
		{name: "key twice", file: "dev = true\ndev = false", want: []string{"FILE:2: not TOML"}},
		{name: "bool in quotes", file: "dev = \"true\"", want: []string{`dev = "true" (file FILE:1): allowed is true or false without quotes`}},
		{name: "number for a size", file: "engine.cache = 64", want: []string{`engine.cache = "64" (file FILE:1): allowed is a size with its unit`}},
		{name: "number for a path", file: "data-dir = 1", want: []string{"a string in quotes"}},
		{name: "float", file: "snapshot.keep = 1.5", want: []string{"snapshot.keep", "a whole number"}},
		{name: "list", file: "chain-spec = [\"a\"]", want: []string{"chain-spec", "a string"}},
		{name: "too small", env: []string{"ALYS_ENGINE_CACHE=1MiB"}, want: []string{`engine.cache = "1MiB" (env ALYS_ENGINE_CACHE): allowed is 32MiB to 64GiB`}},
		{name: "unknown variable", env: []string{"ALYS_DATADIR=x"}, want: []string{"variable ALYS_DATADIR, did you mean ALYS_DATA_DIR?"}},
		{name: "unknown flag", flags: map[string]string{"data-dri": "x"}, want: []string{"flag --data-dri, did you mean data-dir?"}},
		{name: "not loopback", flags: map[string]string{"engine.http-addr": "0.0.0.0:8545"}, want: []string{"(flag --engine.http-addr)", "loopback"}},
		{name: "no port", flags: map[string]string{"metrics.addr": "localhost"}, want: []string{"metrics.addr", "host and port"}},
		{name: "port too large", flags: map[string]string{"metrics.addr": "localhost:65536"}, want: []string{"metrics.addr"}},
		{name: "empty data dir", env: []string{"ALYS_DATA_DIR="}, want: []string{"data-dir"}},
		{name: "empty number", env: []string{"ALYS_SNAPSHOT_KEEP="}, want: []string{"snapshot.keep", "a whole number"}},
		{name: "huge number", env: []string{"ALYS_SNAPSHOT_EVERY_TURNS=18446744073709551615"}, want: []string{"snapshot.every-turns"}},
		{name: "fraction of a ms", env: []string{"ALYS_PRODUCTION_BUILD_WAIT=1500us"}, want: []string{"whole milliseconds"}},
		{name: "bad level", env: []string{"ALYS_LOG_LEVEL=loud"}, want: []string{"debug, info, warn or error"}},
		{name: "wrong checksum", env: []string{"ALYS_MINER_FEE_RECIPIENT=0xF39fd6e51aad88f6f4ce6ab8827279cfffb92266"}, want: []string{"miner.fee-recipient"}},
		{name: "control character", env: []string{"ALYS_CHAIN_SPEC=a\nb"}, want: []string{`"a\u000Ab"`}},
		{name: "not UTF-8", env: []string{"ALYS_CHAIN_SPEC=\xff"}, want: []string{"chain-spec", "UTF-8"}},
		{name: "key and file", env: []string{"ALYS_AUTHORITY_KEY=" + key1, "ALYS_AUTHORITY_KEY_FILE=k"}, want: []string{"both set"}},
		{name: "dev and spec", env: []string{"ALYS_DEV=1", "ALYS_CHAIN_SPEC=x"}, want: []string{"dev (env ALYS_DEV) brings its own chain"}},
		{name: "all at once", file: "x = 1\nsnapshot.keep = 0", env: []string{"ALYS_Y=1"}, want: []string{"ALYS_Y", "setting x", "snapshot.keep"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := Sources{Environ: tt.env, Flags: tt.flags}
			if tt.file != "" {
				s.File = write(t, "alys.toml", tt.file)
			}
			c, err := Load(s)
			if err == nil {
				t.Fatalf("accepted: %+v", c)
			}
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("grade %s", fault.Of(err))
			}
			for _, want := range tt.want {
				if want = strings.ReplaceAll(want, "FILE", s.File); !strings.Contains(err.Error(), want) {
					t.Errorf("error lacks %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestFileRefused(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "absent.toml"), t.TempDir(), write(t, "big.toml", strings.Repeat("#", maxFile+1))} {
		_, err := Load(Sources{Environ: []string{"ALYS_CONFIG=" + path}})
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "named by ALYS_CONFIG") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestSecrets(t *testing.T) {
	for _, text := range []string{strings.Repeat("f", 64), "7b", key1 + "00", strings.Repeat("0", 64)} {
		if _, err := Load(Sources{Environ: []string{"ALYS_AUTHORITY_KEY=" + text}}); err == nil || strings.Contains(err.Error(), text) {
			t.Errorf("key %s: %v", text, err)
		}
		c, err := Load(Sources{Flags: map[string]string{"authority-key-file": write(t, "key", text)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Authority(); err == nil || strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "key") {
			t.Errorf("key file %s: %v", text, err)
		}
	}
	byEnv, err := Load(Sources{Environ: []string{"ALYS_AUTHORITY_KEY=0x" + key1}})
	if err != nil {
		t.Fatal(err)
	}
	byFile, err := Load(Sources{Flags: map[string]string{"authority-key-file": write(t, "key", key1+"\n")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []*Config{byEnv, byFile} {
		key, err := c.Authority()
		if err != nil || key == nil || key.PublicKey() != aura.DevKey(1).PublicKey() {
			t.Errorf("authority key: %v, %v", key, err)
		}
		var toml, asJSON bytes.Buffer
		if err := errorsOf(c.Show(&toml, false), c.Show(&asJSON, true)); err != nil {
			t.Fatal(err)
		}
		marshalled, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{toml.String(), asJSON.String(), fmt.Sprintf("%v %+v %#v %s %x", *c, *c, c, c.AuthorityKey, c.AuthorityKey), string(marshalled)} {
			if strings.Contains(text, key1) || strings.Contains(text, fmt.Sprintf("%x", key1)) {
				t.Errorf("shows the key: %s", text)
			}
		}
	}
	none, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	if key, err := none.Authority(); key != nil || err != nil {
		t.Errorf("no key: %v, %v", key, err)
	}
}

func errorsOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestSample(t *testing.T) {
	var want bytes.Buffer
	if err := Sample(&want); err != nil {
		t.Fatal(err)
	}
	const path = "../../docs/alys.sample.toml"
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("%s differs from the list of settings, run make generate (-list +file):\n%s", path, diff)
	}
	// With every line switched on, the file gives the defaults.
	var on strings.Builder
	for line := range strings.Lines(want.String()) {
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# ") {
			line = line[1:]
		}
		on.WriteString(line)
	}
	c, err := Load(Sources{File: write(t, "alys.toml", on.String())})
	if err != nil {
		t.Fatal(err)
	}
	defaults, _ := Load(Sources{})
	if got, want := values(c), values(defaults); got != want {
		t.Errorf("sample gives\n%s\nwant\n%s", got, want)
	}
	for _, s := range Settings() {
		if c.Origin(s.Key).Layer != "file" {
			t.Errorf("%s is not in the sample", s.Key)
		}
	}
}

// values is Show without origins.
func values(c *Config) string {
	var b strings.Builder
	for _, s := range Settings() {
		fmt.Fprintf(&b, "%s = %q\n", s.Key, format(s.field(c)))
	}
	return b.String()
}

func TestFlags(t *testing.T) {
	t.Setenv("ALYS_LOG_LEVEL", "warn")
	run := func(args ...string) (c *Config, help string, err error) {
		var out bytes.Buffer
		app := &cli.App{
			Name: "alys", Writer: &out, ErrWriter: io.Discard, ExitErrHandler: func(*cli.Context, error) {},
			Commands: []*cli.Command{{
				Name: "node", Flags: Flags(),
				Action: func(cc *cli.Context) error {
					c, err = FromContext(cc, []string{"ALYS_LOG_LEVEL=warn"})
					return err
				},
			}},
		}
		err = app.Run(append([]string{"alys", "node"}, args...))
		return c, out.String(), err
	}
	c, _, err := run("--dev", "--not-validator=false", "--engine.cache", "1GiB")
	if err != nil {
		t.Fatal(err)
	}
	if !c.Dev || c.NotValidator || c.Engine.Cache != GiB || c.Log.Level != slog.LevelWarn {
		t.Errorf("%+v", c)
	}
	for key, want := range map[string]string{
		"dev": "flag --dev", "not-validator": "flag --not-validator", "engine.cache": "flag --engine.cache",
		"log.level": "env ALYS_LOG_LEVEL", "miner.dev": "default",
	} {
		if got := c.Origin(key).String(); got != want {
			t.Errorf("%s: origin %s, want %s", key, got, want)
		}
	}
	if c, _, err = run("--config", write(t, "a.toml", "snapshot.keep = 3")); err != nil || c.Snapshot.Keep != 3 {
		t.Errorf("--config: %v, %v", c, err)
	}
	_, help, err := run("--help")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Settings() {
		if shown := strings.Contains(help, s.Help) && strings.Contains(help, s.Env()); shown == s.Secret {
			t.Errorf("%s: in --help %v", s.Key, shown)
		}
	}
	if got := len(Flags(Data, Log)); got != 7 {
		t.Errorf("%d flags for data and log, want 7", got)
	}
}

// The variables of the legacy program are taken, and ours win over them.
func TestLegacyVariables(t *testing.T) {
	legacy := []string{"BITCOIN_RPC_URL=http://10.0.0.1:8332", "BITCOIN_RPC_USER=old", "BITCOIN_RPC_PASS=secret"}
	c, err := Load(Sources{Environ: legacy})
	if err != nil || c.Bitcoin.RPCURL != "http://10.0.0.1:8332" || c.Bitcoin.RPCUser != "old" || c.Bitcoin.RPCPassword != "secret" {
		t.Fatalf("%+v %v", c, err)
	}
	if from := c.Origin("bitcoin-rpc-url").String(); from != "env BITCOIN_RPC_URL" {
		t.Errorf("the address is from %s", from)
	}
	c, err = Load(Sources{Environ: append([]string{"ALYS_BITCOIN_RPC_USER=new"}, legacy...)})
	if err != nil || c.Bitcoin.RPCUser != "new" || c.Bitcoin.RPCURL != "http://10.0.0.1:8332" {
		t.Fatalf("%+v %v", c, err)
	}
	for _, wrong := range [][]string{
		{"BITCOIN_RPC_URL=http://user:secret@10.0.0.1"},
		{"ALYS_BITCOIN_RPC_COOKIE=.cookie", "BITCOIN_RPC_URL=http://10.0.0.1", "BITCOIN_RPC_PASS=secret"},
		{"ALYS_BITCOIN_RPC_CERT=rpc.cert"},
		{"ALYS_BITCOIN_FEE_RATE_MIN=3000"},
		{"ALYS_BITCOIN_FEE_RATE_MAX=1000000001"},
	} {
		if _, err := Load(Sources{Environ: wrong}); err == nil || strings.Contains(err.Error(), "secret\"") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
