package cli

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// hostileTexts are every character, in all sorts of company, and bytes that are none.
func hostileTexts() []string {
	texts := []string{"\x1b[2J", "\x9b31m", "\xc2\x9b31m", "a\u202eb\u202c", "\u2066x\u2069", "\x00", "\r\n\t\v\f\b\x7f", "\xc0\xaf\xed\xa0\x80\xff", "\u2028\u2029\ufeff\u00ad", "\U000e0041\U0010ffff", "e\u0301"}
	var b strings.Builder
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if utf8.ValidRune(r) {
			b.WriteRune(r)
		}
		if r%997 == 0 {
			texts = append(texts, b.String())
			b.Reset()
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		raw := make([]byte, random.IntN(64))
		for i := range raw {
			raw[i] = byte(random.Uint32())
		}
		texts = append(texts, string(raw))
	}
	return texts
}

func TestNothingThatIsPrintedDoesAnythingToATerminal(t *testing.T) {
	t.Parallel()
	for _, text := range hostileTexts() {
		obeyed := func(r rune) bool { return !unicode.IsPrint(r) }
		if got := oneLine(text); strings.ContainsFunc(got, obeyed) {
			t.Fatalf("a cell is %q", got)
		}
		if got := lines(text); strings.ContainsFunc(strings.NewReplacer("\n", "", "\t", "").Replace(got), obeyed) {
			t.Fatalf("lines are %q", got)
		}
		written, err := document(map[string]string{text: text})
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(strings.ReplaceAll(written, "\n", ""), obeyed) {
			t.Fatalf("JSON is %q", written)
		}
		var read map[string]string
		if err := json.Unmarshal([]byte(written), &read); err != nil {
			t.Fatalf("%q is not JSON: %v", written, err)
		}
		if want := strings.ToValidUTF8(text, ""); utf8.ValidString(text) && read[want] != want {
			t.Fatalf("%q is read back as %q", want, read)
		}
	}
}
