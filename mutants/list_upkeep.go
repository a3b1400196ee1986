package main

// upkeepMutants change sweeper and reaper.
func upkeepMutants() []mutant {
	return []mutant{
		{
			name:   "sweeper-feeds-a-backlog",
			breaks: "8: rescues are sent though the queue is only behind",
			edits:  []edit{{sweeperFile, `		if behind >= s.Behind {`, `		if behind < 0 {`}},
			tests:  in(jobsTests, "TestRescuesHoldBackWhileAQueueIsBehind"),
		},
		{
			name:   "due-job-sent-each-sweep",
			breaks: "8: a due job is sent again by each sweep while its wake stands in a backlog",
			edits:  []edit{{sweeperFile, `	return s.Store.Postpone(ctx, job, now.Add(s.RescueAfter))`, `	return nil`}},
			tests:  in(jobsTests, "TestADueJobIsPostponedOnceItIsSent"),
		},
		{
			name:   "rescues-do-not-back-off",
			breaks: "8: a job whose wake is late is rescued each time anew",
			edits:  []edit{{sweeperFile, `s.RescueAfter<<min(job.Rescues, 8)`, `s.RescueAfter`}},
			tests:  in(jobsTests, "TestARescueBacksOff"),
		},
		{
			name:   "every-worker-sweeps",
			breaks: "8: all workers sweep at once",
			edits:  []edit{{sweeperFile, `	if err != nil || !mine {`, `	if err != nil && !mine {`}},
			tests:  in(jobsTests, "TestOneWorkerSweepsAtATime"),
		},
		{
			name:   "reaper-takes-a-fleets-server",
			breaks: "7: the reaper terminates a server that the ledger names",
			edits:  []edit{{"internal/aws/estate/estate.go", `			if s.InstanceID != "" {`, `			if s.InstanceID != "" && s.State == "launched" {`}},
			tests:  in(rigTests, "TestTheReaperRemovesWhatACrashLeftAndNothingElse"),
		},
		{
			name:   "reaper-takes-a-versions-image",
			breaks: "5: the reaper deregisters an AMI that the catalog names",
			edits:  []edit{{"internal/aws/estate/estate.go", `				named[copied.AMI] = true`, `				named[copied.AMI] = v.State != l.Available`}},
			tests:  in(rigTests, "TestTheReaperRemovesWhatACrashLeftAndNothingElse"),
		},
		{
			name:   "reaper-without-grace",
			breaks: "7: what is made and about to be named is removed at first sight",
			edits:  []edit{{reaperFile, `		if o.Left <= 0 && (`, `		if o.Left <= r.Grace && (`}},
			tests:  in(jobsTests, "TestTheReaperRemovesWhatNobodyNamesAndNothingElse"),
		},
		{
			name:   "reaper-reads-the-ledger-first",
			breaks: "7: what is made and named between the two looks is taken for an orphan",
			edits: []edit{
				{reaperFile, `	things, err := r.Estate.List(ctx, target)
	if err != nil || len(things) == 0 {`, `	named, err := r.Estate.Named(ctx)
	if err != nil {
		return nil, err
	}
	things, err := r.Estate.List(ctx, target)
	if err != nil || len(things) == 0 {`},
				{reaperFile, `	named, err := r.Estate.Named(ctx)
	if err != nil {
		return nil, err
	}
	var orphans []Orphan`, `	var orphans []Orphan`},
			},
			tests: in(jobsTests, "TestWhatIsNamedWhileTheReaperLooksIsNoOrphan"),
		},
		{
			name:   "reaper-takes-a-live-jobs-things",
			breaks: "7: what a running job made is removed",
			edits:  []edit{{reaperFile, `	live := row != nil && row.Job != nil && !row.Job.Finished() && row`, `	live := row != nil && row.Job != nil && row.Job.Finished() && row`}},
			tests:  in(jobsTests, "TestTheReaperRemovesWhatNobodyNamesAndNothingElse"),
		},
		{
			name:   "reaper-takes-look-alikes",
			breaks: "7: what carries half of our tags is removed",
			edits:  []edit{{reaperFile, `|| thing.Tags[TagJob] == "" ||`, `||`}},
			tests:  in(jobsTests, "TestWhatLacksOneOfOurTagsIsLeftAlone"),
		},
	}
}
