package main

// outlivingMutants break what becomes of volumes that EC2 does not delete with their servers.
func outlivingMutants() []mutant {
	const story = "TestVolumesThatOutliveAServerStayIfItHeldAnOrdinalAndGoIfItNeverDid"
	return []mutant{
		{
			name:   "data-of-a-launched-server-reaped",
			breaks: "7: the volumes that a fleet's server leaves are taken for ones of a server that never held an ordinal",
			edits:  []edit{{"internal/jobs/launch/outliving.go", `	if len(devices) == 0 || l.progress.Up.Empty() {`, `	if len(devices) > 0 || l.progress.Up.Empty() {`}},
			tests:  in("./internal/rig", story),
		},
		{
			name:   "data-of-a-plain-fleet-reaped",
			breaks: "7: volumes of a fleet whose spec keeps none are marked as nobody's: those that a person has EC2 keep go",
			edits:  []edit{{"internal/jobs/launch/batch.go", `	if len(stamp.Server.outliving()) > 0 {`, `	if len(stamp.Server.outliving()) >= 0 {`}},
			tests:  in("./internal/rig", "TestTheReaperLeavesEveryVolumeOfAFleetWhoseSpecKeepsNone"),
		},
		{
			name:   "data-of-a-successor-reaped",
			breaks: "7: the volumes that a successor leaves, which held its ordinal, are taken for nobody's",
			edits:  []edit{{"internal/jobs/rollout/replaceend.go", `		if devices := c.Outliving; len(devices) > 0 {`, `		if devices := c.Outliving; len(devices) > 1000 {`}},
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
