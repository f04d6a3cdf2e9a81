package config

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// Keys of 32 and 16 bytes.
const (
	someKey  = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	otherKey = "_-7dzLuqmYh3ZlVEMyIRAA"
)

func someBytes() []byte {
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(i)
	}
	return key
}

func TestWithoutAGossipSectionThereAreNoPeers(t *testing.T) {
	for _, env := range [][]string{nil, {secretVariable + "="}, {secretVariable + "= \n"}} {
		c, err := loadText(clusterOne(""), env...)
		if c = valid(t, c, err); c.Gossip != nil {
			t.Errorf("%q: %+v", env, c.Gossip)
		}
	}
}

func TestAGossipSectionIsCompletedByTheDefaults(t *testing.T) {
	anywhere := netip.MustParseAddrPort("0.0.0.0:6191")
	loopback := netip.MustParseAddrPort("127.0.0.1:6191")
	for _, row := range []struct {
		yaml string
		env  []string
		want Gossip
	}{
		{"gossip: { insecure: true }\n", nil, Gossip{Listen: anywhere, Insecure: true}},
		{"gossip: {}\n", []string{secretVariable + "=" + someKey}, Gossip{Listen: anywhere, Keys: Secret{someBytes()}}},
		{"gossip:\n", []string{secretVariable + "=" + someKey}, Gossip{Listen: anywhere, Keys: Secret{someBytes()}}},
		{"", []string{secretVariable + "=" + someKey}, Gossip{Listen: anywhere, Keys: Secret{someBytes()}}},
		{"", []string{"OUTRIDER_GOSSIP__JOIN=a, B.example:1", "OUTRIDER_GOSSIP__INSECURE=true"},
			Gossip{Listen: anywhere, Insecure: true, Join: []string{"a", "b.example:1"}}},
		{"", []string{"OUTRIDER_GOSSIP={ listen: 'localhost:6191', label: shop }"}, Gossip{Listen: loopback, Label: "shop"}},
		{"gossip: { listen: \"127.0.0.1:6191\", share_loopback: true, scope: eu-1 }\n", nil, Gossip{Listen: loopback, ShareLoopback: true, Scope: "eu-1"}},
		{"gossip: { listen: \"127.0.0.1:6191\", advertise: \"::1\" }\n", nil, Gossip{Listen: loopback, Advertise: netip.MustParseAddrPort("[::1]:0")}},
	} {
		c, err := loadText(clusterOne(row.yaml), row.env...)
		if c = valid(t, c, err); !reflect.DeepEqual(*c.Gossip, row.want) {
			t.Errorf("%q %q:\ngot  %+v\nwant %+v", row.yaml, row.env, *c.Gossip, row.want)
		}
	}
}

