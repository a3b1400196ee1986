package distribute

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	l "github.com/stampmill/stampmill/internal/jobs/ledger"
)

// text is a change in words: what is copied, replaced, removed, opened and closed.
func (c *Change) text() string {
	var words []string
	for _, place := range c.Copies {
		word := "copy " + place
		if old := c.Replaces[place]; old != "" {
			word += " for " + old
		}
		words = append(words, word)
	}
	for _, place := range slices.Sorted(maps.Keys(c.Removes)) {
		words = append(words, "remove "+c.Removes[place])
	}
	for about, who := range map[string]map[string][]string{"open": c.Opens, "revoke": c.Closes} {
		for _, region := range slices.Sorted(maps.Keys(who)) {
			words = append(words, about+" "+region+" "+strings.Join(who[region], "+"))
		}
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// underK has the copy in the west under a key that was asked for by its alias: EC2 tells another name of it.
func (w *world) underK() {
	copied := w.version.Regions[west]
	copied.By, copied.KMSKey = "before", "alias/k"
	w.version.Put(west, "", copied)
	w.images["ami-us-west-2"].key = "arn:aws:kms:us-west-2:000000000000:key/1"
}

func TestWhatIsNotAsTheSpecSaysIsAddedReplacedRemovedAndRevoked(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spec string
		set  func(*world)
		want string
	}{
		"as it is":                      {spec: `{"regions": {"us-west-2": {}}, "share": {"accounts": ["222222222222"]}}`},
		"home need not be listed":       {spec: `{"regions": {"us-west-2": {}, "eu-west-1": {}}}`},
		"a region more":                 {spec: `{"regions": {"us-west-2": {}, "us-east-1": {}}}`, want: "copy us-east-1"},
		"a region less":                 {spec: `{"regions": {}}`, want: "remove ami-us-west-2"},
		"another region":                {spec: `{"regions": {"us-east-1": {}}}`, want: "copy us-east-1, remove ami-us-west-2"},
		"regions left out":              {spec: `{"share": {"accounts": ["222222222222"]}}`},
		"nobody":                        {spec: `{"share": {}}`, want: "revoke eu-west-1 222222222222, revoke us-west-2 222222222222"},
		"somebody else":                 {spec: `{"share": {"accounts": ["333333333333"]}}`, want: "open eu-west-1 333333333333, open us-west-2 333333333333, revoke eu-west-1 222222222222, revoke us-west-2 222222222222"},
		"open in one region by hand":    {spec: `{"share": {"accounts": ["222222222222"]}}`, set: func(w *world) { w.images["ami-us-west-2"].open.Accounts = []string{friend, other} }, want: "revoke us-west-2 333333333333"},
		"a copy that is gone":           {spec: `{"regions": {"us-west-2": {}}}`, set: func(w *world) { delete(w.images, "ami-us-west-2") }, want: "copy us-west-2"},
		"not encrypted as asked":        {spec: `{"regions": {"us-west-2": {"kmsKey": "alias/k"}}}`, want: "copy us-west-2 for ami-us-west-2"},
		"under the key":                 {spec: `{"regions": {"us-west-2": {"kmsKey": "alias/k"}}}`, set: (*world).underK},
		"under another key":             {spec: `{"regions": {"us-west-2": {"kmsKey": "alias/j"}}}`, set: (*world).underK, want: "copy us-west-2 for ami-us-west-2"},
		"under the key by its id":       {spec: `{"regions": {"us-west-2": {"kmsKey": "1"}}}`, set: (*world).underK},
		"encrypted, under no key asked": {spec: `{"regions": {"us-west-2": {}}}`, set: func(w *world) { w.images["ami-us-west-2"].key = "arn:aws:kms:us-west-2:0:key/1" }},
		"copies of another account":     {spec: `{"accountCopies": [{"role": "` + otherRole + `", "regions": {"eu-west-1": {}, "us-east-1": {}}}]}`, want: "copy 333333333333/eu-west-1, copy 333333333333/us-east-1"},
		"another account has them":      {spec: `{"accountCopies": [{"role": "arn:aws:iam::333333333333:role/new", "regions": {"us-east-1": {}}}]}`, set: func(w *world) { w.ofOther(east) }},
		"another account has one less":  {spec: `{"accountCopies": []}`, set: func(w *world) { w.ofOther(east) }, want: "remove ami-333333333333/us-east-1"},
		"accounts left out":             {spec: `{"regions": {}}`, set: func(w *world) { w.ofOther(east) }, want: "remove ami-us-west-2"},
		"their copies are theirs": {spec: `{"share": {"accounts": ["222222222222"]}}`, set: func(w *world) {
			w.ofOther(east).images["ami-333333333333/us-east-1"].open.Accounts = []string{"444444444444"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			if tc.set != nil {
				tc.set(w)
			}
			p, _ := w.looked(t, tc.spec)
			if got := p.progress.Change.text(); got != tc.want {
				t.Errorf("the change is %q, want %q", got, tc.want)
			}
			if len(w.calls) > 0 {
				t.Errorf("the look changed something: %v", w.calls)
			}
		})
	}
}

func TestWhatIsInUseIsNamedAndNothingIsChanged(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spec  string
		set   func(*world)
		wants []string // none: it is removed
	}{
		"a fleet of the region": {set: func(w *world) {
			w.fleets = []l.Fleet{{Name: "shop", Image: "web@1", Target: jobs.Target{Region: west}}}
		}, wants: []string{"ami-us-west-2 in us-west-2", "the fleet shop"}},
		"a fleet that may go back to it": {set: func(w *world) {
			w.fleets = []l.Fleet{{Name: "shop", Image: "web@2", Previous: "web@1", Target: jobs.Target{Region: west}}}
		}, wants: []string{"the fleet shop"}},
		"a fleet at home": {set: func(w *world) { w.fleets = []l.Fleet{{Name: "shop", Image: "web@1"}} }},
		"a server": {set: func(w *world) {
			w.fleets = []l.Fleet{{Name: "shop", Image: "web@2"}}
			w.servers["shop"] = []l.Server{{AMI: "ami-us-west-2"}}
		}, wants: []string{"the fleet shop"}},
		"what EC2 tells": {set: func(w *world) { w.images["ami-us-west-2"].users = []string{"i-1", "lt-1"} }, wants: []string{"i-1", "lt-1"}},
		"its own parameter": {set: func(w *world) {
			w.images["ami-us-west-2"].users = []string{"arn:aws:ssm:us-west-2:000000000000:parameter/images/web"}
		}},
		"a fleet of the account": {spec: `{"accountCopies": []}`, set: func(w *world) {
			w.ofOther(west).fleets = []l.Fleet{{Name: "shop", Image: "web@1", Target: jobs.Target{Role: otherRole, Region: west}}}
		}, wants: []string{"ami-333333333333/us-west-2 in 333333333333/us-west-2", "the fleet shop", "accountCopies"}},
		"a fleet of another account": {spec: `{"accountCopies": []}`, set: func(w *world) {
			w.ofOther(west).fleets = []l.Fleet{{Name: "shop", Image: "web@1", Target: jobs.Target{Region: west}}}
		}},
		"a parameter of the account": {spec: `{"accountCopies": []}`, set: func(w *world) {
			w.ofOther(west).images["ami-333333333333/us-west-2"].users = []string{"arn:aws:ssm:us-west-2:333333333333:parameter/images/web"}
		}, wants: []string{"parameter/images/web"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			tc.set(w)
			if tc.spec == "" {
				tc.spec = `{"regions": {}}`
			}
			p, turn := w.program(t, tc.spec)
			move, err := p.look(t.Context(), turn)
			if err != nil || move.IsFail() != (len(tc.wants) > 0) {
				t.Fatalf("the look ends with %q, %v; want a failure: %v", move.Reason(), err, tc.wants)
			}
			for _, want := range tc.wants {
				if !strings.Contains(move.Reason(), want) || !strings.Contains(move.Reason(), "nothing was changed") {
					t.Errorf("%q does not say %q", move.Reason(), want)
				}
			}
			if len(w.calls) > 0 {
				t.Errorf("the look changed something: %v", w.calls)
			}
		})
	}
}

func TestWhatCannotBeIsRefusedAtItsField(t *testing.T) {
	t.Parallel()
	const managed, customer = "arn:aws:kms:eu-west-1:000000000000:alias/aws/ebs", "arn:aws:kms:eu-west-1:000000000000:key/1"
	accounts := func(role, region string) string {
		return `{"accountCopies": [{"role": "` + role + `", "regions": {"` + region + `": {}}}]}`
	}
	for name, tc := range map[string]struct {
		spec    string
		key     string
		field   string
		message string
		warning bool
	}{
		"no such region":                {spec: `{"regions": {"mx-central-1": {}}}`, field: "[regions mx-central-1]", message: "there is no region"},
		"a region that is off":          {spec: accounts(otherRole, "me-south-1"), field: "[accountCopies 0 regions me-south-1]", message: "is not enabled"},
		"the AMI at home under a key":   {spec: `{"regions": {"eu-west-1": {"kmsKey": "alias/k"}}}`, field: "[regions eu-west-1]", message: "was baked in"},
		"public":                        {spec: `{"share": {"public": true, "publicConfirmed": true}}`, field: "[share public]", message: "blocks public AMIs"},
		"opened under AWS's key":        {spec: `{"share": {"accounts": ["444444444444"]}}`, key: managed, field: "[share]", message: "cannot be shared"},
		"copied under AWS's key":        {spec: accounts(otherRole, east), key: managed, field: "[accountCopies]", message: "no other account can copy it"},
		"copied under a customer's key": {spec: accounts(otherRole, east), key: customer, field: "[accountCopies]", message: "its key policy", warning: true},
		"no other account":              {spec: accounts("arn:aws:iam::000000000000:role/x", east), field: "[accountCopies 0 role]", message: "the image's own account"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.images["ami-eu-west-1"].key = tc.key
			p, _ := w.program(t, tc.spec)
			plan, err := p.Plan(t.Context(), jobs.Foreseen{})
			if err != nil || len(plan.Findings) == 0 {
				t.Fatalf("findings %+v, %v", plan.Findings, err)
			}
			found := plan.Findings[0]
			if field := strings.Trim(strings.Join(words(found.Field), " "), " "); "["+field+"]" != tc.field || !strings.Contains(found.Message, tc.message) || found.Warning != tc.warning {
				t.Errorf("found %+v, want %q at %s", found, tc.message, tc.field)
			}
			if len(w.calls) > 0 {
				t.Errorf("the plan changed something: %v", w.calls)
			}
		})
	}
}
