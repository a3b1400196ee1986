package main

// deliveryMutants change the order of a delivery's calls, and what its saves carry.
func deliveryMutants() []mutant {
	dies := in(jobsTests, anyDeath)
	return []mutant{
		{
			name:   "save-before-send",
			breaks: "1: a death between save and send leaves the job without a message",
			edits: []edit{{stintFile, `	if !due {
		if err := s.sendNext(ctx, until.Sub(now)); err != nil {
			return Outcome{}, s.handBack(ctx, err)
		}
	}
	job.Seq, job.Lease, job.Claims = s.seq+1, time.Time{}, 0
	if err := s.save(ctx, Saving{Seq: s.seq}); err != nil {
		return Outcome{}, err
	}
	return deleted(), nil`, `	job.Seq, job.Lease, job.Claims = s.seq+1, time.Time{}, 0
	if err := s.save(ctx, Saving{Seq: s.seq}); err != nil {
		return Outcome{}, err
	}
	if !due {
		if err := s.sendNext(ctx, until.Sub(now)); err != nil {
			return Outcome{}, s.handBack(ctx, err)
		}
	}
	return deleted(), nil`}},
			tests: dies,
		},
		{
			name:   "seq-raised-between-steps",
			breaks: "1: the message in hand is stale before its successor exists",
			edits: []edit{
				{stintFile, `	cancel, err := e.Store.Save(ctx, t.Job, Saving{Seq: t.Job.Seq})`, `	t.Job.Seq++
	cancel, err := e.Store.Save(ctx, t.Job, Saving{Seq: t.Job.Seq - 1})`},
				{stintFile, `	due := until.Sub(now) > MaxDelay`, `	due := until.Sub(now) > MaxDelay
	s.seq = job.Seq`},
				{stintFile, `	if s.seqless && job.Parent != nil {`, `	s.seq = job.Seq
	if s.seqless && job.Parent != nil {`},
			},
			tests: dies,
		},
		{
			name:   "end-by-seqless-without-message",
			breaks: "1: a seq-less delivery ends a child, dies, and the parent is never woken",
			edits:  []edit{{stintFile, `	if s.seqless && job.Parent != nil {`, `	if s.seqless && job.Parent != nil && s.seq < 0 {`}},
			tests:  in(jobsTests, "TestAnEventThatEndsAChildAndIsDeletedByAnotherStillWakesTheParent"),
		},
		{
			name:   "made-things-saved-late",
			breaks: "3: what a step made is not saved before the next step begins",
			edits:  []edit{{stintFile, `	if step.Looks || next == endOfSteps {`, `	if next != "" {`}},
			tests:  in(jobsTests, "TestWhatAStepMadeIsSavedBeforeTheNextBegins"),
		},
		{
			name:   "cancel-lost-between-steps",
			breaks: "3: a cancel that comes while the job is worked on is not seen at the next step",
			edits: []edit{{stintFile, `		t.lost = err
		return err
	}
	t.Job.Cancel = max(cancel, t.Job.Cancel)`, `		t.lost = err
		return err
	}
	_ = cancel`}},
			tests: in(jobsTests, "TestACancelIsSeenBeforeTheNextStep"),
		},
		{
			name:   "fenced-worker-goes-on",
			breaks: "6: a worker whose save was refused carries on with the next step",
			edits: []edit{{stintFile, `	if s.turn.lost != nil {
		return Move{}, false, s.turn.lost // the claim is gone: nothing more is changed
	}`, ``}},
			tests: in(jobsTests, "TestAStepThatSwallowsALostClaimIsTheLast"),
		},
		{
			name:   "panic-costs-the-claim-only",
			breaks: "1: a step that panics is no error of its job, which goes round until its claims are used up",
			edits: []edit{{stintFile, `			err = &Error{Class: Unknown, Op: "step " + step.Name, Message: Clip(fmt.Sprintf("panic: %v", p), 500), Ambiguous: true}`,
				`			panic(p)`}},
			tests: in(jobsTests, "TestAPanicIsTheJobsErrorAndFailsItAlone"),
		},
		{
			name:   "claims-never-end",
			breaks: "1: a job that kills its workers does so for ever",
			edits:  []edit{{stintFile, `	if job.Claims > MaxClaims {`, `	if job.Claims > 1000*MaxClaims {`}},
			tests:  in(jobsTests, "TestAJobThatKillsItsWorkersFailsForGood"),
		},
		{
			name:   "killer-not-alone",
			breaks: "1: a job that exhausts memory takes its neighbours along each time",
			edits:  []edit{{engineFile, `	if job.Claims > SoloClaims && d.Alone != nil {`, `	if job.Claims > 2*MaxClaims && d.Alone != nil {`}},
			tests:  in(jobsTests, "TestAJobThatSeemsToKillItsWorkersRunsAlone"),
		},
		{
			name:   "lost-act-forgotten",
			breaks: "3: after a death nobody knows that a call may have been made, and the undo looks once",
			edits: []edit{{stintFile, `		job.Lost = now
		job.Grants = nil`, `		job.Grants = nil`}},
			tests: in(jobsTests, "TestAnUndoLooksForWhatALostCallMakesLate"),
		},
		{
			name:   "made-before-the-last-is-saved",
			breaks: "3: a thing is made while the one before it is not saved yet",
			edits:  []edit{{makeFile, `	if turn.dirty { // what`, `	if turn.dirty && turn.lost != nil { // what`}},
			tests:  in(jobsTests, "TestWhatIsNotYetSavedIsSavedBeforeTheNextAct"),
		},
		{
			name:   "undo-looks-once",
			breaks: "3: what a lost call makes late is not undone",
			edits:  []edit{{makeFile, `turn.Now().Before(until) {`, `turn.Now().Before(until) && until.IsZero() {`}},
			tests:  in(jobsTests, "TestAnUndoLooksForWhatALostCallMakesLate"),
		},
		{
			name:   "ambiguous-error-forgotten",
			breaks: "3: a call without an answer is taken for one that did nothing",
			edits: []edit{{"internal/jobs/judge.go", `	if IsAmbiguous(err) {
		job.Lost = now
	}`, ``}},
			tests: in(jobsTests, "TestAnUndoLooksForWhatALostCallMakesLate"),
		},
	}
}
