package userdata

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Settings merges what all servers are told with what one is told, which wins. The common ones come first, so that the
// servers' texts have long beginnings in common and compress well.
func Settings(all, own map[string]any) ([]byte, error) {
	if len(all)+len(own) == 0 {
		return nil, nil
	}
	var out bytes.Buffer
	out.WriteByte('{')
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if _, overridden := own[name]; overridden {
			continue
		}
		if err := member(&out, name, all[name]); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if err := member(&out, name, own[name]); err != nil {
			return nil, err
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func member(out *bytes.Buffer, name string, value any) error {
	if out.Len() > 1 {
		out.WriteByte(',')
	}
	out.WriteString(quote(name) + ":")
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("setting %q: %w", name, err)
	}
	out.Truncate(out.Len() - 1) // the encoder's line break
	return nil
}
