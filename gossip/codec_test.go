package gossip

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func claimGenerator() *rapid.Generator[Claim] {
	return rapid.Custom(func(t *rapid.T) Claim {
		return Claim{
			Observer: Observer(rapid.Uint64().Draw(t, "observer")),
			Seq:      rapid.Uint64Range(1, math.MaxUint64).Draw(t, "seq"),
			Key:      rapid.StringN(1, MaxKey, MaxKey).Draw(t, "key"),
			State:    rapid.SampledFrom([]State{Up, Down, Draining}).Draw(t, "state"),
			Age:      time.Duration(rapid.IntRange(0, math.MaxInt32).Draw(t, "ms")) * time.Millisecond,
		}
	})
}

func TestClaimsArriveAsTheyWereSent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.SliceOfN(claimGenerator(), 1, 20).Draw(t, "claims")
		got, err := decode(encodeClaims(sent))
		if err != nil || !reflect.DeepEqual(got.claims, sent) {
			t.Fatalf("decode: %+v, %v; sent %+v", got.claims, err, sent)
		}
	})
}

func TestPacketsHoldAllClaimsAndKeepToTheirSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := rapid.SliceOfN(claimGenerator(), 0, 30).Draw(t, "claims")
		size := rapid.IntRange(300, 1400).Draw(t, "size")
		var got []Claim
		for _, packet := range encodePackets(sent, size) {
			if len(packet) > size {
				t.Fatalf("a packet has %d bytes, more than %d", len(packet), size)
			}
			m, err := decode(packet)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, m.claims...)
		}
		if len(got) != len(sent) || len(sent) > 0 && !reflect.DeepEqual(got, sent) {
			t.Fatalf("got %+v, sent %+v", got, sent)
		}
	})
}

func TestAFractionOfAMillisecondIsRoundedUp(t *testing.T) {
	got, err := decode(encodeClaims([]Claim{{Observer: 1, Seq: 1, Key: "k", State: Down, Age: 3*time.Millisecond + 1}}))
	if err != nil || got.claims[0].Age != 4*time.Millisecond {
		t.Errorf("age %v, %v; want 4ms", got.claims, err)
	}
}

func TestAnAskArrivesAsItWasSent(t *testing.T) {
	sent := ask{digest: 0xfeedfacecafebeef, name: "api-1-00ff"}
	got, err := decode(encodeAsk(sent))
	if err != nil || got.ask == nil || *got.ask != sent || got.claims != nil {
		t.Errorf("decode: %+v, %v", got, err)
	}
}

func TestAClaimOfAnUnknownStateIsLeftOut(t *testing.T) {
	later := Claim{Observer: 1, Seq: 1, Key: "k", State: 9}
	now := Claim{Observer: 1, Seq: 2, Key: "k", State: Down}
	got, err := decode(encodeClaims([]Claim{later, now}))
	if err != nil || !reflect.DeepEqual(got.claims, []Claim{now}) {
		t.Errorf("decode: %+v, %v", got, err)
	}
}

func TestWhatIsNotAMessageIsRefusedWhole(t *testing.T) {
	whole := encodeClaims([]Claim{
		{Observer: 1, Seq: 300, Key: "first", State: Down, Age: time.Second},
		{Observer: 1, Seq: 301, Key: "second", State: Down, Age: time.Second},
	})
	second := len(encodeClaims([]Claim{{Observer: 1, Seq: 300, Key: "first", State: Down, Age: time.Second}}))
	for n := range len(whole) {
		m, err := decode(whole[:n])
		if n == headerSize || n == second {
			continue // whole messages of none and one
		}
		if !errors.Is(err, errMalformed) || m.claims != nil {
			t.Errorf("cut to %d of %d bytes: %+v, %v", n, len(whole), m, err)
		}
	}

	tests := map[string]struct {
		message []byte
		want    error
	}{
		"another version":        {[]byte{2, typeClaims}, errUnknownVersion},
		"another type":           {[]byte{wireVersion, 77}, errUnknownType},
		"too long":               {make([]byte, maxMessage+1), errOversized},
		"too many claims":        {encodeClaims(make5000()), errOversized},
		"no key":                 {encodeClaims([]Claim{{Observer: 1, Seq: 1, State: Down}}), errMalformed},
		"seq 0":                  {encodeClaims([]Claim{{Observer: 1, Key: "k", State: Down}}), errMalformed},
		"an ask without a name":  {[]byte{wireVersion, typeAsk, 1, 2, 3, 4, 5, 6, 7, 8}, errMalformed},
		"an ask with a tail":     {append(encodeAsk(ask{name: "a"}), 0), errMalformed},
		"an ask without digest":  {[]byte{wireVersion, typeAsk, 1}, errMalformed},
		"a number without end":   {append([]byte{wireVersion, typeClaims, 2, 0, 0, 0, 0, 0, 0, 0, 1}, []byte(strings.Repeat("\xff", 12))...), errMalformed},
		"a claim of three bytes": {[]byte{wireVersion, typeClaims, 2, 0, 0}, errMalformed},
	}
	for name, test := range tests {
		if _, err := decode(test.message); !errors.Is(err, test.want) {
			t.Errorf("%s: %v; want %v", name, err, test.want)
		}
	}
}

func make5000() []Claim {
	claims := make([]Claim, 5000)
	for i := range claims {
		claims[i] = Claim{Observer: 1, Seq: uint64(i) + 1, Key: "k", State: Down}
	}
	return claims
}

func FuzzWhatIsDecodedIsEncodedToTheSame(f *testing.F) {
	f.Add(encodeClaims([]Claim{{Observer: 1, Seq: 300, Key: "tcp 10.0.0.7:80", State: Down, Age: time.Second}}))
	f.Add(encodeAsk(ask{digest: 7, name: "api-1"}))
	f.Add([]byte{wireVersion, typeClaims, 9, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 1, 'k'})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decode(b)
		if err != nil {
			if m.claims != nil || m.ask != nil {
				t.Fatalf("an error and a message: %+v, %v", m, err)
			}
			return
		}
		encoded := encodeClaims(m.claims)
		if m.ask != nil {
			encoded = encodeAsk(*m.ask)
		}
		again, err := decode(encoded)
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

func FuzzMetadataIsNeverTrusted(f *testing.F) {
	f.Add(encodeMeta(7, Info{Version: "1.0", Script: "ab", Config: "cd", Draining: true}))
	f.Fuzz(func(t *testing.T, b []byte) {
		observer, info, ok := decodeMeta(b)
		if !ok {
			return
		}
		o, i, ok := decodeMeta(encodeMeta(observer, info))
		if !ok || o != observer || i != info {
			t.Fatalf("%v %+v became %v %+v", observer, info, o, i)
		}
	})
}
