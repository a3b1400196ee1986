package main

// outlivingMutants break what becomes of volumes that EC2 does not delete with their servers.
func outlivingMutants() []mutant {
	const story = "TestVolumesThatOutliveAServerStayIfItHeldAnOrdinalAndGoIfItNeverDid"
	return []mutant{
		{
			name:   "data-of-a-launched-server-reaped",
			breaks: "7: the volumes that a fleet's server leaves are taken for ones of a server that never held an ordinal",
			edits:  []edit{{"internal/jobs/launch/outliving.go", `	set := common(l.progress.Up, l.progress.Outliving)`, `	set := common(l.progress.Failed, l.progress.Outliving)`}},
			tests:  in("./internal/rig", story),
		},
		{
			name:   "data-of-a-successor-reaped",
			breaks: "7: the volumes that a successor leaves, which held its ordinal, are taken for nobody's",
			edits:  []edit{{"internal/jobs/rollout/replaceend.go", `		if r.state.Chunk.Outliving.Has(swap.New.Ordinal) {`, `		if r.state.Chunk.Outliving.Has(-1) {`}},
			tests:  in("./internal/rig", story),
		},
		{
			name:   "root-given-back-goes-though-it-was-to-stay",
			breaks: "7: a root volume that was to outlive its server is deleted with it after a way back",
			edits:  []edit{{"internal/jobs/rollout/inplaceroots.go", `			if !former.Stays {`, `			if former.Image != "" {`}},
			tests:  in("./internal/rig", "TestARootThatIsGivenBackGoesOrStaysWithItsServerAsBefore"),
		},
	}
}
