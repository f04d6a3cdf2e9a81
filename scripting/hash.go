package scripting

// hash maps a string to [0,1), evenly and the same on every machine and version:
// FNV-1a with 64 bits over the UTF-8 bytes, then MurmurHash3's fmix64 (FNV alone
// leaves the high bits of short strings poorly mixed), then the top 53 bits
// divided by 2^53, which a float64 holds exactly.
//
// Scripts split traffic by this number, so it must never change.
func hash(s string) float64 {
	const (
		offset = 0xcbf29ce484222325
		prime  = 0x100000001b3
	)
	h := uint64(offset)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	h ^= h >> 33
	return float64(h>>11) / (1 << 53)
}
