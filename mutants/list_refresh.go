package main

// refreshMutants change how a fleet that is an Auto Scaling group comes to another image.
func refreshMutants() []mutant {
	return []mutant{
		{
			name:   "refresh-fought",
			breaks: "7: an instance refresh that somebody else started is cancelled",
			edits:  []edit{{rolloutFolder + "refresh.go", `	if r.ours(active) && !turn.Job.Lost.IsZero() && active.Status != cloud.RefreshCancelling {`, `	if active.Status != cloud.RefreshCancelling {`}},
			tests:  in(rigTests, "TestSomebodyElsesRefreshIsWaitedFor"),
		},
		{
			name:   "refresh-started-twice",
			breaks: "a refresh whose answer was lost is not recognised",
			edits: []edit{{rolloutFolder + "refreshwatch.go", `		if r.isRun(run, f) {
			return r.started(ctx, turn, f.ID, "found")
		}`, `		if false && r.isRun(run, f) {
			return r.started(ctx, turn, f.ID, "found")
		}`}},
			tests: in(rigTests, "TestARefreshIsStartedOnceWhateverBecomesOfTheCall"),
		},
		{
			name:   "refresh-to-latest",
			breaks: "a refresh is not pinned: the group follows $Latest from then on",
			edits:  []edit{{rolloutFolder + "refreshwatch.go", `cloud.LaunchTemplate{ID: r.state.Template.ID, Version: run.Version}, Checkpoints`, `cloud.LaunchTemplate{ID: r.state.Template.ID, Version: "$Latest"}, Checkpoints`}},
			tests:  in(rigTests, "TestAGroupIsRefreshedInWavesWhateverDies"),
		},
		{
			name:   "refresh-of-what-moves",
			breaks: "a group that follows $Latest is refreshed, and could not be brought back",
			edits:  []edit{{rolloutFolder + "refresh.go", `	case strings.HasPrefix(g.Template.Version, "$"):`, `	case strings.HasPrefix(g.Template.Version, "never"):`}},
			tests:  in(rigTests, "TestAGroupThatFollowsWhatMovesIsRefused"),
		},
		{
			name:   "group-stays-behind",
			breaks: "a rollout succeeds though its group launches the former image from now on",
			edits:  []edit{{rolloutFolder + "refreshmove.go", `	if err != nil || p.Held != "" || !r.behind(g, r.state.Versions[to.AMI]) {`, `	if true || err != nil || p.Held != "" || !r.behind(g, r.state.Versions[to.AMI]) {`}},
			tests:  in(rigTests, "TestARolloutWhoseGroupDoesNotMoveIsNotDone"),
		},
		{
			name:   "uncounted-instances-stay",
			breaks: "instances that a failed refresh brought stay on the way back",
			edits:  []edit{{rolloutFolder + "refreshmove.go", `	return r.progress.Back && ours != version`, `	return false && ours != version`}},
			tests:  in(rigTests, "TestARolloutWhoseGroupDoesNotMoveIsNotDone"),
		},
		{
			name:   "late-refresh-left",
			breaks: "a refresh that a lost call starts after a cancel goes on with nobody looking",
			edits:  []edit{{rolloutFolder + "refreshend.go", `(late || run != nil && run.ID == "") && turn.Now()`, `(run != nil && run.ID == "") && turn.Now()`}},
			tests:  in(rigTests, "TestACancelledRolloutLeavesNoRefreshBehind"),
		},
		{
			name:   "back-before-it-is",
			breaks: "a rollout whose way back gave up reports that it was rolled back",
			edits:  []edit{{rolloutFolder + "progress.go", `	if p.Back && p.Rolled.Empty() && p.Held == "" {`, `	if p.Back {`}},
			tests:  in(rolloutTests, "TestAWayBackThatGivesUpWaitsForAPersonWhoMayTryAgainOrLeaveIt"),
		},
	}
}
