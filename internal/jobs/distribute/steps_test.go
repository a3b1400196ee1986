package distribute

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
	"github.com/stampmill/stampmill/internal/jobs/copies"
)

func words(field []any) (all []string) {
	for _, part := range field {
		all = append(all, fmt.Sprint(part))
	}
	return all
}

// done carries the steps out, each of which has to be done at once.
func done(t *testing.T, turn *jobs.Turn, steps ...func(context.Context, *jobs.Turn) (jobs.Move, error)) {
	t.Helper()
	for i, step := range steps {
		if move, err := step(t.Context(), turn); err != nil || !move.IsDone() {
			t.Fatalf("step %d ends with %q, %v", i, move.Reason(), err)
		}
	}
}

func TestWhomTheSpecDoesNotNameLosesTheAMIsAndWhoIsNamedKeepsThem(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.ofOther(east).images["ami-333333333333/us-east-1"].open.Accounts = []string{"444444444444"}
	w.images["ami-us-west-2"].open.Accounts = []string{friend, other}
	p, turn := w.looked(t, `{"share": {"accounts": ["333333333333"]}}`)
	done(t, turn, p.share)
	for id, want := range map[string]string{"ami-eu-west-1": other, "ami-us-west-2": other, "ami-333333333333/us-east-1": "444444444444"} {
		if open := w.images[id].open.Principals(); !slices.Equal(open, []string{want}) {
			t.Errorf("%s is open to %v, want %s", id, open, want)
		}
	}
	w.calls = nil
	if done(t, turn, p.share); len(w.calls) > 0 {
		t.Errorf("what is equal was written again: %v", w.calls)
	}
}

// A copy that is replaced because it is under a key that nobody else can use is not opened before it goes: EC2 would refuse.
func TestWhatGoesIsClosedAndNotOpened(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.images["ami-us-west-2"].key, w.images["ami-eu-west-1"].open.Accounts = "arn:aws:kms:us-west-2:000000000000:alias/aws/ebs", []string{other}
	p, turn := w.looked(t, `{"regions": {"us-west-2": {"kmsKey": "alias/k"}}, "share": {"accounts": ["333333333333"]}}`)
	done(t, turn, p.share)
	if want := []string{"share ami-us-west-2 +[] -[222222222222]"}; !slices.Equal(w.calls, want) {
		t.Errorf("the calls are %q, want %q", w.calls, want)
	}
}

const othersCopy = `{"accountCopies": [{"role": "` + otherRole + `", "regions": {"us-east-1": {}}}]}`

// What an account had before it was lent anything it has afterwards, whether its copy was made or given up.
func TestALoanEndsAndWhatWasThereBeforeStays(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		image, snapshot bool // it had the right before
		lent            string
	}{
		"nothing before":      {lent: "share snap-eu-west-1 +[333333333333] -[], share ami-eu-west-1 +[333333333333] -[]"},
		"open to it":          {image: true, lent: "share snap-eu-west-1 +[333333333333] -[]"},
		"snapshot only":       {snapshot: true, lent: "share ami-eu-west-1 +[333333333333] -[]"},
		"everything, by hand": {image: true, snapshot: true},
	} {
		for _, end := range []string{"taken back", "undone"} {
			t.Run(name+", "+end, func(t *testing.T) {
				t.Parallel()
				w := newWorld()
				source := w.images["ami-eu-west-1"]
				if tc.image {
					source.open.Accounts = append(source.open.Accounts, other)
				}
				if tc.snapshot {
					source.readers = []string{other}
				}
				p, turn := w.looked(t, othersCopy)
				done(t, turn, p.loans)
				if len(w.calls) > 0 {
					t.Errorf("something was lent before it was written down: %v", w.calls)
				}
				done(t, turn, p.lend)
				if lent := strings.Join(w.calls, ", "); lent != tc.lent || !slices.Contains(source.open.Accounts, other) || !slices.Contains(source.readers, other) {
					t.Errorf("lent %q, want %q; open to %v, read by %v", lent, tc.lent, source.open.Accounts, source.readers)
				}
				if end == "undone" {
					until(t, turn, p.undoLend)
				} else {
					done(t, turn, p.takeBack)
				}
				if slices.Contains(source.open.Accounts, other) != tc.image || slices.Contains(source.readers, other) != tc.snapshot || !slices.Contains(source.open.Accounts, friend) {
					t.Errorf("afterwards open to %v, read by %v", source.open.Accounts, source.readers)
				}
				if w.calls = nil; len(p.progress.Loans) > 0 && end == "taken back" {
					t.Errorf("loans %v are still written down", p.progress.Loans)
				}
			})
		}
	}
}

// until carries an undo's step out, which may ask to be looked at again.
func until(t *testing.T, turn *jobs.Turn, step func(context.Context, *jobs.Turn) (jobs.Move, error)) {
	t.Helper()
	for range 5 {
		move, err := step(t.Context(), turn)
		if err != nil {
			t.Fatal(err)
		}
		if move.IsDone() {
			return
		}
	}
	t.Fatal("the undo does not end")
}

