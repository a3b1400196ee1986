package main

// launchMutants change how ordinals find their servers.
func launchMutants() []mutant {
	return []mutant{
		{
			name:   "mincount-is-maxcount",
			breaks: "2: a pool with room for some of the servers gives none",
			edits:  []edit{{"internal/jobs/launch/stamp.go", `Min: 1, Max: count,`, `Min: count, Max: count,`}},
			tests:  in(launchTests, "TestAPoolGivesWhatItHas"),
		},
		{
			name:   "partial-grant-from-the-first",
			breaks: "2: the servers of the next attempt take the first ordinals again",
			edits:  []edit{{batchFile, `	list := a.Ordinals.List()`, `	list := b.ordinals.List()`}},
			tests:  in(launchTests, "TestPartialGrantsAndDeadLaunchesGiveEachOrdinalOnce"),
		},
		{
			name:   "ordinals-in-the-answers-order",
			breaks: "2: servers take ordinals in the order of the answer, not by launch index, so names and ordinals differ",
			edits: []edit{
				{batchFile, `	for _, instance := range instances {
		if instance.LaunchIndex < 0`, `	for at, instance := range instances {
		if instance.LaunchIndex < 0`},
				{batchFile, `instance, list[instance.LaunchIndex])`, `instance, list[at])`},
			},
			tests: in(launchTests, "TestAServersOrdinalFollowsItsLaunchIndex"),
		},
		{
			name:   "attempt-not-saved",
			breaks: "2: an attempt is sent before its pool and list are saved",
			edits: []edit{{batchFile, `	if b.progress.Attempts++; b.progress.Attempts == 1 {
		return turn.Save(ctx)
	}`, `	if b.progress.Attempts++; b.progress.Attempts == 1 {
		return ctx.Err()
	}`}},
			tests: in(launchTests, "TestAnAttemptIsSavedBeforeItsCall"),
		},
		{
			name:   "all-pools-under-one-token",
			breaks: "2: the next pool is asked under the token of the one before",
			edits: []edit{{batchFile, `	return turn.NewAttempt(ctx, thing)
}`, `	return turn.Save(ctx)
}`}},
			tests: in(launchTests, "TestPartialGrantsAndDeadLaunchesGiveEachOrdinalOnce"),
		},
		{
			name:   "dead-launch-holds-its-ordinal",
			breaks: "2: a launch that died after EC2 accepted it keeps its ordinal",
			edits:  []edit{{"internal/jobs/launch/watch.go", `	p.Launched = held(servers).Minus(deaths(dead))`, `	p.Launched = held(servers)`}},
			tests:  in(launchTests, "TestPartialGrantsAndDeadLaunchesGiveEachOrdinalOnce"),
		},
		{
			name:   "undo-takes-the-fleets-servers",
			breaks: "7: the undo of a launch terminates servers that were there before",
			edits:  []edit{{"internal/jobs/launch/watch.go", `map[string]string{jobs.TagIncarnation: job.Incarnation, jobs.TagRun: fmt.Sprint(job.Run)}`, `map[string]string{TagFleet: job.Name, jobs.TagRun: fmt.Sprint(job.Run)}`}},
			tests:  in(launchTests, "TestFewerHealthyServersThanAcceptedUndoTheLaunchAndNothingElse"),
		},
		{
			name:   "undo-takes-notfound-for-gone",
			breaks: "3: servers that EC2 does not show yet are taken for gone",
			edits:  []edit{{"internal/jobs/launch/undo.go", `|| !known && now.Sub(server.Launched) < jobs.PropagationLimit {`, `{`}},
			tests:  in(launchTests, "TestAnUndoEndsServersThatEC2DoesNotShowYet"),
		},
		{
			name:   "watch-takes-notfound-for-gone",
			breaks: "2: a server that EC2 does not show yet is given up, and its ordinal given to another",
			edits:  []edit{{"internal/jobs/launch/watch.go", `		case !seen && now.Sub(l.progress.LaunchedAt) >= jobs.PropagationLimit:`, `		case !seen:`}},
			tests:  in(launchTests, "TestServersThatEC2DoesNotShowYetAreWaitedFor"),
		},
		{
			name:   "plan-takes-notfound-for-gone",
			breaks: "2: the next launch replaces servers that EC2 does not show yet",
			edits:  []edit{{"internal/jobs/launch/plan.go", `		case !seen && server.InstanceID != "" && now.Sub(server.Launched) < jobs.PropagationLimit:`, `		case !seen && server.InstanceID == "" && now.Sub(server.Launched) < 0:`}},
			tests:  in(launchTests, "TestServersThatEC2DoesNotShowYetAreNotReplaced"),
		},
		{
			name:   "throttle-costs-the-pool",
			breaks: "2: a throttled call moves the batch to the next pool",
			edits:  []edit{{batchFile, `	case jobs.IsClass(err, jobs.NextPool):`, `	case jobs.IsClass(err, jobs.NextPool, jobs.Retry):`}},
			tests:  in(launchTests, "TestThrottledLaunchesWaitAndLoseNoPlace"),
		},
		{
			name:   "unhealthy-servers-stay",
			breaks: "2: servers that did not become healthy keep running beside their ordinals' report as missing",
			edits:  []edit{{"internal/jobs/launch/settle.go", `	bad, err := l.servers(ctx, p.Failed)`, `	bad, err := l.servers(ctx, p.Failed.Minus(p.Planned))`}},
			tests:  in(launchTests, "TestServersThatDoNotBecomeHealthyGoIfEnoughAre/status_checks"),
		},
		{
			name:   "launch-shrinks",
			breaks: "7: a launch with a lower count lowers what is wanted",
			edits:  []edit{{"internal/jobs/launch/settle.go", `	count := max(l.spec.Count, fleet.Count, l.progress.Existing.Len())`, `	count := min(l.spec.Count, l.progress.Existing.Len()+l.progress.Up.Len())`}},
			tests:  in(rigTests, "TestAskingForFewerServersThanThereAreKeepsThemAllWanted"),
		},
		{
			name:   "late-servers-adopted-by-nobody",
			breaks: "2: a token that EC2 says is used up, and whose servers live, is given up for a new attempt",
			edits:  []edit{{batchFile, `	if len(living) > 0 {`, `	if len(living) > 100 {`}},
			tests:  in(launchTests, "TestWhatATokenMadeIsAdoptedWhenEC2TakesTheParametersForOthers"),
		},
	}
}

