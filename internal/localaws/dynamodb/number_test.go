package dynamodb

import (
	"bytes"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestNumbersAreReadAndWrittenAsAWSDoes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0": "0", "-0": "0", "+1": "1", "01.500": "1.5", "1E3": "1000", "1e-5": "0.00001", ".5": "0.5", "5.": "5", "-12.340": "-12.34",
		"1e125":                  "1" + strings.Repeat("0", 125),
		"1e-130":                 "0." + strings.Repeat("0", 129) + "1",
		strings.Repeat("9", 38):  strings.Repeat("9", 38),
		"abc":                    "The parameter cannot be converted to a numeric value: abc",
		"":                       "The parameter cannot be converted to a numeric value: ",
		"1e":                     "The parameter cannot be converted to a numeric value: 1e",
		".":                      "The parameter cannot be converted to a numeric value: .",
		"1e126":                  overflowText,
		"1e-131":                 underflowText,
		strings.Repeat("12", 20): precisionText,
	} {
		n, err := ParseNumber(text)
		got := n.String()
		if err != nil {
			got = asValidation(err).Message
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestNumbersAddAndOrderExactly(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	draw := func() (Number, *big.Rat) {
		digits := make([]byte, 1+random.IntN(12))
		for i := range digits {
			digits[i] = byte('0' + random.IntN(10))
		}
		n, err := normalize(random.IntN(2) == 0, string(digits), random.IntN(20)-6)
		if err != nil {
			t.Fatal(err)
		}
		exact, _ := new(big.Rat).SetString(n.String())
		return n, exact
	}
	for range 20000 {
		a, exactA := draw()
		b, exactB := draw()
		sum, err := a.Add(b)
		if err != nil {
			t.Fatalf("%v + %v: %v", a, b, err)
		}
		if got, _ := new(big.Rat).SetString(sum.String()); got.Cmp(new(big.Rat).Add(exactA, exactB)) != 0 {
			t.Fatalf("%v + %v = %v", a, b, sum)
		}
		if got, want := sgn(a.Compare(b)), exactA.Cmp(exactB); got != want {
			t.Fatalf("%v compared with %v is %d, want %d", a, b, got, want)
		}
		if got, want := bytes.Compare(orderedBytes(nil, a), orderedBytes(nil, b)), exactA.Cmp(exactB); got != want {
			t.Fatalf("the encodings of %v and %v compare as %d, want %d", a, b, got, want)
		}
	}
}

func sgn(n int) int { return min(1, max(-1, n)) }
