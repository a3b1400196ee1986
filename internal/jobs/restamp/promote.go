package restamp

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/catalog"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// roll fans out the rollouts of the image's fleets, and notes how they ended. With one that did not succeed, what is current
// stays.
func (p *part) roll(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	w, image, err := p.work(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	fleets := w.fleetsOf(image.Name)
	results := turn.Children()
	if results == nil {
		if move, waits, err := p.paused(ctx, w); err != nil || waits {
			return move, err
		}
		children, err := w.addRollouts(nil, fleets, p.spec.Rolls)
		if err != nil {
			return jobs.Move{}, err
		}
		return jobs.FanOut(children...), nil
	}
	if err := p.Ledger.PutOutcomes(ctx, turn.Guard(), w.Restamp, rolled(fleets, p.spec.Rolls, results)); err != nil {
		return jobs.Move{}, err
	}
	for i, result := range results {
		if result.State != jobs.Succeeded {
			return jobs.Fail("%s stays as it is and does not become current: the rollout of %s is %s: %s", p.spec.Rolls, fleets[i].Name, result.State, result.Failure), nil
		}
	}
	return jobs.Done(), nil
}

// promote makes the version current to which all of the image's fleets were rolled, unless a later one is: by a child of the
// kind Promote, which sees to parameter and launch template too.
func (p *part) promote(ctx context.Context, turn *jobs.Turn) (jobs.Move, error) {
	w, image, err := p.work(ctx)
	if err != nil {
		return jobs.Move{}, err
	}
	_, text, _ := strings.Cut(p.spec.Rolls, "@")
	number, err := strconv.Atoi(text)
	if err != nil {
		return jobs.Move{}, jobs.Fatalf("promote", p.spec.Rolls, "it names no version", "")
	}
	line, _, err := p.Ledger.GetImage(ctx, image.Name)
	if err != nil {
		return jobs.Move{}, err
	}
	results := turn.Children()
	switch {
	case results == nil && line.Current < number:
		raw, err := json.Marshal(catalog.PromoteSpec{Version: number, Reason: "all of its fleets were rolled by " + w.Name})
		if err != nil {
			return jobs.Move{}, jobs.Fatalf("promote", p.spec.Rolls, err.Error(), "")
		}
		return jobs.FanOut(jobs.Child{Kind: catalog.Promote, Name: image.Name, Spec: raw, Target: &image.Target, Labels: labels(image.Labels)}), nil
	case line.Current > number:
		turn.Warn("%s is current, which is newer than %s", ref(image.Name, line.Current), p.spec.Rolls)
	case len(results) > 0 && results[0].State != jobs.Succeeded:
		return jobs.Fail("%s could not become current: %s", p.spec.Rolls, results[0].Failure), nil
	}
	return jobs.Done(), p.promoted(ctx, turn, w, line.Current == number)
}

// promoted says in the image's outcome that its new version is current.
func (p *part) promoted(ctx context.Context, turn *jobs.Turn, w *Work, is bool) error {
	outcomes, err := p.Ledger.Outcomes(ctx, w.Restamp)
	if err != nil || !is {
		return err
	}
	for _, o := range outcomes {
		if o.Image == p.spec.Image {
			o.Promoted = true
			return p.Ledger.PutOutcomes(ctx, turn.Guard(), w.Restamp, []ledger.Outcome{o})
		}
	}
	return nil
}

// labels are a child's own, none of its parent's.
func labels(own map[string]string) map[string]string {
	if own == nil {
		return map[string]string{}
	}
	return own
}