func TestAddressesOfPeersAreReadInEveryForm(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.2.3": "10.1.2.3:0", "10.1.2.3:7": "10.1.2.3:7", "fd00::1": "[fd00::1]:0", "[fd00::1]": "[fd00::1]:0",
		"[fd00::1]:7": "[fd00::1]:7", "::ffff:10.0.0.1": "10.0.0.1:0", "": "invalid AddrPort",
	} {
		if got, err := parseAdvertise(text); err != nil || got.String() != want {
			t.Errorf("advertise %q: %v %v, want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		":0": "0.0.0.0:0", ":6191": "0.0.0.0:6191", "[::]:1": "[::]:1", "Localhost:1": "127.0.0.1:1", "[::ffff:10.0.0.1]:1": "10.0.0.1:1",
	} {
		if got, err := parseGossipListen(text); err != nil || got.String() != want {
			t.Errorf("listen %q: %v %v, want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"Peers": "peers", "peers.example.:1": "peers.example.:1", "10.0.0.1": "10.0.0.1", "10.0.0.1:1": "10.0.0.1:1",
		"fd00::1": "fd00::1", "[fd00::1]": "fd00::1", "[fd00::1]:1": "[fd00::1]:1",
	} {
		if got, err := parseJoin(text); err != nil || got != want {
			t.Errorf("join %q: %q %v, want %q", text, got, err, want)
		}
	}
}

func TestWhatPeersCannotUseIsRefused(t *testing.T) {
	for _, row := range []struct{ keys, want string }{
		{`listen: ""`, `gossip.listen: empty; write an address such as ":6191"`},
		{`listen: 6191`, `gossip.listen: wants an address such as ":6191", not a number; write "6191" with the quotes`},
		{`listen: "web-1:6191"`, `gossip.listen: "web-1" is not an IP address; peers are told one, not a name`},
		{`listen: "[fe80::1%eth0]:6191"`, `holds the name of an interface, which means nothing to peers; write an address without %eth0`},
		{`listen: "224.0.0.1:6191"`, `is a multicast address`},
		{`advertise: "0.0.0.0"`, `outrider.yaml:4:22: gossip.advertise: "0.0.0.0" stands for every address`},
		{`advertise: "[::]:1"`, `stands for every address`},
		{`advertise: "224.0.0.1"`, `"224.0.0.1" is a multicast address`},
		{`advertise: web-1`, `"web-1" is not an IP address; peers are told one, not a name`},
		{`advertise: "10.0.0.1:0"`, `the port is a number from 1 to 65535, not "0"`},
		{`join: a`, `gossip.join: wants a list of peers; write ["a"]`},
		{`join: [a, "b:x"]`, `outrider.yaml:4:21: gossip.join[1]: "b:x": the port is a number from 1 to 65535, not "x"`},
		{`join: [""]`, `gossip.join[0]: empty; write host or host:port`},
		{`join: ["http://a"]`, `without a scheme or a path`},
		{`join: ["a b"]`, `"a b" is not a host name`},
		{`join: ["256.0.0.1"]`, `is neither an IP address nor a host name`},
		{`join: ["1:2:x"]`, `is not an address; write host or host:port`},
		{`join: ["0.0.0.0:1"]`, `stands for every address`},
		{`join: ["ff02::1"]`, `is a multicast address`},
		{`join: ["fe80::1%eth0"]`, `holds the name of an interface`},
		{`label: "` + strings.Repeat("é", 33) + `"`, `gossip.label: 66 bytes; a label has at most 64`},
		{`label: "a\nb"`, `holds a character that cannot be printed`},
		{`scope: "a b"`, `gossip.scope: "a b" is not a name`},
		{`insecure: yes`, `write true`},
	} {
		_, err := loadText(clusterOne("gossip: { " + row.keys + " }\n"))
		if err == nil || len(faultLines(t, err)) != 1 || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v\nwant %s", row.keys, err, row.want)
		}
	}
	if _, err := loadText(clusterOne("gossip: peers\n")); err == nil || !strings.Contains(err.Error(), `gossip: wants a section, not a single value; write gossip: { join: ["host:6191"] }`) {
		t.Error(err)
	}
}

func TestGossipBeyondLoopbackNeedsASecretOrTheWordInsecure(t *testing.T) {
	const ways = " can be reached from other hosts and there is no secret, so anybody could join; " +
		"write secret_file: PATH (`outrider keygen --if-absent PATH` makes it), or insecure: true"
	for _, row := range []struct{ yaml, want string }{
		{"gossip:\n", "outrider.yaml:4:1: gossip.listen: 0.0.0.0:6191" + ways},
		{"gossip: { join: [a] }\n", "outrider.yaml:4:1: gossip.listen: 0.0.0.0:6191" + ways},
		{"gossip: { listen: \"10.0.0.1:1\" }\n", "outrider.yaml:4:11: gossip.listen: 10.0.0.1:1" + ways},
		{"gossip: { listen: \"127.0.0.1:1\", advertise: 10.0.0.1 }\n", "outrider.yaml:4:34: gossip.advertise: 10.0.0.1:0" + ways},
	} {
		refused(t, clusterOne(row.yaml), row.want)
	}
	_, err := loadText(clusterOne("gossip: {}\n"), secretVariable+"=")
	if err == nil || !strings.Contains(err.Error(), "there is no secret (OUTRIDER_GOSSIP__SECRET is empty), so") {
		t.Error(err)
	}
	c, err := loadText(clusterOne("gossip: { insecure: true }\n"))
	want := []string{"outrider.yaml:4:11: gossip.insecure: gossip is not encrypted: whoever reaches 0.0.0.0:6191 can join, read and send claims about health"}
	if c = valid(t, c, err); !slices.Equal(c.Notes, want) {
		t.Errorf("%q", c.Notes)
	}
}

func TestASecretAndTheWordInsecureContradictEachOther(t *testing.T) {
	_, err := loadText(clusterOne("gossip:\n  insecure: true\n"), secretVariable+"="+someKey)
	if got := faultLines(t, err); len(got) != 1 || !strings.HasPrefix(got[0], "outrider.yaml:5:3: gossip.insecure: there is a secret, so gossip is encrypted; remove insecure") {
		t.Errorf("%q", got)
	}
}

func TestGossipNeedsAPortOfItsOwn(t *testing.T) {
	refused(t, clusterOne("gossip: { insecure: true, listen: \":6190\" }\n"),
		"outrider.yaml:4:27: gossip.listen: 0.0.0.0:6190 is taken by status.listen (:6190); choose another port")
	refused(t, clusterOne("gossip: { insecure: true }\nadmin: { listen: \"127.0.0.1:6191\" }\n"),
		"outrider.yaml:5:10: admin.listen: 127.0.0.1:6191 is taken by gossip.listen (0.0.0.0:6191); choose another port")
}

func TestPeersAreTrustedOnlyWhereThereAreSome(t *testing.T) {
	c, err := loadText(clusterOne("gossip: { insecure: true }\ntrusted_proxies: [peers, 10.0.0.0/8]\n"))
	if c = valid(t, c, err); !c.TrustPeers || !slices.Equal(c.TrustedProxies, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}) {
		t.Errorf("%+v", c)
	}
	c, err = loadText(clusterOne("gossip: { insecure: true }\n"), "OUTRIDER_TRUSTED_PROXIES=private,peers")
	if c = valid(t, c, err); !c.TrustPeers || len(c.TrustedProxies) < 5 {
		t.Errorf("%+v", c)
	}
	refused(t, clusterOne("trusted_proxies:\n  - 10.0.0.0/8\n  - peers\n"),
		`outrider.yaml:6:5: trusted_proxies: there are no peers to believe without a section gossip; write gossip: { join: [...] }, or remove "peers"`)
	refused(t, clusterOne("trusted_proxies: [peer]\n"),
		`outrider.yaml:4:19: trusted_proxies[0]: "peer" is neither a network, an address nor a known word; write one such as 10.0.0.0/8, 192.0.2.1, private or peers; did you mean "peers"?`)
}

func withSecret(text string) disk {
	return disk{files: fstest.MapFS{
		"conf/outrider.yaml": {Data: []byte(clusterOne("gossip:\n  secret_file: gossip.keys\n"))},
		"conf/gossip.keys":   {Data: []byte(text), Mode: 0o600},
	}}
}

func TestTheSecretFileHoldsAKeyOnEachLine(t *testing.T) {
	d := withSecret("\ufeff# new\r\n" + someKey + "  # since May\r\n\r\n\t" + otherKey + "\n")
	c, err := Load(Source{File: "conf/outrider.yaml", Files: d.access()})
	g := valid(t, c, err).Gossip
	if g.SecretFile != "conf/gossip.keys" || len(g.Keys) != 2 || !bytes.Equal(g.Keys[0], someBytes()) || len(g.Keys[1]) != 16 || g.Keys[1][0] != 0xff {
		t.Errorf("%q %x", g.SecretFile, [][]byte(g.Keys))
	}
}

func TestEveryWrongLineOfASecretIsNamedAndNotShown(t *testing.T) {
	for text, want := range map[string][]string{
		"# none\n\n": {"conf/gossip.keys holds no key; `outrider keygen` makes one"},
		"c2VjcmV0\n" + someKey + "\nhush-hush!\n": {"conf/gossip.keys:1: the key has 6 bytes, but must have 16, 24 or 32; `outrider keygen` makes one", "conf/gossip.keys:3: the key is not base64; `outrider keygen` makes one"},
	} {
		_, err := Load(Source{File: "conf/outrider.yaml", Files: withSecret(text).access()})
		got := faultLines(t, err)
		for i := range want {
			want[i] = "outrider.yaml:5:3: gossip.secret_file: " + want[i]
		}
		for i := range got {
			got[i] = strings.TrimPrefix(got[i], "conf/")
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q:\n%s\nwant\n%s", text, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if strings.Contains(err.Error(), "c2VjcmV0") || strings.Contains(err.Error(), "hush") {
			t.Errorf("shown: %v", err)
		}
	}
}

func TestAnUnreadableSecretNamesModeOwnerAndUser(t *testing.T) {
	d := withSecret(someKey)
	d.denied = "conf/gossip.keys"
	_, err := Load(Source{File: "conf/outrider.yaml", Files: d.access()})
	got := faultLines(t, err)
	if len(got) != 1 || !strings.Contains(got[0], ":5:3: gossip.secret_file: conf/gossip.keys: permission denied; mode 0600") || !strings.Contains(got[0], "this process runs as uid") {
		t.Errorf("%q", got)
	}
	delete(d.files, "conf/gossip.keys")
	_, err = Load(Source{File: "conf/outrider.yaml", Files: disk{files: d.files}.access()})
	if got := faultLines(t, err); len(got) != 1 || !strings.Contains(got[0], "gossip.secret_file: conf/gossip.keys: no such file") {
		t.Errorf("%q", got)
	}
}

func TestASecretThatOthersCanReadIsANote(t *testing.T) {
	folder := t.TempDir()
	secret, file := filepath.Join(folder, "gossip"), filepath.Join(folder, "outrider.yaml")
	for path, text := range map[string]string{secret: someKey, file: clusterOne("gossip: { secret_file: gossip }\n")} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for mode, noted := range map[os.FileMode]bool{0o600: false, 0o444: true, 0o640: true} {
		if err := os.Chmod(secret, mode); err != nil {
			t.Fatal(err)
		}
		c, err := Load(Source{File: file})
		c = valid(t, c, err)
		if noted != (len(c.Notes) == 1) || noted && !strings.Contains(c.Notes[0], fmt.Sprintf("can be read by other users (mode %04o, owner ", mode)) {
			t.Errorf("%o: %q", mode, c.Notes)
		}
	}
}

func TestTheEnvironmentHoldsKeysBetweenCommasOrOnLines(t *testing.T) {
	for _, text := range []string{someKey + "," + otherKey, someKey + "\n" + otherKey + "\n", " " + someKey + " ,\r\n, " + otherKey} {
		c, err := loadText(clusterOne("gossip: {}\n"), secretVariable+"="+text)
		g := valid(t, c, err).Gossip
		if len(g.Keys) != 2 || !bytes.Equal(g.Keys[0], someBytes()) || len(g.Keys[1]) != 16 || g.SecretFile != "" {
			t.Errorf("%q: %x", text, [][]byte(g.Keys))
		}
	}
	for text, want := range map[string]string{
		someKey + ",c2VjcmV0": "OUTRIDER_GOSSIP__SECRET: gossip.secret: key 2 has 6 bytes, but must have 16, 24 or 32; `outrider keygen` makes one",
		"hush-hush!":          "OUTRIDER_GOSSIP__SECRET: gossip.secret: key 1 is not base64; `outrider keygen` makes one",
		"[hush]":              "OUTRIDER_GOSSIP__SECRET: gossip.secret: key 1 is not base64; `outrider keygen` makes one",
		",,":                  "outrider.yaml:4:1: gossip.listen: 0.0.0.0:6191 can be reached from other hosts and there is no secret (OUTRIDER_GOSSIP__SECRET is empty)",
	} {
		_, err := loadText(clusterOne("gossip: {}\n"), secretVariable+"="+text)
		if got := faultLines(t, err); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestTheSecretHasOnePlace(t *testing.T) {
	_, err := Load(Source{File: "conf/outrider.yaml", Env: []string{secretVariable + "=" + someKey}, Files: withSecret(someKey).access()})
	if got := faultLines(t, err); len(got) != 1 || !strings.HasSuffix(got[0], ":5:3: gossip.secret_file: OUTRIDER_GOSSIP__SECRET sets the secret, too; remove one of them") {
		t.Errorf("%q", got)
	}
	c, err := Load(Source{File: "conf/outrider.yaml", Env: []string{secretVariable + "="}, Files: withSecret(someKey).access()})
	if c = valid(t, c, err); len(c.Gossip.Keys) != 1 {
		t.Error("an empty variable hides the secret file")
	}
	_, err = loadText(clusterOne(""), "OUTRIDER_GOSSIP_SECRET=x")
	if got := faultLines(t, err); len(got) != 1 || !strings.HasSuffix(got[0], "did you mean OUTRIDER_GOSSIP__SECRET?") {
		t.Errorf("%q", got)
	}
}

func TestASecretInTheFileItselfIsRefusedAndNotShown(t *testing.T) {
	const want = "gossip.secret: a secret does not belong into this file; put it into one of its own and write secret_file: PATH, or set OUTRIDER_GOSSIP__SECRET"
	for _, yaml := range []string{
		"gossip: { secret: " + someKey + ", labl: x }\n",
		"gossip: { 'secret' : [" + someKey + "], labl: x }\n",
		"gossip:\n  secret: >-\n    " + someKey + "\n  labl: x\n",
	} {
		for _, env := range []string{secretVariable + "=", secretVariable + "=" + otherKey} {
			_, err := loadText(clusterOne(yaml), env)
			got := faultLines(t, err)
			if !slices.ContainsFunc(got, func(s string) bool { return strings.HasSuffix(s, want) }) || strings.Contains(err.Error(), someKey[:8]) {
				t.Errorf("%s %s:\n%v", yaml, env, err)
			}
		}
	}
}

func TestAKeyInThePlaceOfItsFileIsNotShown(t *testing.T) {
	const want = "gossip.secret_file: this is no file, and looks like the key itself; write the path of a file that holds it, or set OUTRIDER_GOSSIP__SECRET"
	for _, row := range []struct{ yaml, env string }{
		{"gossip: { secret_file: \"" + someKey + "\" }\n", "X="},
		{"gossip:\n  secret_file: " + otherKey + "\n", "X="},
		{"", "OUTRIDER_GOSSIP__SECRET_FILE=" + someKey},
		{"", "OUTRIDER_GOSSIP={ secret_file: " + someKey + " }"},
	} {
		_, err := loadText(clusterOne(row.yaml), row.env)
		if got := faultLines(t, err); len(got) != 1 || !strings.HasSuffix(got[0], want) || strings.Contains(err.Error(), someKey) || strings.Contains(err.Error(), otherKey) {
			t.Errorf("%s %s:\n%v", row.yaml, row.env, err)
		}
	}
	const path = "/run/secrets/gossipkey" // base64 of 16 bytes, too
	d := disk{files: fstest.MapFS{"outrider.yaml": {Data: []byte(clusterOne("gossip: { secret_file: " + path + " }\n"))}, "run/secrets/gossipkey": {Data: []byte(someKey)}, path: {Data: []byte(someKey)}}}
	c, err := Load(Source{Files: d.access()})
	valid(t, c, err)
	_, err = loadText(clusterOne(""), "OUTRIDER_GOSSIP={ secret: 123456 }")
	if err == nil || strings.Contains(err.Error(), "123456") {
		t.Error(err)
	}
}

func TestKeysAreNeverPrinted(t *testing.T) {
	c, err := loadText(clusterOne("gossip: {}\n"), secretVariable+"="+someKey)
	g := valid(t, c, err).Gossip
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		if got := fmt.Sprintf(verb, g.Keys); got != "1 key" {
			t.Errorf("%s: %s", verb, got)
		}
		if got := fmt.Sprintf(verb, *g); !strings.Contains(got, "1 key") {
			t.Errorf("%s: %s", verb, got)
		}
	}
	document, err := json.Marshal(c)
	if err != nil || !bytes.Contains(document, []byte(`"Keys":"1 key"`)) {
		t.Errorf("%v %s", err, document)
	}
}

func TestReadKeysReadsTheFileAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gossip")
	if _, err := ReadKeys(path); err == nil || !strings.Contains(err.Error(), path+": no such file") {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte(otherKey+"\nx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKeys(path); err == nil || !strings.Contains(err.Error(), path+":2: the key is not base64") {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte(otherKey+"\n"+someKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if keys, err := ReadKeys(path); err != nil || len(keys) != 2 || !bytes.Equal(keys[1], someBytes()) {
		t.Errorf("%x %v", keys, err)
	}
}

// FuzzSecret holds that a file is taken whole or refused, that its keys can be used
// and written again, and that an error shows none of its words.
func FuzzSecret(f *testing.F) {
	for _, seed := range []string{"", someKey, otherKey + "\n" + someKey, "# x\n" + someKey + " # y", "c2VjcmV0", "hush-hush-hush!", "\ufeff\r\n", someKey + "," + otherKey} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		keys, errs := parseKeys("f", text)
		if len(keys) == 0 && len(errs) == 0 {
			t.Fatal("neither a key nor an error")
		}
		for _, err := range errs {
			for word := range strings.FieldsSeq(text) {
				if len(word) > 12 && strings.Contains(err.Error(), word) {
					t.Errorf("%v shows %q", err, word)
				}
			}
		}
		var again strings.Builder
		for _, key := range keys {
			again.WriteString(base64.RawURLEncoding.EncodeToString(key) + "\n")
		}
		if len(keys) > 0 {
			if same, errs := parseKeys("f", again.String()); len(errs) > 0 || !reflect.DeepEqual(same, keys) {
				t.Errorf("%x became %x %v", keys, same, errs)
			}
			if same, err := parseSecret(again.String()); err != nil || !reflect.DeepEqual([][]byte(same), keys) {
				t.Errorf("%x became %x %v", keys, [][]byte(same), err)
			}
		}
	})
}
