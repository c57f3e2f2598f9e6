//go:build e2e

package rpc_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/syndtr/goleveldb/leveldb"

	"github.com/AnduroProject/alys-go/internal/protocol/auxpow"
)

// process is the real program.
type process struct {
	t    *testing.T
	dir  string
	addr string
	args []string
	cmd  *exec.Cmd
}

func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv("E2E_PROGRAM")
	if path == "" {
		t.Fatal("E2E_PROGRAM names no program: run make e2e-miner")
	}
	return path
}

// newProcess prepares a node on a port of its own.
func newProcess(t *testing.T, dir string, args ...string) *process {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, dir: dir, addr: addr}
	p.args = append([]string{"node", "--data-dir", dir, "--rpc.addr", addr, "--metrics.addr", "", "--rpc.rate", "100000"}, args...)
	t.Cleanup(func() { p.stop(syscall.SIGKILL) })
	return p
}

// start runs the program and waits until it answers.
func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command(program(p.t), p.args...)
	p.cmd.Env = append(os.Environ(), fmt.Sprintf("ALYS_AUTHORITY_KEY=%064x", 1), fmt.Sprintf("ALYS_FEDERATION_KEY=%064x", 1))
	log, err := os.OpenFile(p.dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	p.cmd.Stderr = log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.wait("the node answers", func() bool {
		c, err := net.DialTimeout("tcp", p.addr, time.Second)
		if err != nil {
			return false
		}
		_ = c.Close()
		status, _, _ := post(p.t, p.addr, "POST", "/", `{"id":1,"method":"getheadblock","params":[]}`)
		return status == 200
	})
}

func (p *process) stop(how syscall.Signal) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(how)
	_ = p.cmd.Wait()
	p.cmd = nil
}

// wait polls until something is so.
func (p *process) wait(what string, so func() bool) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if so() {
			return
		}
	}
	text, _ := os.ReadFile(p.dir + ".log")
	p.t.Fatalf("waited a minute until %s; the log ends\n%s", what, text[max(len(text)-3000, 0):])
}

// work asks until there is work, as miners' software does.
func (p *process) work(recipient string) (w template) {
	p.t.Helper()
	p.wait("there is work", func() bool {
		status, _, body := post(p.t, p.addr, "POST", "/", fmt.Sprintf(`{"id":1,"method":"createauxblock","params":[%q]}`, recipient))
		if status == 503 {
			return false
		}
		var r struct {
			Result struct {
				Hash    string
				ChainID uint32
				Bits    string
			}
		}
		if err := json.Unmarshal([]byte(body), &r); err != nil || status != 200 {
			p.t.Fatalf("createauxblock: %d %s", status, body)
		}
		w = templateOf(p.t, r.Result.Hash, r.Result.ChainID, r.Result.Bits)
		return true
	})
	return w
}

// submit hands a proof in by legacy's method; the code is 0 when it is queued.
func (p *process) submit(w template, proof *auxpow.AuxPow) (code int, message string) {
	p.t.Helper()
	_, _, body := post(p.t, p.addr, "POST", "/", fmt.Sprintf(`{"id":1,"method":"submitauxblock","params":["%x","%x"]}`, w.hash, proof.Namecoin()))
	if body == `{"result":null,"error":null,"id":1}` {
		return 0, ""
	}
	return errorOf(p.t, body)
}

type summary struct {
	Height  uint64
	Hash    string
	Carrier *struct{ RangeStart, RangeEnd, FeeRecipient string }
}

func (p *process) block(method, params string) (s summary) {
	p.t.Helper()
	r := ask(p.t, p.addr, method, params)
	if r.Error != nil {
		p.t.Fatal(r.Error.Message)
	}
	if err := json.Unmarshal(r.Result, &s); err != nil {
		p.t.Fatal(err)
	}
	return s
}

// finalizedAbove waits until a block above a height is final, and returns the carrier
// that made it so.
func (p *process) finalizedAbove(height uint64) (final, carrier summary) {
	p.t.Helper()
	p.wait(fmt.Sprintf("a block above %d is final", height), func() bool {
		final = p.block("chain_finalized", "[]")
		return final.Height > height
	})
	for at := final.Height; ; at++ {
		if s := p.block("chain_blockByHeight", fmt.Sprintf("[%d]", at)); s.Carrier != nil && s.Carrier.RangeEnd == final.Hash {
			return final, s
		}
	}
}