// terminateMutants change the order of a termination, and what its cancel does.
func terminateMutants() []mutant {
	return []mutant{
		{
			name:   "terminated-before-deregistered",
			breaks: "4: servers go while their target groups still send them requests",
			edits: []edit{
				{"internal/jobs/terminate/terminate.go", `		{Name: "deregister", Do: t.deregister},
		{Name: "drain", Looks: true, Do: t.drain},
		{Name: "terminate", Do: t.terminate},`, `		{Name: "terminate", Do: t.terminate},
		{Name: "deregister", Do: t.deregister},
		{Name: "drain", Looks: true, Do: t.drain},`},
			},
			tests: in(terminateTests, "TestServersLeaveTheirTargetGroupsBeforeTheyGo"),
		},
		{
			name:   "terminate-with-undo",
			breaks: "2: a cancel marks servers as the fleet's again that EC2 was told to terminate",
			edits: []edit{
				{terminateSteps, `server.State == ledger.Leaving && !t.progress.Sent.Has(server.Ordinal) {`, `server.State == ledger.Leaving {`},
				{"internal/jobs/terminate/terminate.go", `[]jobs.Step{{Name: "forget", Do: t.forget}, {Name: "unmark"`, `[]jobs.Step{{Name: "unmark"`},
			},
			tests: in(terminateTests, "TestACancelTakesNothingBackThatWasTerminated"),
		},
		{
			name:   "terminate-takes-notfound-for-gone",
			breaks: "3: a server that EC2 does not show yet is forgotten, and runs on",
			edits:  []edit{{terminateSteps, `!seen && turn.Now().Sub(server.Launched) >= jobs.PropagationLimit):`, `!seen):`}},
			tests:  in(terminateTests, "TestAServerThatEC2DoesNotShowYetIsNotForgotten"),
		},
		{
			name:   "one-more-goes",
			breaks: "7: one server more than asked is terminated",
			edits:  []edit{{"internal/jobs/terminate/terminate.go", `held[min(*s.To, len(held)):]...)...)`, `held[max(min(*s.To, len(held))-1, 0):]...)...)`}},
			tests:  in(terminateTests, "TestTheChosenServersGoAndTheOthersStay"),
		},
	}
}
