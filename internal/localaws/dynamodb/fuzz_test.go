package dynamodb

import (
	"strings"
	"testing"
)

func seedWith(f *testing.F, expressions ...string) {
	for _, e := range expressions {
		f.Add(e)
	}
}

// everyPlaceholder defines whatever the expression mentions.
func everyPlaceholder(m mentions) *placeholders {
	h := &placeholders{names: map[string]string{}, values: map[string]Value{}}
	for i, placeholder := range m.placeholders {
		if strings.HasPrefix(placeholder, "#") {
			h.names[placeholder] = "n"
			continue
		}
		h.values[placeholder] = []Value{NumberOf(1), String("x"), StringSet{"a"}, List{String("x")}}[i%4]
	}
	return h
}

func fuzzItem(t testing.TB) Item { return itemOf(t, recordedItem) }

// Whatever an expression says, as a condition, an update and a projection, it is refused in words or carried out.
func FuzzExpressions(f *testing.F) {
	seedWith(f, "a = :a AND NOT (b <> #b OR size(c.d[1]) BETWEEN :x AND :y)", "a IN (:a, (b))", "contains(a, :b) or attribute_exists(l[0])", "((a", "a = ", "(",
		"SET a = :a, b.c[1] = if_not_exists(b, :c) + :d REMOVE l[0], l[2].q ADD n :n DELETE ss :ss", "SET l[9] = list_append(l, :l)", "SET a = (", "ADD",
		"a, b.c, l[0].q, #n", "l[2], l[0]", "a,", "a[", "l[99999999999999999999]", strings.Repeat("NOT ", 500)+"a = :a", strings.Repeat("(", 4000), "SET l[1000000000] = :a")
	f.Fuzz(func(t *testing.T, text string) {
		asCondition(t, text)
		asUpdate(t, text)
		asProjection(t, text)
	})
}

func asCondition(t *testing.T, text string) {
	t.Helper()
	parsed, err := parseCondition(text)
	if err != nil || parsed.fault != nil {
		return
	}
	if b, err := parsed.root.bind(everyPlaceholder(parsed.mentions)); err == nil {
		b.holds(fuzzItem(t))
		if _, err := keyConditions(b); err != nil && err.Error() == "" {
			t.Error("an error without words")
		}
	}
}

func asUpdate(t *testing.T, text string) {
	t.Helper()
	parsed, err := parseUpdate(text)
	if err != nil || parsed.fault != nil {
		return
	}
	actions, err := parsed.bind(everyPlaceholder(parsed.mentions))
	if err != nil {
		return
	}
	item, before := fuzzItem(t), fuzzItem(t)
	_, err = apply(actions, item)
	if err != nil && asValidation(err) == nil {
		t.Errorf("%q: %v is no validation error", text, err)
	}
	if !equal(item, before) {
		t.Errorf("%q changed the old item", text)
	}
}

func asProjection(t *testing.T, text string) {
	t.Helper()
	parsed, err := parseProjection(text)
	if err != nil || parsed.fault != nil {
		return
	}
	if paths, err := parsed.bind(everyPlaceholder(parsed.mentions)); err == nil {
		project(fuzzItem(t), paths)
	}
}

// What a body's items say is read back as it was written.
func FuzzItemBodies(f *testing.F) {
	seedWith(f, `{"TableName":"tab","Item":`+recordedItem+`}`, `{"Item":{"a":{"S":"\u00e9\n"}}}`, `{"Item":{"a":{"L":[{"M":{}}]}}} `, `{"Item":null}`)
	f.Fuzz(func(t *testing.T, text string) {
		in, err := decode([]byte(text), "PutItem")
		if err != nil || in.Item == nil {
			return
		}
		var again Item
		if err := again.UnmarshalJSON(appendItem(nil, in.Item)); err != nil || !equal(again, in.Item) {
			t.Errorf("%q is not read back as it was written: %v", text, err)
		}
	})
}

// Whatever a statement says, it is refused in words or bound, and a bound one leaves the old item as it is.
func FuzzStatements(f *testing.F) {
	seedWith(f, `INSERT INTO "tab" VALUE {'pk': ?, 'sk': 1, 'b': 'it\'\'s', 'n': null}`, `UPDATE "tab" SET b=? SET l[0].q=n - 1, "a.b" = TRUE REMOVE m.a WHERE pk=? AND (n <> ? OR NOT c IS MISSING) -- x`,
		`update tab set x='a`, `UPDATE tab SET a=? /* x`, `INSERT INTO tab VALUE {`, `UPDATE "a"."b"`, `SELECT pk FROM tab`, strings.Repeat("UPDATE tab SET x=1 WHERE NOT (", 200))
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseStatement(text)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		in := &input{}
		for i := range parsed.parameters {
			in.parameters = append(in.parameters, []Value{NumberOf(1), String("x"), StringSet{"a"}, List{String("x")}}[i%4])
		}
		e := &execution{write: write{in: in}}
		if e.bind(parsed) != nil || e.insert {
			return
		}
		item, before := fuzzItem(t), fuzzItem(t)
		e.condition.holds(item)
		if _, err := apply(e.actions, item); err != nil && asValidation(err) == nil {
			t.Errorf("%q: %v is no validation error", text, err)
		}
		if !equal(item, before) {
			t.Errorf("%q changed the old item", text)
		}
	})
}
