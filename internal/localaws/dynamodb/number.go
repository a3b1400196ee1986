package dynamodb

import (
	"math/big"
	"strconv"
	"strings"
)

// Number is a decimal of up to 38 significant digits: sign × 0.digits × 10^exponent. Zero has no digits.
type Number struct {
	negative bool
	exponent int
	digits   string // without leading and trailing zeros
}

const (
	maxDigits   = 38
	maxExponent = 126  // 9.99…E+125
	minExponent = -129 // 1E-130
)

const (
	overflowText  = "Number overflow. Attempting to store a number with magnitude larger than supported range"
	underflowText = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
	precisionText = "Attempting to store more than 38 significant digits in a Number"
)

// ParseNumber reads a number as DynamoDB accepts it.
func ParseNumber(text string) (Number, error) {
	bad := func() (Number, error) {
		return Number{}, invalid("The parameter cannot be converted to a numeric value: %s", text)
	}
	rest, negative := text, false
	if rest != "" && (rest[0] == '-' || rest[0] == '+') {
		negative, rest = rest[0] == '-', rest[1:]
	}
	mantissa, power := rest, 0
	if at := strings.IndexAny(rest, "eE"); at >= 0 {
		n, err := strconv.Atoi(rest[at+1:])
		if err != nil {
			return bad()
		}
		mantissa, power = rest[:at], n
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if whole == "" && fraction == "" || !allDigits(whole) || !allDigits(fraction) {
		return bad()
	}
	return normalize(negative, whole+fraction, len(whole)+power)
}

// normalize makes the number sign × 0.digits × 10^exponent and checks its range.
func normalize(negative bool, digits string, exponent int) (Number, error) {
	trimmed := strings.TrimLeft(digits, "0")
	exponent -= len(digits) - len(trimmed)
	trimmed = strings.TrimRight(trimmed, "0")
	switch {
	case trimmed == "":
		return Number{}, nil
	case exponent > maxExponent:
		return Number{}, invalid(overflowText)
	case exponent < minExponent:
		return Number{}, invalid(underflowText)
	case len(trimmed) > maxDigits:
		return Number{}, invalid(precisionText)
	}
	return Number{negative: negative, exponent: exponent, digits: trimmed}, nil
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// NumberOf is the integer as a Number.
func NumberOf(n int64) Number {
	text := strconv.FormatInt(n, 10)
	digits := strings.TrimPrefix(text, "-")
	number, err := normalize(n < 0, digits, len(digits))
	if err != nil {
		panic("dynamodb: an int64 is outside a Number's range: " + text)
	}
	return number
}

// String is the number without an exponent, as DynamoDB answers it.
func (n Number) String() string { return string(n.append(nil)) }

func (n Number) append(to []byte) []byte {
	if n.digits == "" {
		return append(to, '0')
	}
	if n.negative {
		to = append(to, '-')
	}
	switch {
	case n.exponent <= 0:
		to = append(to, "0."...)
		for range -n.exponent {
			to = append(to, '0')
		}
		return append(to, n.digits...)
	case n.exponent >= len(n.digits):
		to = append(to, n.digits...)
		for range n.exponent - len(n.digits) {
			to = append(to, '0')
		}
		return to
	}
	to = append(to, n.digits[:n.exponent]...)
	to = append(to, '.')
	return append(to, n.digits[n.exponent:]...)
}

// Compare orders numbers by value.
func (n Number) Compare(other Number) int {
	if s := n.sign() - other.sign(); s != 0 || n.digits == "" {
		return s
	}
	size := n.exponent - other.exponent
	if size == 0 {
		size = strings.Compare(n.digits, other.digits)
	}
	if n.negative {
		return -size
	}
	return size
}

func (n Number) sign() int {
	switch {
	case n.digits == "":
		return 0
	case n.negative:
		return -1
	}
	return 1
}

// Int64 is the number if it is an integer that fits.
func (n Number) Int64() (int64, bool) {
	if n.digits == "" {
		return 0, true
	}
	if n.exponent < len(n.digits) || n.exponent > 19 {
		return 0, false
	}
	value, err := strconv.ParseInt(n.String(), 10, 64)
	return value, err == nil
}

// Add is the sum; more than 38 digits are an error.
func (n Number) Add(other Number) (Number, error) {
	if a, ok := n.Int64(); ok {
		if b, ok := other.Int64(); ok {
			if sum := a + b; (sum > a) == (b > 0) {
				return NumberOf(sum), nil
			}
		}
	}
	scale := min(n.exponent-len(n.digits), other.exponent-len(other.digits))
	sum := new(big.Int).Add(n.scaled(scale), other.scaled(scale))
	digits := new(big.Int).Abs(sum).String()
	return normalize(sum.Sign() < 0, digits, len(digits)+scale)
}

// Negate is the number with its sign turned.
func (n Number) Negate() Number {
	if n.digits != "" {
		n.negative = !n.negative
	}
	return n
}

// scaled is the number as an integer count of 10^scale.
func (n Number) scaled(scale int) *big.Int {
	integer := new(big.Int)
	if n.digits == "" {
		return integer
	}
	integer.SetString(n.digits, 10)
	power := big.NewInt(int64(n.exponent - len(n.digits) - scale))
	integer.Mul(integer, power.Exp(big.NewInt(10), power, nil))
	if n.negative {
		integer.Neg(integer)
	}
	return integer
}

// size is what the number counts in an item: a byte for each two digits (aligned to even powers of ten), one for the
// exponent, one for a minus sign.
func (n Number) size() int {
	if n.digits == "" {
		return 1
	}
	odd := n.exponent & 1
	size := 1 + (len(n.digits)+odd+1)/2
	if n.negative {
		size++
	}
	return size
}
