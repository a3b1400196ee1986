package store

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"sync"

	"github.com/stampmill/stampmill/internal/jobs"
)

// compressFrom is the size from which a document is compressed; smaller ones don't gain a write unit.
const compressFrom = 600

// A compressor is a large thing to make, and each save needs one.
var (
	compressors = sync.Pool{New: func() any {
		w, err := flate.NewWriter(io.Discard, flate.BestSpeed)
		if err != nil {
			panic(err) // the level is a constant that flate knows
		}
		return w
	}}
	expanders = sync.Pool{New: func() any { return flate.NewReader(bytes.NewReader(nil)) }}
)

// pack compresses what is large. The first byte says how it stands: j as it is, z compressed.
func pack(raw []byte) ([]byte, error) {
	if len(raw) < compressFrom {
		return append([]byte{'j'}, raw...), nil
	}
	var b bytes.Buffer
	b.WriteByte('z')
	w := compressors.Get().(*flate.Writer)
	defer compressors.Put(w)
	w.Reset(&b)
	if _, err := w.Write(raw); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// maxDocument bounds what a compressed document may grow to.
const maxDocument = 8 << 20

func unpack(packed []byte) ([]byte, error) {
	if len(packed) == 0 {
		return nil, nil
	}
	switch packed[0] {
	case 'j':
		return packed[1:], nil
	case 'z':
		return expand(packed[1:])
	}
	return nil, fmt.Errorf("unknown packing %q: %w", packed[0], jobs.ErrNewerSchema)
}

func expand(compressed []byte) ([]byte, error) {
	r := expanders.Get().(io.ReadCloser)
	defer expanders.Put(r)
	if err := r.(flate.Resetter).Reset(bytes.NewReader(compressed), nil); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err == nil && len(raw) > maxDocument {
		err = fmt.Errorf("it grows over %d bytes", maxDocument)
	}
	return raw, err
}
