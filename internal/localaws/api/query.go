package api

import (
	"encoding/base64"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DecodeQuery reads the query protocol's parameters into a pointer to a struct. A field's tag names its parameter:
//
//	ImageId   string   `query:"ImageId"`
//	MaxCount  *int32   `query:"MaxCount"`           // nil: not given
//	Filters   []filter `query:"Filter"`             // Filter.1.Name, Filter.1.Value.1 (EC2 and SQS)
//	Targets   []target `query:"Targets.member"`     // Targets.member.1.Id (ELBv2)
//	Placement struct{ … } `query:"Placement"`       // Placement.AvailabilityZone
//
// Fields may be strings, booleans, numbers, []byte (base64), time.Time, structs, and pointers to and slices of them;
// embedded structs without a tag share their owner's names. A parameter that no field names is an UnknownParameter,
// stricter than AWS, which ignores some; a value of a wrong type is an InvalidParameterValue.
func DecodeQuery(form url.Values, into any) error {
	d := &queryDecoder{form: form, children: map[string]map[string]bool{}, used: map[string]bool{}}
	for key := range form {
		if common(key) {
			continue
		}
		if strings.Count(key, ".") > maxLevels {
			return Errorf("UnknownParameter", "The parameter %.100s… is not recognized: no call nests its parameters so deep", key)
		}
		d.index(key)
	}
	if err := d.structure("", reflect.ValueOf(into).Elem()); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(form)) {
		if !common(key) && !d.used[key] {
			return Errorf("UnknownParameter", "The parameter %s is not recognized: the call does not have it, or this endpoint does not support it", key)
		}
	}
	return nil
}

// maxLevels is how deep parameters are nested at most, such as LaunchTemplateData.NetworkInterface.1.SecurityGroupId.1.
const maxLevels = 16

// common says whether the key belongs to the protocol or the signature, not to the call.
func common(key string) bool {
	switch key {
	case "Action", "Version", "AWSAccessKeyId", "SignatureMethod", "SignatureVersion", "Signature", "Timestamp", "Expires", "SecurityToken":
		return true
	}
	return strings.HasPrefix(key, "X-Amz-")
}

type queryDecoder struct {
	form url.Values
	// children are the distinct next parts after each prefix: "Filter" → 1, 2.
	children map[string]map[string]bool
	used     map[string]bool
}

func (d *queryDecoder) index(key string) {
	for at, c := range key {
		if c != '.' {
			continue
		}
		next, _, _ := strings.Cut(key[at+1:], ".")
		prefix := key[:at]
		if d.children[prefix] == nil {
			d.children[prefix] = map[string]bool{}
		}
		d.children[prefix][next] = true
	}
}

func (d *queryDecoder) present(key string) bool {
	_, scalar := d.form[key]
	return scalar || len(d.children[key]) > 0
}

func (d *queryDecoder) structure(prefix string, v reflect.Value) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, tagged := field.Tag.Lookup("query")
		switch {
		case field.Anonymous && !tagged:
			if err := d.structure(prefix, v.Field(i)); err != nil {
				return err
			}
			continue
		case !tagged:
			continue
		}
		if prefix != "" {
			name = prefix + "." + name
		}
		if !d.present(name) {
			continue
		}
		if err := d.value(name, v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

var timeType, bytesType = reflect.TypeFor[time.Time](), reflect.TypeFor[[]byte]()

func (d *queryDecoder) value(key string, v reflect.Value) error {
	switch {
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(key, v.Elem())
	case v.Type() != timeType && v.Kind() == reflect.Struct:
		return d.structure(key, v)
	case v.Type() != bytesType && v.Kind() == reflect.Slice:
		return d.list(key, v)
	}
	given, ok := d.form[key]
	if !ok {
		// Members below a scalar's name: the check for unknown parameters names them.
		return nil
	}
	d.used[key] = true
	if len(given) != 1 {
		return Errorf("InvalidParameterValue", "%s is given %d times, expected once", key, len(given))
	}
	return scalar(key, given[0], v)
}

func (d *queryDecoder) list(key string, v reflect.Value) error {
	if text, ok := d.form[key]; ok && len(text) == 1 && text[0] == "" {
		// An empty list is sent as its bare name.
		d.used[key] = true
		return nil
	}
	numbers := make([]int, 0, len(d.children[key]))
	for child := range d.children[key] {
		n, err := strconv.Atoi(child)
		if err != nil || n < 1 {
			return Errorf("InvalidParameterValue", "%s.%s: expected a list's index, from 1", key, child)
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	v.Set(reflect.MakeSlice(v.Type(), len(numbers), len(numbers)))
	for i, n := range numbers {
		if err := d.value(key+"."+strconv.Itoa(n), v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func scalar(key, text string, v reflect.Value) error {
	wrong := func(expected string) error {
		return Errorf("InvalidParameterValue", "Value (%s) for parameter %s is invalid: expected %s", text, key, expected)
	}
	switch {
	case v.Type() == timeType:
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return wrong("a time such as 2026-01-02T15:04:05Z")
		}
		v.Set(reflect.ValueOf(at))
	case v.Type() == bytesType:
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return wrong("base64")
		}
		v.SetBytes(raw)
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return wrong("true or false")
		}
		v.SetBool(text == "true")
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return wrong("an integer")
		}
		v.SetInt(n)
	case v.CanFloat():
		n, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil {
			return wrong("a number")
		}
		v.SetFloat(n)
	default:
		panic("api: DecodeQuery does not know fields of type " + v.Type().String())
	}
	return nil
}
