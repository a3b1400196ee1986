package spec

import (
	"encoding/json"
	"fmt"
)

// Rows are settings of many servers: one row, one server. The short form is the rows themselves, or the path of a CSV,
// JSON or YAML file, relative to the spec file. The first row of a CSV file names its columns.
//
// Rows belong to the ordinals in order, unless each has an ordinal of its own in the field ordinal.
type Rows struct {
	// Path is the file that the rows are read from, relative to the spec file.
	Path string `json:"path,omitempty" example:"./servers.csv"`
	// Rows are the rows themselves.
	Rows []Row `json:"rows,omitempty"`
	Stored
}

// Row is one server's settings by name.
type Row map[string]any

// IsZero reports whether there are no rows.
func (r Rows) IsZero() bool { return len(r.Rows) == 0 && r.Path == "" && r.Key == "" }

// ParseRows reads the rows back from an upload's content.
func ParseRows(content []byte) ([]Row, error) {
	var rows []Row
	if err := json.Unmarshal(content, &rows); err != nil {
		return nil, fmt.Errorf("the stored settings are not a JSON list of objects: %w", err)
	}
	return rows, nil
}

// ByOrdinal gives each row its ordinal: its own if the rows have them, else first, first + 1 and so on.
func ByOrdinal(rows []Row, first int) (map[int]Row, error) {
	all := make(map[int]Row, len(rows))
	for i, row := range rows {
		ordinal, own, err := row.ordinal()
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		if _, firstOwn, _ := rows[0].ordinal(); own != firstOwn {
			return nil, fmt.Errorf("row %d: expected either every row or none to have an ordinal", i+1)
		}
		if !own {
			ordinal = first + i
		}
		if _, taken := all[ordinal]; taken {
			return nil, fmt.Errorf("row %d: ordinal %d has a row already", i+1, ordinal)
		}
		all[ordinal] = row
	}
	return all, nil
}

// Shorthand takes a path or the rows.
func (*Rows) Shorthand(value any) (map[string]any, error) {
	switch v := value.(type) {
	case string:
		return map[string]any{"path": v}, nil
	case []any:
		return map[string]any{"rows": v}, nil
	}
	return nil, &wrong{"a list of rows, or a file such as ./servers.csv", ""}
}

// ShorthandSchemas describes the short forms.
func (*Rows) ShorthandSchemas() []map[string]any {
	return []map[string]any{
		{"type": "string"},
		{"type": "array", "items": map[string]any{"type": "object"}},
	}
}

// CheckSpec refuses rows that nobody read, and ordinals that are none.
func (r *Rows) CheckSpec(p *Problems) {
	r.Stored.check(p)
	switch {
	case len(r.Rows) > 0 && r.IsStored():
		p.Add("expected rows or key, found both", "remove one of them")
	case r.Path != "" && len(r.Rows) == 0 && !r.IsStored():
		p.Add("the file %s was not read: only stampmill submit reads files", "write the rows themselves here", r.Path)
	}
	if _, err := ByOrdinal(r.Rows, 0); err != nil {
		p.At("rows").Add("%s", "number the rows from the first ordinal on, or leave the field ordinal out", err)
	}
}

func (r Row) ordinal() (int, bool, error) {
	value, ok := r["ordinal"]
	if !ok {
		return 0, false, nil
	}
	n, err := json.Number(fmt.Sprint(value)).Int64()
	if err != nil || n < 0 || n > 1_000_000 {
		return 0, true, fmt.Errorf("expected a whole number as ordinal, found %v", value)
	}
	return int(n), true, nil
}
