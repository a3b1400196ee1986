package spec

import (
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// envelope is what stands around every kind's spec.
type envelope struct {
	// Kind is the sort of job.
	Kind string `json:"kind" required:"true" example:"Bake"`
	// Name is the image's for Bake, the fleet's for Launch.
	Name string `json:"name" required:"true" example:"web"`
	// Region is where the job works; absent means the worker's own region.
	Region string `json:"region,omitempty" example:"eu-west-1"`
	// Role is the ARN of a role to assume; absent means the worker's own account.
	Role string `json:"role,omitempty" example:"arn:aws:iam::111122223333:role/stampmill"`
	// Key makes a submission the same as an earlier one with the same kind, name, target and key.
	Key string `json:"key,omitempty"`
	// Priority says which queue carries the job.
	Priority string `json:"priority,omitempty" enum:"high,normal,low" default:"normal"`
	// Labels are for finding jobs, images and fleets again.
	Labels map[string]string `json:"labels,omitempty"`
	// Vars are replaced where a text of this document says ${var.name}, and are in the environment of every script.
	Vars map[string]string `json:"vars,omitempty"`
	// Spec is the kind's own.
	Spec json.RawMessage `json:"spec,omitempty"`
}

var (
	namePattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	rolePattern   = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,128}$`)
	regionPattern = regexp.MustCompile(`^(af|ap|ca|cn|eu|il|me|mx|sa|us|us-gov|us-iso[a-z]?|eu-iso[a-z]?)-` +
		`(north|south|east|west|central|northeast|northwest|southeast|southwest)-\d$`)
	keyPattern   = regexp.MustCompile(`^[\x21-\x7e]{1,256}$`)
	labelPattern = regexp.MustCompile(`^[A-Za-z0-9][\w./-]{0,62}$`)
)

var regions = []string{"af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1",
	"ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6",
	"ap-southeast-7", "ca-central-1", "ca-west-1", "cn-north-1", "cn-northwest-1", "eu-central-1", "eu-central-2", "eu-north-1",
	"eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1", "mx-central-1",
	"sa-east-1", "us-east-1", "us-east-2", "us-gov-east-1", "us-gov-west-1", "us-west-1", "us-west-2"}

// ValidRegion reports whether a text has the form of an AWS region's name.
func ValidRegion(name string) bool { return regionPattern.MatchString(name) }

// CheckRegion reports a text that is no region's name, with the one that was probably meant. Where p is a mapping's entry
// by that very name, it is the name that is reported.
func CheckRegion(p *Problems, name string) {
	if last := len(p.path) - 1; last >= 0 && p.path[last] == name {
		p = &Problems{path: append(slices.Clone(p.path[:last]), entryName(name)), found: p.found}
	}
	if !ValidRegion(name) {
		p.Add("expected a region such as eu-west-1, found %s", regionHint(name), strconv.Quote(shorten(name, 40)))
	}
}

func regionHint(name string) string {
	if near := nearest(name, regions); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// CheckSpec checks the envelope's own fields.
func (e *envelope) CheckSpec(p *Problems) {
	if e.Name != "" && !namePattern.MatchString(e.Name) {
		p.At("name").Add("expected 1 to 63 of a-z, 0-9 and -, beginning with a letter or digit, found %s", nameHint(e.Name),
			strconv.Quote(shorten(e.Name, 80)))
	}
	if e.Region != "" {
		CheckRegion(p.At("region"), e.Region)
	}
	if e.Role != "" && !rolePattern.MatchString(e.Role) {
		p.At("role").Add("expected a role's ARN such as arn:aws:iam::111122223333:role/stampmill, found %s", "", strconv.Quote(shorten(e.Role, 80)))
	}
	if e.Key != "" && !keyPattern.MatchString(e.Key) {
		p.At("key").Add("expected 1 to 256 printable ASCII characters without spaces, found %s", "", strconv.Quote(shorten(e.Key, 80)))
	}
	if len(e.Labels) > 50 {
		p.At("labels").Add("expected at most 50 labels, found %d", "remove some", len(e.Labels))
	}
	for name, value := range e.Labels {
		if !labelPattern.MatchString(name) || len(value) > 256 {
			p.At("labels").AtName(name).Add("expected a name of letters, digits, . _ / - and a value of at most 256 bytes", "")
		}
	}
	for name := range e.Vars {
		if !varName.MatchString(name) {
			p.At("vars").AtName(name).Add("expected a name of letters, digits and _, not beginning with a digit", "scripts get it as environment variable")
		}
	}
}

// nameHint is the valid name that was probably meant.
func nameHint(name string) string {
	var fixed []rune
	for _, r := range name {
		switch {
		case r >= 'A' && r <= 'Z':
			r += 'a' - 'A'
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
		default:
			r = '-'
		}
		fixed = append(fixed, r)
	}
	if candidate := string(fixed); namePattern.MatchString(candidate) {
		return "did you mean " + candidate + "?"
	}
	return ""
}

// envelope reads what stands around the spec, and gives it with the variables that hold in the document. It is nil where no
// kind can be read from it.
func (l *loader) envelope(s *shaper, n *node) (*envelope, map[string]string) {
	if n.kind != mapNode {
		s.reportAt(n.line, n.col, "", "expected a document with kind, name and spec, found "+n.describe(), "begin with kind: and name:")
		return nil, nil
	}
	around := *n
	around.entries = nil
	vars := map[string]string{}
	for _, e := range n.entries {
		switch e.key {
		case "spec":
			continue // its own time comes: nothing is replaced in its scripts
		case "vars":
			for _, v := range e.value.entries {
				if v.value.kind == textNode {
					vars[v.key] = v.value.text
				}
			}
			// Variables are not made of variables: they are read before anything is replaced.
			e.value = escapeVars(e.value)
		}
		around.entries = append(around.entries, e)
	}
	maps.Copy(vars, l.vars)
	s.vars = vars
	s.stray = l.stray(n)
	var head envelope
	s.fill(reflect.ValueOf(&head).Elem(), &around)
	_, known := l.kinds[head.Kind]
	if head.Kind != "" && !known {
		kind := n.get("kind")
		s.report(kind, "expected a kind, found "+kind.describe(), suggest(head.Kind, l.kinds.Names()))
	}
	return &head, vars
}

// stray says of a field that the kind's spec has that it belongs there.
func (l *loader) stray(n *node) func(name string) string {
	kind := n.get("kind")
	if kind == nil || l.kinds[kind.text] == nil || l.kinds[kind.text].Kind() != reflect.Struct {
		return nil
	}
	fields := names(fieldsOf(l.kinds[kind.text]))
	return func(name string) string {
		if slices.Contains(fields, name) {
			return "it belongs into spec:"
		}
		return ""
	}
}

// escapeVars makes texts stand for themselves when variables are replaced in them.
func escapeVars(n *node) *node {
	copied := *n
	copied.text = strings.ReplaceAll(n.text, "${var.", "$${var.")
	copied.entries = slices.Clone(n.entries)
	for i := range copied.entries {
		copied.entries[i].value = escapeVars(copied.entries[i].value)
	}
	return &copied
}
