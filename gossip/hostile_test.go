package gossip

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

// knock starts a sidecar that wants to join another.
func knock(t *testing.T, o Options, to *node) {
	t.Helper()
	o.Join = []string{to.Address().String()}
	run(t, o, nil)
}

func TestWhoHasAnotherKeyOrNoneOrAnotherLabelStaysOutside(t *testing.T) {
	tests := map[string]struct {
		key    []byte
		label  string
		reason Reason
	}{
		"another key":   {key(2), "test", Undecryptable},
		"plaintext":     {nil, "test", Undecryptable},
		"another label": {key(1), "other", ForeignLabel},
		"no label":      {key(1), "", ForeignLabel},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inside := options("inside")
			inside.Keys = [][]byte{key(1)}
			a := run(t, inside, nil)
			outside := options("outside")
			outside.Label = test.label
			if test.key != nil {
				outside.Keys = [][]byte{test.key}
			}
			knock(t, outside, a)
			eventually(t, "it is counted", func() bool { return a.Rejected()[test.reason] > 0 })
			if peers := a.Peers(); len(peers) != 0 {
				t.Errorf("it got in: %+v", peers)
			}
		})
	}
}

func TestKeysAreRotatedWithoutLosingAnybody(t *testing.T) {
	oldKey, newKey := key(1), key(2)
	var nodes []*node
	for _, name := range []string{"a", "b", "c"} {
		o := options(name)
		o.Keys = [][]byte{oldKey}
		if len(nodes) > 0 {
			o.Join = []string{nodes[0].Address().String()}
		}
		nodes = append(nodes, run(t, o, nil))
	}
	acquainted(t, nodes...)
	for i, keys := range [][][]byte{{oldKey, newKey}, {newKey, oldKey}, {newKey}} {
		for j, n := range nodes { // half-way through each step they still understand each other
			if err := n.SetKeys(keys); err != nil {
				t.Fatal(err)
			}
			claim := fmt.Sprintf("step %d.%d", i, j)
			publish(t, n, claim, Down)
			for _, other := range nodes {
				eventually(t, claim+" is heard", func() bool { return other == n || other.hears(claim, Down) })
			}
		}
	}
	for _, n := range nodes {
		if r := n.Rejected(); len(r) != 0 {
			t.Errorf("%s rejected %v", n.options.Name, r)
		}
	}
}

func TestKeysThatWouldEndEncryptionAreRefused(t *testing.T) {
	o := options("a")
	o.Keys = [][]byte{key(1)}
	encrypted, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := New(options("b"))
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"none":                  encrypted.SetKeys(nil),
		"a short one":           encrypted.SetKeys([][]byte{key(2), make([]byte, 8)}),
		"one where it is plain": plain.SetKeys([][]byte{key(1)}),
	} {
		if err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	if held := encrypted.keys.GetKeys(); len(held) != 1 || !bytes.Equal(held[0], key(1)) {
		t.Errorf("the keys are %x now", held)
	}
}

func TestReplacingKeysLeavesExactlyThoseInOrderOfUse(t *testing.T) {
	ringOf := func(t *rapid.T, name string) [][]byte {
		var keys [][]byte
		for _, b := range rapid.SliceOfNDistinct(rapid.ByteRange(1, 6), 1, 5, rapid.ID).Draw(t, name) {
			keys = append(keys, key(b))
		}
		return keys
	}
	rapid.Check(t, func(t *rapid.T) {
		before, after := ringOf(t, "before"), ringOf(t, "after")
		ring, err := newKeyring(before)
		if err != nil {
			t.Fatal(err)
		}
		if err := replaceKeys(ring, after); err != nil {
			t.Fatal(err)
		}
		got := ring.GetKeys()
		if len(got) != len(after) || !bytes.Equal(got[0], after[0]) {
			t.Fatalf("got %x; want %x, the first first", got, after)
		}
		for _, k := range after {
			if ring.UseKey(k) != nil {
				t.Fatalf("%x is missing", k[:1])
			}
		}
	})
}

func TestKeysAreReplacedWhileTheyAreRead(t *testing.T) {
	ring, err := newKeyring([][]byte{key(1), key(2), key(3)})
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() { // as memberlist does for each packet; the race detector watches
		sum := 0
		for range 200000 {
			for _, k := range ring.GetKeys() {
				sum += int(k[0])
			}
		}
		t.Log("the sum of all first bytes is", sum) // else nothing would be read at all
		close(read)
	}()
	all := [][]byte{key(1), key(2), key(3)}
	for {
		// What goes is in the middle, then in the middle again, then in front.
		for _, keys := range [][][]byte{all, {key(1), key(3)}, all, {key(1), key(2)}, {key(2)}} {
			if err := replaceKeys(ring, keys); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-read:
			return
		default:
		}
	}
}