// recorded is a Distribute whose copies are there.
func (w *world) recorded(t *testing.T, spec string) (*program, *jobs.Turn) {
	t.Helper()
	p, turn := w.looked(t, spec)
	p.progress.Copies = map[string]copies.AMI{}
	for _, at := range p.progress.Change.Copies {
		id := "ami-new-" + at
		w.holds(at, id, c.Share{})
		p.progress.Copies[at] = copies.AMI{ID: id, Snapshots: []string{"snap-" + at}, Available: true}
	}
	done(t, turn, p.openCopies, p.record)
	return p, turn
}

func TestTheRowNamesEveryCopyWithTheRoleThatReachesIt(t *testing.T) {
	t.Parallel()
	w := newWorld().ofOther(west)
	const newRole = "arn:aws:iam::333333333333:role/new"
	p, _ := w.recorded(t, `{"regions": {"us-east-1": {}}, "accountCopies": [{"role": "`+newRole+`", "regions": {"us-west-2": {}, "us-east-1": {"kmsKey": "alias/k"}}}]}`)
	var have []string
	for _, ami := range w.version.AMIs() {
		have = append(have, strings.TrimSpace(fmt.Sprintf("%s %s %s %t", ami.Place(), ami.AMI, ami.Role, ami.Leaving)))
	}
	want := []string{
		"eu-west-1 ami-eu-west-1  false", "us-east-1 ami-new-us-east-1  false",
		"333333333333/us-east-1 ami-new-333333333333/us-east-1 " + newRole + " false", "333333333333/us-west-2 ami-333333333333/us-west-2 " + newRole + " false",
		"us-west-2 ami-us-west-2  true",
	}
	if !slices.Equal(have, want) {
		t.Errorf("the row names\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(want, "\n"))
	}
	if open := w.images["ami-new-333333333333/us-east-1"].open; !open.IsZero() {
		t.Errorf("another account's copy was opened to %v", open)
	}
	if open := w.images["ami-new-us-east-1"].open.Accounts; !slices.Equal(open, []string{friend}) {
		t.Errorf("the new copy is open to %v, want whom the first is", open)
	}
	if p.at("333333333333/us-east-1") != (jobs.Target{Role: newRole, Region: east}) {
		t.Errorf("the account is reached by %v", p.at("333333333333/us-east-1"))
	}
}

// Who begins to use a copy after the look keeps it, and the row has it back.
func TestACopyThatCameIntoUseMeanwhileIsNotRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld().ofOther(east)
	p, turn := w.recorded(t, `{"regions": {}, "accountCopies": []}`)
	w.images["ami-us-west-2"].users = []string{"i-1"}
	w.images["ami-us-west-2"].open, w.images["ami-333333333333/us-east-1"].users = c.Share{}, []string{"i-2"}
	w.calls = nil
	move, err := p.remove(t.Context(), turn)
	if err != nil || !move.IsFail() || !strings.Contains(move.Reason(), "i-1") || !strings.Contains(move.Reason(), "333333333333/us-east-1: i-2") {
		t.Fatalf("it ends with %q, %v", move.Reason(), err)
	}
	if len(w.calls) > 0 || w.version.Regions[west].AMI == "" || w.version.Accounts["333333333333/us-east-1"].Role != otherRole || len(w.version.Leaving) > 0 {
		t.Errorf("calls %v; the row is %+v", w.calls, w.version)
	}
}

func TestACopyOpenToOthersGoesOnceEC2ReportsThatTheyDoNotUseIt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		usage []c.Usage
		gone  bool
	}{"unused": {gone: true}, "used": {usage: []c.Usage{{Account: friend, Kind: "ec2:Instance", Count: 2}}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			w.usage = tc.usage
			p, turn := w.recorded(t, `{"regions": {}}`)
			w.calls = nil
			move, err := p.remove(t.Context(), turn)
			if err != nil || !move.IsWait() || !slices.Equal(w.calls, []string{"ask who uses ami-us-west-2"}) {
				t.Fatalf("at first %q, %v; calls %v", move.Reason(), err, w.calls)
			}
			move, err = p.remove(t.Context(), turn)
			_, there := w.images["ami-us-west-2"]
			if err != nil || there == tc.gone || move.IsFail() == tc.gone {
				t.Errorf("then %q, %v; it is there: %v", move.Reason(), err, there)
			}
			if !tc.gone && !strings.Contains(move.Reason(), friend+" has 2 of ec2:Instance") {
				t.Errorf("the reason is %q", move.Reason())
			}
		})
	}
}

func TestTheParameterGoesOnlyWhereItNamesTheCopyThatGoes(t *testing.T) {
	t.Parallel()
	for value, gone := range map[string]bool{"ami-us-west-2": true, "ami-somebody-elses": false} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			w := newWorld()
			p, turn := w.recorded(t, `{"regions": {}}`)
			w.params["us-west-2 /images/web"] = value
			done(t, turn, p.parameter)
			if _, there := w.params["us-west-2 /images/web"]; there == gone {
				t.Errorf("the parameter is there: %v", there)
			}
			if w.params["eu-west-1 /images/web"] != "ami-eu-west-1" {
				t.Error("the parameter at home is gone")
			}
		})
	}
}
