package preflight

import (
	"context"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs"
)

// Places tells the opt-in status of those regions that exist.
type Places interface {
	Regions(ctx context.Context, names ...string) (map[string]string, error)
}

// Regions finds regions that do not exist, or that the account has not enabled. Their fields are the spec's field with the
// region's name.
func Regions(ctx context.Context, places Places, regions []string, field ...any) ([]jobs.Finding, error) {
	if len(regions) == 0 {
		return nil, nil
	}
	known, err := places.Regions(ctx, regions...)
	switch {
	case jobs.IsClass(err, jobs.Fatal, jobs.Unknown):
		return []jobs.Finding{{Field: field, Warning: true, Message: "whether the account has enabled " + strings.Join(regions, ", ") +
			" could not be checked: " + err.Error()}}, nil
	case err != nil:
		return nil, err
	}
	var findings []jobs.Finding
	for _, region := range regions {
		at := append(slices.Clone(field), region)
		switch status, exists := known[region]; {
		case !exists:
			findings = append(findings, jobs.Finding{Field: at, Message: "there is no region " + region,
				Hint: "check its name; `aws ec2 describe-regions --all-regions` lists them"})
		case status == "not-opted-in":
			findings = append(findings, jobs.Finding{Field: at, Message: "the region " + region + " is not enabled for the account",
				Hint: "aws account enable-region --region-name " + region + ", which takes minutes to hours; or leave it out"})
		}
	}
	return findings, nil
}

// Refusal is what fails a job of the findings; the others are warnings of the turn.
func Refusal(turn *jobs.Turn, findings []jobs.Finding) string {
	var wrong []string
	for _, finding := range findings {
		if finding.Warning {
			turn.Warn("%s", finding)
		} else {
			wrong = append(wrong, finding.String())
		}
	}
	return strings.Join(wrong, "; ")
}