// raw sends a message from one sidecar to another as a member may.
func raw(t *testing.T, from, to *node, message []byte) {
	t.Helper()
	for _, n := range from.list.Members() {
		if n.Name != to.ID() {
			continue
		}
		send := from.list.SendBestEffort
		if len(message) > packetSize {
			send = from.list.SendReliable
		}
		if err := send(n, message); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatAMemberSendsAmissIsCountedAndChangesNothing(t *testing.T) {
	nodes := mesh(t, newNetwork(), "a", "b")
	a, b := nodes[0], nodes[1]
	publish(t, b, "k", Down)
	eventually(t, "the claim is heard", func() bool { return a.hears("k", Down) })
	good := encodeClaims([]Claim{{Observer: b.Observer(), Seq: 9, Key: "x", State: Down}})
	messages := map[Reason][]byte{
		Malformed:       good[:len(good)-1],
		UnknownVersion:  {7, typeClaims},
		UnknownType:     {wireVersion, 99},
		UnknownObserver: encodeClaims([]Claim{{Observer: 12345, Seq: 1, Key: "x", State: Down}}),
		Expired:         encodeClaims([]Claim{{Observer: b.Observer(), Seq: 9, Key: "x", State: Down, Age: TTL}}),
		Ahead:           encodeClaims([]Claim{{Observer: b.Observer(), Seq: 1 << 40, Key: "x", State: Down}}),
		Oversized:       encodeClaims(make5000()),
	}
	for reason, message := range messages {
		raw(t, b, a, message)
		eventually(t, string(reason)+" is counted", func() bool { return a.Rejected()[reason] > 0 })
	}
	if claims := a.Claims(); len(claims) != 1 || claims[0].Key != "k" {
		t.Errorf("a holds %+v; want the claim of before alone", claims)
	}
}

func TestAFloodByOneMemberLeavesTheOthersClaims(t *testing.T) {
	nodes := mesh(t, newNetwork(), "a", "b", "c")
	a, b, c := nodes[0], nodes[1], nodes[2]
	publish(t, c, "of c", Down)
	eventually(t, "the claim of c is heard", func() bool { return a.hears("of c", Down) })
	for i := range 5 * maxPerObserver {
		publish(t, b, fmt.Sprintf("flood %04d", i), Down)
	}
	last := fmt.Sprintf("flood %04d", 5*maxPerObserver-1)
	eventually(t, "the last of the flood is heard", func() bool { return a.hears(last, Down) })
	eventually(t, "no more is held than one may claim", func() bool { return a.heard() <= maxPerObserver+1 })
	if !a.hears("of c", Down) {
		t.Error("the claim of c is gone")
	}
}

func TestWhoseNameIsUsedByAnotherGoesOnUnderANewOne(t *testing.T) {
	nodes := mesh(t, newNetwork(), "a", "b", "c")
	a, b, c := nodes[0], nodes[1], nodes[2]
	publish(t, a, "k", Down)
	eventually(t, "the claim is heard", func() bool { return c.hears("k", Down) })
	before := a.Observer()
	forgery := encodeClaims([]Claim{{Observer: before, Seq: 500, Key: "forged", State: Down}})
	raw(t, b, c, forgery)
	eventually(t, "a hears of it by c, and changes its name", func() bool { return a.Observer() != before })
	eventually(t, "c follows and drops what is forged", func() bool {
		_, renamed := c.holds(register{a.Observer(), "k"})
		return renamed && !c.hears("forged", Down) && c.heard() == 1
	})
	if a.Rejected()[Forged] == 0 {
		t.Error("it was not counted")
	}
}

func TestMemberlistsOwnWordsAreUnderstood(t *testing.T) {
	for line, want := range map[string]Reason{
		"2026/01/02 03:04:05 [ERR] memberlist: Decrypt packet failed: no installed keys could decrypt the message from=127.0.0.1:1\n": Undecryptable,
		"[ERR] memberlist: discarding packet with unacceptable label \"x\": from=127.0.0.1:1\n":                                       ForeignLabel,
		"[WARN] memberlist: handler queue full, dropping message (8) from=127.0.0.1:1\n":                                              Overload,
		"[INFO] memberlist: Suspect b has failed, no acks received\n":                                                                 "",
	} {
		j := newJournal(options("a").Log)
		if n, err := j.Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
		want := map[Reason]uint64{want: 1}
		delete(want, "")
		if got := j.rejected(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: counted %v; want %v", line, got, want)
		}
	}
}
