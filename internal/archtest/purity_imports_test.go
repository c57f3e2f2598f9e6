package archtest

import "strings"

// pureImports are the packages outside this module that a deterministic
// package may import: same arguments, same results, no state but their
// arguments, apart from the names of impureNames.
var pureImports = set(`
	bytes cmp container/heap container/list crypto crypto/hmac crypto/sha256 crypto/sha512 crypto/subtle
	encoding encoding/base64 encoding/binary encoding/hex encoding/json errors fmt hash hash/crc32 io iter
	maps math math/big math/bits slices sort strconv strings unicode unicode/utf8

	github.com/btcsuite/btcd/blockchain
	github.com/btcsuite/btcd/btcec/v2
	github.com/btcsuite/btcd/btcec/v2/ecdsa
	github.com/btcsuite/btcd/btcec/v2/schnorr
	github.com/btcsuite/btcd/btcutil
	github.com/btcsuite/btcd/btcutil/base58
	github.com/btcsuite/btcd/btcutil/bech32
	github.com/btcsuite/btcd/chaincfg
	github.com/btcsuite/btcd/chaincfg/chainhash
	github.com/btcsuite/btcd/txscript
	github.com/btcsuite/btcd/wire
	github.com/ethereum/go-ethereum/common
	github.com/ethereum/go-ethereum/common/hexutil
	github.com/ethereum/go-ethereum/core/types
	github.com/ethereum/go-ethereum/crypto
	github.com/ethereum/go-ethereum/rlp
	github.com/ethereum/go-ethereum/trie
	github.com/golang/snappy
	github.com/holiman/uint256
	github.com/supranational/blst/bindings/go
	github.com/tidwall/btree
	google.golang.org/protobuf/encoding/protowire
`)

// importExceptions are packages off the list that one directory of
// internal/protocol may import, and why. A core has none.
var importExceptions = []struct{ dir, path, why string }{
	{"internal/protocol/auxpow", "time", "btcd's wire.BlockHeader holds its timestamp as a time.Time, made from the header's four bytes by time.Unix"},
	{"internal/protocol/msgpack", "time", "btcd's wire.BlockHeader holds its timestamp as a time.Time, made from the header's four bytes by time.Unix"},
}

// impureNames are names of otherwise deterministic packages that read the
// clock, randomness or the environment, write somewhere, or change the state
// of their package.
var impureNames = join(
	names("reads the clock or waits for it", `
		time.Now time.Since time.Until time.Sleep time.After time.AfterFunc time.Tick time.NewTimer time.NewTicker
		github.com/btcsuite/btcd/wire.NewBlockHeader
		github.com/btcsuite/btcd/wire.NewNetAddressIPPort
		github.com/btcsuite/btcd/wire.NewNetAddress
		github.com/btcsuite/btcd/blockchain.NewMedianTime
		github.com/btcsuite/btcd/blockchain.CheckBlockSanity
		github.com/ethereum/go-ethereum/core/types.Transaction.Time
		github.com/ethereum/go-ethereum/core/types.Transaction.SetTime
		github.com/ethereum/go-ethereum/common.PrettyAge`),
	names("depends on the machine's time zone", `
		time.Local time.LoadLocation time.LoadLocationFromTZData time.Date time.ParseInLocation time.Time.Local
		time.Time.String time.Time.Format time.Time.GoString time.Time.Date time.Time.Clock time.Time.Year time.Time.Hour`),
	names("reads randomness", `
		github.com/btcsuite/btcd/btcec/v2.NewPrivateKey
		github.com/btcsuite/btcd/wire.RandomUint64
		github.com/ethereum/go-ethereum/crypto.GenerateKey
		math/big.Int.Rand`),
	names("writes to or reads from the process's standard streams", `
		fmt.Print fmt.Printf fmt.Println fmt.Scan fmt.Scanf fmt.Scanln`),
	names("touches the file system", `
		github.com/ethereum/go-ethereum/common.FileExist
		github.com/ethereum/go-ethereum/common.AbsolutePath
		github.com/ethereum/go-ethereum/crypto.LoadECDSA
		github.com/ethereum/go-ethereum/crypto.SaveECDSA
		github.com/btcsuite/btcd/btcutil.AppDataDir`),
	names("changes the state of its package", `
		github.com/btcsuite/btcd/chaincfg.Register
		github.com/btcsuite/btcd/chaincfg.RegisterHDKeyID
		github.com/btcsuite/btcd/txscript.UseLogger
		github.com/btcsuite/btcd/blockchain.UseLogger
		github.com/supranational/blst/bindings/go.SetMaxProcs`),
	names("computes in floating point", `
		math/big.Float math/big.NewFloat math/big.ParseFloat`),
)

// mapIterators are functions that show the order of a map.
var mapIterators = join(
	names("give it straight to slices.Sorted, or to slices.SortedFunc with a total order", "maps.Keys"),
	names("give it straight to slices.Sorted", "maps.Values"),
	names("range over slices.Sorted(maps.Keys(m)) and look the values up", "maps.All"),
	names("calls a function in the map's order", "maps.DeleteFunc maps.EqualFunc"),
)

// set is the set of a text's words.
func set(words string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(words) {
		out[w] = true
	}
	return out
}

// names gives each word of a text the same reason.
func names(why, words string) map[string]string {
	out := map[string]string{}
	for _, w := range strings.Fields(words) {
		out[w] = why
	}
	return out
}

func join(parts ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, p := range parts {
		for name, why := range p {
			out[name] = why
		}
	}
	return out
}