// TestEndToEndMiner mines beside a producing node through its port alone: wrong work of
// each kind, stale and duplicate work, kills between all steps, finality.
func TestEndToEndMiner(t *testing.T) {
	chain, err := filepath.Abs(filepath.Join(legacyData, "chains", "single"))
	if err != nil {
		t.Fatal(err)
	}
	p := newProcess(t, filepath.Join(t.TempDir(), "node"), "--chain-spec", filepath.Join(chain, "chain.json"), "--genesis", filepath.Join(chain, "genesis.json"))
	p.start()
	const alice, bob = "0x00000000000000000000000000000000000a11ce", "0x0000000000000000000000000000000000000b0b"
	w := p.work(alice)
	if s := p.block("chain_finalized", "[]"); s.Height != 0 {
		t.Fatalf("finalised %+v", s)
	}
	for check, spoil := range wrong {
		block := newPoolBlock(9)
		spoil(block, w)
		if code, message := p.submit(w, block.seal(w)); code > -31100 || !strings.HasPrefix(message, string(check)+": ") {
			t.Errorf("%s: %d %s", check, code, message)
		}
	}
	if code, message := p.submit(w, newPoolBlock(1).seal(w)); code != 0 {
		t.Fatalf("a true proof after the wrong ones: %d %s", code, message)
	}
	if code, message := p.submit(w, newPoolBlock(2).seal(w)); code == 0 {
		t.Error("a second proof over the same range is taken")
	} else if !strings.HasPrefix(message, "duplicate-work: ") && !strings.HasPrefix(message, "stale-work: ") {
		t.Errorf("a second proof: %d %s", code, message)
	}
	first, carrier := p.finalizedAbove(0)
	if carrier.Carrier.FeeRecipient != alice {
		t.Errorf("carrier %+v", carrier.Carrier)
	}
	if code, message := p.submit(w, newPoolBlock(3).seal(w)); !strings.HasPrefix(message, "stale-work: ") {
		t.Errorf("work over final blocks: %d %s", code, message)
	}

	// A kill between create and submit: the work is known, and whose it is.
	next := p.work(bob)
	p.stop(syscall.SIGKILL)
	p.start()
	if code, message := p.submit(w, newPoolBlock(4).seal(w)); !strings.HasPrefix(message, "stale-work: ") {
		t.Errorf("stale work after a restart: %d %s", code, message)
	}
	if code, message := p.submit(next, newPoolBlock(5).seal(next)); code != 0 {
		t.Fatalf("work of before the kill: %d %s", code, message)
	}
	// A kill right after the answer: what was accepted is carried.
	p.stop(syscall.SIGKILL)
	p.start()
	second, carrier := p.finalizedAbove(first.Height)
	if carrier.Carrier.FeeRecipient != bob {
		t.Errorf("carrier after the kills %+v", carrier.Carrier)
	}
	// And a clean stop.
	third := p.work(alice)
	p.stop(syscall.SIGTERM)
	p.start()
	r := ask(t, p.addr, "mining_submitAuxBlock", fmt.Sprintf(`["%x","%x",%q]`, third.hash, newPoolBlock(6).seal(third).Namecoin(), bob))
	if r.Error != nil {
		t.Fatal(r.Error.Message)
	}
	if _, carrier = p.finalizedAbove(second.Height); carrier.Carrier.FeeRecipient != bob {
		t.Errorf("carrier with a named recipient %+v", carrier.Carrier)
	}
	p.turnsOfMiner()
	p.stop(syscall.SIGTERM)
	if out, err := exec.Command(program(t), "replay", "--data-dir", p.dir).CombinedOutput(); err != nil {
		t.Errorf("replay: %v\n%s", err, out)
	}
}

// turnsOfMiner wants wrong proofs to have left no trace in the journal: every
// submission there was passed on to the chain actor.
func (p *process) turnsOfMiner() {
	p.t.Helper()
	var page struct {
		Events []struct {
			Outputs []struct{ Type string }
		}
	}
	r := ask(p.t, p.addr, "journal_find", `{"actor":"miner","type":"submit_aux_block","limit":100}`)
	if r.Error != nil {
		p.t.Fatal(r.Error.Message)
	}
	if err := json.Unmarshal(r.Result, &page); err != nil {
		p.t.Fatal(err)
	}
	if len(page.Events) != 3 {
		p.t.Errorf("%d submissions became turns, 3 were true", len(page.Events))
	}
	for _, e := range page.Events {
		if len(e.Outputs) != 1 || e.Outputs[0].Type != "queue_work" {
			p.t.Errorf("a submission was refused by its turn: %+v", e)
		}
	}
}

// TestEndToEndLegacyRPC repeats the recorded exchanges against the real program on the
// same chain, cut at the block that was its head while they were recorded.
func TestEndToEndLegacyRPC(t *testing.T) {
	from := t.TempDir()
	if err := os.CopyFS(from, os.DirFS(filepath.Join(legacyData, "chains", "single"))); err != nil {
		t.Fatal(err)
	}
	cutStore(t, filepath.Join(from, "chain_db"))
	dir := filepath.Join(t.TempDir(), "node")
	if out, err := exec.Command(program(t), "migrate", "import", "--from", from, "--data-dir", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p := newProcess(t, dir, "--not-validator")
	p.start()
	repeatRecorded(t, p.addr)
}

// cutStore makes the recorded head the head of a copy of the store. (C19)
func cutStore(t *testing.T, dir string) {
	t.Helper()
	db, err := leveldb.OpenFile(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for key, height := range map[byte]uint64{5: recordedHead, 6: recordedPow} {
		root, err := db.Get(binary.BigEndian.AppendUint64([]byte("bbh"), height), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Put([]byte("chi"+strings.Repeat(string(rune(key)), 32)), binary.LittleEndian.AppendUint64(root, height), nil); err != nil {
			t.Fatal(err)
		}
	}
}
