package cli

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/stampmill/stampmill/internal/app"
	"github.com/stampmill/stampmill/internal/aws/store"
	"github.com/stampmill/stampmill/internal/jobs"
)

// wholeID is a job's id in full: kind, name and 16 characters of digest.
var wholeID = regexp.MustCompile(`^[a-z]+-[a-z0-9-]+-[a-z2-7]{16}$`)

// searched is how many jobs a part of an id is looked for in, the newest first.
const searched = 2000

// find loads a job by its id, or by a beginning of it that no other job has.
func find(ctx context.Context, a *app.App, id string) (*jobs.Job, error) {
	row, err := a.Store.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	if row != nil && row.Job != nil {
		return row.Job, nil
	}
	if wholeID.MatchString(id) {
		return nil, exitf(ExitNotFound, "there is no job %s: either no worker has taken it yet, or it has expired; `stampmill job list` shows all", id)
	}
	list, err := a.Store.List(ctx, store.Filter{Limit: searched, Children: true})
	if _, err := jobs.Unread(err); err != nil {
		return nil, err
	}
	begin := slices.DeleteFunc(slices.Clone(list), func(j *jobs.Job) bool { return !strings.HasPrefix(j.ID, id) })
	switch {
	case len(begin) == 1:
		return begin[0], nil
	case len(begin) > 1:
		return nil, exitf(ExitNotFound, "%d jobs begin with %s: %s", len(begin), oneLine(id), ids(begin))
	}
	near := slices.DeleteFunc(list, func(j *jobs.Job) bool { return id == "" || !strings.Contains(j.ID, strings.ToLower(id)) })
	if len(near) > 0 {
		return nil, exitf(ExitNotFound, "no job begins with %s; did you mean %s?", oneLine(id), ids(near))
	}
	return nil, exitf(ExitNotFound, "there is no job %s; `stampmill job list` shows all", oneLine(id))
}

// findOrAwaited gives the full ids. A job that was submitted and that no worker has taken yet is known by its full id only.
func findOrAwaited(ctx context.Context, a *app.App, names []string) ([]string, error) {
	full := make([]string, len(names))
	for i, name := range names {
		full[i] = name
		if wholeID.MatchString(name) {
			continue
		}
		job, err := find(ctx, a, name)
		if err != nil {
			return nil, err
		}
		full[i] = job.ID
	}
	return full, nil
}

// ids lists the first few.
func ids(list []*jobs.Job) string {
	var names []string
	for i, j := range list {
		if i == 5 {
			names = append(names, "…")
			break
		}
		names = append(names, j.ID)
	}
	return strings.Join(names, ", ")
}
