package s3

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strings"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

// nvme is the polynomial of CRC64NVME, reversed.
var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

var algorithms = map[string]func() hash.Hash{
	"X-Amz-Checksum-Crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"X-Amz-Checksum-Crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"X-Amz-Checksum-Crc64nvme": func() hash.Hash { return crc64.New(nvme) },
	"X-Amz-Checksum-Sha1":      sha1.New,
	"X-Amz-Checksum-Sha256":    sha256.New,
}

// verify checks the checksums that came with a body, in a header or a trailer, and returns them to be kept.
func verify(h http.Header, body []byte) (map[string]string, error) {
	sums := map[string]string{}
	for name, algorithm := range algorithms {
		want := h.Get(name)
		if want == "" {
			continue
		}
		sum := algorithm()
		// A hash does not fail.
		_, _ = sum.Write(body)
		if got := base64.StdEncoding.EncodeToString(sum.Sum(nil)); got != want {
			return nil, api.Errorf("BadDigest", "The %s you specified did not match the calculated checksum: got %s, computed %s", strings.ToLower(name), want, got)
		}
		sums[name] = want
	}
	return sums, nil
}
