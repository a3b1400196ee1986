package api

import (
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync"
)

// counters remember how often each identity has asked for randomness. Identities are kept as hashes: a collision makes
// two of them share a counter, which is harmless.
type counters struct {
	mu   sync.Mutex
	next map[uint64]uint64
}

// Rand is a source of randomness that is a function of the seed, the identity in parts and how many-th time that identity
// asks, never of what others do in between. Name the call as closely as it can be named (service, action, account,
// region, client token or name), so that a failing seed fails again. The source is the caller's own, not shared.
func (e *Env) Rand(parts ...string) *rand.Rand {
	hash := fnv.New64a()
	for _, part := range parts {
		hash.Write([]byte(part))
		hash.Write([]byte{0})
	}
	identity := hash.Sum64()
	c := &e.randomness
	c.mu.Lock()
	if c.next == nil {
		c.next = map[uint64]uint64{}
	}
	turn := c.next[identity]
	c.next[identity] = turn + 1
	c.mu.Unlock()
	var tail [24]byte
	binary.LittleEndian.PutUint64(tail[0:], uint64(e.Seed))
	binary.LittleEndian.PutUint64(tail[8:], uint64(e.Epoch))
	binary.LittleEndian.PutUint64(tail[16:], turn)
	hash.Write(tail[:])
	return rand.New(rand.NewPCG(identity^uint64(e.Seed)*0x9e3779b97f4a7c15, mix(hash.Sum64())))
}

// UUID is a version 4 UUID made from r.
func UUID(r *rand.Rand) string {
	var raw [16]byte
	binary.LittleEndian.PutUint64(raw[:8], r.Uint64())
	binary.LittleEndian.PutUint64(raw[8:], r.Uint64())
	raw[6], raw[8] = raw[6]&0x0f|0x40, raw[8]&0x3f|0x80
	var text [36]byte
	hex.Encode(text[:], raw[:4])
	hex.Encode(text[9:], raw[4:6])
	hex.Encode(text[14:], raw[6:8])
	hex.Encode(text[19:], raw[8:10])
	hex.Encode(text[24:], raw[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// ResourceID is an id as EC2 makes them, such as i-0123456789abcdef0: the prefix, a dash, 17 hexadecimal digits.
func ResourceID(r *rand.Rand, prefix string) string { return prefix + "-0" + Hex(r, 16) }

// Hex is n random hexadecimal digits.
func Hex(r *rand.Rand, n int) string { return pick(r, n, "0123456789abcdef") }

// Alphanumeric is n random capital letters and digits, as in access key ids.
func Alphanumeric(r *rand.Rand, n int) string { return pick(r, n, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") }

func pick(r *rand.Rand, n int, alphabet string) string {
	var b strings.Builder
	b.Grow(n)
	for range n {
		b.WriteByte(alphabet[r.IntN(len(alphabet))])
	}
	return b.String()
}

// mix spreads a hash's bits (the finalizer of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
