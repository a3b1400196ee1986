package main

// protocolMutants change the answers of the message protocol, the function Decide.
func protocolMutants() []mutant {
	explored := in(jobsTests, "TestNoOrderOfFaultsLosesAJobOrLetsTwoDeliveriesWork/(child,_commands|retries)")
	return []mutant{
		{
			name:   "seqless-dropped-while-leased",
			breaks: "1: what stands behind a lease is deleted, and the job is lost when the lease's worker dies",
			edits: []edit{{decideFile, `	if job.Leased(now) {
		return VerdictHide
	}`, `	if job.Leased(now) {
		if _, has := m.seq(); !has {
			return VerdictDelete
		}
		return VerdictHide
	}`}},
			tests: explored,
		},
		{
			name:   "higher-seq-deleted",
			breaks: "1: a message whose sender has not saved yet is deleted",
			edits: []edit{{decideFile, `		if seq > job.Seq {
			return VerdictHide
		}`, `		if seq > job.Seq {
			return VerdictDelete
		}`}},
			tests: explored,
		},
		{
			name:   "finished-child-silent",
			breaks: "1: a finished child's message is deleted without the parent's wake",
			edits:  []edit{{decideFile, `if job.Parent != nil {`, `if job.Parent != nil && m.Type == Nudge {`}},
			tests:  explored,
		},
		{
			name:   "leased-job-claimed",
			breaks: "6: a job is claimed while another delivery's lease holds",
			edits:  []edit{{decideFile, `	if job.Leased(now) {`, `	if job.Leased(now) && m.Type == Wake {`}},
			tests:  explored,
		},
		{
			name:   "retry-of-any-run",
			breaks: "4: a retry that names an older run opens another one, so that a doubled command runs twice",
			edits: []edit{
				{decideFile, `m.Type == Reopen && m.Run == job.Run {`, `m.Type == Reopen {`},
				{storeFile, `w.equal("run", number(int64(c.Reopen)))`, `w.where(term{">=", "run", number(int64(c.Reopen))})`},
			},
			tests: in(rigTests, "TestARetryOfAnOlderRunOpensNothing"),
		},
		{
			name:   "retry-serves-as-wake",
			breaks: "1: a retry that comes while the job is open wakes it, and may later stand for the run that it opens",
			edits:  []edit{{decideFile, `m.Type == Reopen && m.Run >= job.Run && !job.Leased(now) {`, `m.Type == Reopen && m.Run > job.Run && !job.Leased(now) {`}},
			tests:  in(jobsTests, "TestNoOrderOfFaultsLosesAJobOrLetsTwoDeliveriesWork/retry_and_event"),
		},
		{
			name:   "stale-message-re-sent",
			breaks: "8: a stale message brings another live chain of messages into the world",
			edits: []edit{{engineFile, `		case VerdictDelete:
			return nil, deleted(), nil`, `		case VerdictDelete:
			if row != nil && row.Job != nil && !row.Job.Finished() && a.message.Type != Reopen {
				wake := &Message{Type: Wake, Job: row.Job.ID, Incarnation: row.Job.Incarnation, Run: row.Job.Run, Seq: row.Job.Seq}
				return nil, deleted(), a.engine.Sender.Send(ctx, WakeLane(row.Job.Priority), wake, time.Minute)
			}
			return nil, deleted(), nil`}},
			tests: in(jobsTests, "TestADoubledMessageDiesByItself"),
		},
		{
			name:   "tombstone-ignored",
			breaks: "3: a cancel that overtook its submission is forgotten",
			edits: []edit{{engineFile, `	if cancelled {
		job.Cancel = 1
	}`, `	if cancelled {
		job.Cancel = 0
	}`}},
			tests: in(jobsTests, "TestACancelThatOvertakesItsSubmissionWins"),
		},
		{
			name:   "any-spec-under-a-key",
			breaks: "1: a submission with another spec under the same key is taken for a repetition, and never done",
			edits:  []edit{{decideFile, `if m.Type == Submit && digest != job.Digest {`, `if m.Type == Submit && digest == "" {`}},
			tests:  in(jobsTests, "TestTheSameKeyWithAnotherSpecIsRefused"),
		},
		{
			name:   "newer-schema-dead-lettered",
			breaks: "1: during a deployment, what newer workers send goes to the dead letters",
			edits:  []edit{{engineFile, `		return nil, hidden(strangerHide) // for a newer worker`, `		return nil, refused(err.Error())`}},
			tests:  in(jobsTests, "TestAMessageOfANewerSchemaIsLeftToANewerWorker"),
		},
		{
			name:   "newer-item-claimed",
			breaks: "1: an old worker carries on a job that a newer one wrote",
			edits: []edit{
				{storeFile, `	w.where(term{"<=", "v", number(jobs.SchemaVersion)})
`, ``},
				{decideFile, `	if job.Schema > SchemaVersion {
		return VerdictHide // for a newer worker
	}`, ``},
			},
			tests: in(rigTests, "TestAJobOfANewerSchemaIsNotClaimed"),
		},
		{
			name:   "skew-ignored",
			breaks: "6: a worker whose clock is ahead takes a lease that still holds for its owner",
			edits: []edit{
				{engineFile, `Decide(row, a.message, a.digest, now.Add(-a.engine.Times.Skew))`, `Decide(row, a.message, a.digest, now)`},
				{engineFile, `		Now: now.Add(-a.engine.Times.Skew), Until`, `		Now: now, Until`},
			},
			tests: in(jobsTests, "TestALeaseIsNotTakenWithinTheSkewOfItsEnd"),
		},
		{
			name:   "redriven-is-another-job",
			breaks: "4: a submission without a key that was redriven from the dead letters is another job",
			edits:  []edit{{engineFile, `id: m.JobID(d.OriginalID)}`, `id: m.JobID(d.ID)}`}},
			tests:  in(jobsTests, "TestARedrivenSubmissionIsTheSameJob"),
		},
	}
}
