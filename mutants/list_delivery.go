package main

// deliveryMutants change the order of a delivery's calls, and what its saves carry.
func deliveryMutants() []mutant {
	dies := in(jobsTests, "TestAWorkerThatDiesAtAnyCallLosesAndDoublesNothing")
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
			name:   "end-by-seqless-without-message",
			breaks: "1: a seq-less delivery ends a child, dies, and the parent is never woken",
			edits:  []edit{{stintFile, `	if s.seqless && job.Parent != nil {`, `	if s.seqless && job.Parent != nil && s.seq < 0 {`}},
			tests:  in(jobsTests, "TestAnEventThatEndsAChildAndIsDeletedByAnotherStillWakesTheParent"),
		},
	}
}
