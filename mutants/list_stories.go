package main

// story are the schedules of one of the simulation's stories.
func story(name string, seeds string) []selection {
	return []selection{{pkg: "internal/sim", run: "TestEachStoryKeepsItsPromises/^" + name + "$", env: "STAMPMILL_SEEDS=" + seeds}}
}

// storyMutants change what only a whole schedule shows.
func storyMutants() []mutant {
	return []mutant{
		{
			name:   "one-more-server-is-out-than-may-be",
			breaks: "4: a rollout in place takes one server more out than may be missing",
			edits:  []edit{{"internal/jobs/rollout/park.go", `	return running - floor, jobs.Done(), nil`, `	return running - floor + 1, jobs.Done(), nil`}},
			tests:  story("inPlace", "12"),
		},
		{
			name:   "nothing-is-handed-back",
			breaks: "2: a server whose successor failed serves again without its volume",
			edits:  []edit{{"internal/jobs/rollout/estates.go", `Hand(ctx, estate.Things, "", server.InstanceID)`, `Hand(ctx, estate.Things[:0], "", server.InstanceID)`}},
			tests:  story("stateful", "20"),
		},
		{
			name:   "a-refresh-of-somebody-else-is-ended",
			breaks: "7: a rollout ends the instance refresh that somebody else has under way in the group",
			edits:  []edit{{"internal/jobs/rollout/refresh.go", `	if r.ours(active) && !turn.Job.Lost.IsZero() && active.Status`, `	if active.Status`}},
			tests:  story("refresh", "12"),
		},
		{
			name:   "the-slower-of-two-bakes-becomes-current",
			breaks: "5: a bake that began before another one and commits after it makes its older version current",
			edits:  []edit{{"internal/aws/ledger/publish.go", `		if v.Number > image.Current && !v.Held {`, `		if v.Number != image.Current && !v.Held {`}},
			tests:  story("catalog", "12"),
		},
		{
			name:   "given-back-as-it-was-before-the-line",
			breaks: "2: an import's undo that waited for a rollout forgets the fleet whose servers were replaced meanwhile",
			edits: []edit{{"internal/jobs/adopt/undo.go", `	if why != "" {
		return jobs.Fail("%s", why), nil
	}
	a.progress.Target, a.progress.Imported, a.progress.Count`, `	a.progress.Target, a.progress.Imported, a.progress.Count`}},
			tests: story("import", "40"),
		},
		{
			name:   "chosen-before-its-turn",
			breaks: "2, 4: a termination marks the servers that it takes before it owns their fleet, while a rollout replaces them",
			edits: []edit{{"internal/jobs/terminate/terminate.go", `		{Name: "own", Do: t.own},
		{Name: "choose", Do: t.choose},`, `		{Name: "choose", Do: t.choose},
		{Name: "own", Do: t.own},`}},
			tests: story("meet", "30"),
		},
		{
			name:   "current-past-a-failed-gate",
			breaks: "4: what is to be current after its fleets were rolled becomes so though a gate failed",
			edits:  []edit{{"internal/jobs/restamp/promote.go", `		if result.State != jobs.Succeeded {`, `		if result.State == jobs.Cancelled {`}},
			tests:  story("patchday", "40"),
		},
	}
}
