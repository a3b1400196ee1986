package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/jobs/ledger"
)

// ServerState is what a server was, or is, for reports.
type ServerState struct {
	Ordinal  int    `json:"ordinal"`
	Instance string `json:"instance,omitempty"`
	Image    string `json:"image,omitempty"`
	AMI      string `json:"ami,omitempty"`
}

// ServerReport is one ordinal before and after; absent: it had no server.
type ServerReport struct {
	Ordinal int          `json:"ordinal"`
	Before  *ServerState `json:"before,omitempty"`
	After   *ServerState `json:"after,omitempty"`
}

// Changed reports whether the ordinal has a server that is another one, or another image's, than before.
func (s ServerReport) Changed() bool {
	return s.After != nil && (s.Before == nil || *s.Before != *s.After)
}

// ServerStates are servers of the ledger for reports.
func ServerStates(servers []ledger.Server) []ServerState {
	all := make([]ServerState, len(servers))
	for i, s := range servers {
		all[i] = ServerState{Ordinal: s.Ordinal, Instance: s.InstanceID, Image: s.Image, AMI: s.AMI}
	}
	return all
}

// ServerReports put what was and what is side by side.
func ServerReports(before, after []ServerState) []ServerReport {
	all := map[int]*ServerReport{}
	at := func(ordinal int) *ServerReport {
		if all[ordinal] == nil {
			all[ordinal] = &ServerReport{Ordinal: ordinal}
		}
		return all[ordinal]
	}
	for i := range before {
		at(before[i].Ordinal).Before = &before[i]
	}
	for i := range after {
		at(after[i].Ordinal).After = &after[i]
	}
	var list []ServerReport
	for _, ordinal := range slices.Sorted(maps.Keys(all)) {
		list = append(list, *all[ordinal])
	}
	return list
}

// takeDown keeps what the servers are before the first of them is touched, in the bucket: a fleet of thousands does not fit a job.
func (r *rollout) takeDown(ctx context.Context, servers []ledger.Server) error {
	r.progress.Report = fmt.Sprintf("reports/%s/r%d-servers.json", r.job.ID, r.job.Run)
	return r.putReport(ctx, ServerReports(ServerStates(servers), nil))
}

// account adds what they are in the end, as the ledger names them. Doing so again tells the same: the ledger's rows of a group go
// later.
func (r *rollout) account(ctx context.Context, _ *jobs.Turn) (jobs.Move, error) {
	key := r.progress.Report
	if key == "" { // nothing was planned
		return jobs.Done(), nil
	}
	content, found, err := r.Launching.Files.Get(ctx, key)
	if err != nil {
		return jobs.Move{}, err
	}
	var list []ServerReport
	if found {
		if err := json.Unmarshal(content, &list); err != nil {
			return jobs.Move{}, jobs.Fatalf("read", key, err.Error(), "")
		}
	}
	var before []ServerState
	for _, s := range list {
		if s.Before != nil {
			before = append(before, *s.Before)
		}
	}
	servers, err := r.Ledger.Servers(ctx, r.fleet())
	if err != nil {
		return jobs.Move{}, err
	}
	return jobs.Done(), r.putReport(ctx, ServerReports(before, ServerStates(servers)))
}

func (r *rollout) putReport(ctx context.Context, list []ServerReport) error {
	content, err := json.Marshal(list)
	if err != nil {
		return jobs.Fatalf("write", r.progress.Report, err.Error(), "")
	}
	return r.Launching.Files.Put(ctx, r.progress.Report, content)
}
