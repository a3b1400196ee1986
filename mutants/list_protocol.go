package main

// protocolMutants change the answer of the message protocol, the function Decide.
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
	}
}
