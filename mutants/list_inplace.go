package main

// inPlaceMutants break root volumes that are replaced in place, and what moves to successors.
func inPlaceMutants() []mutant {
	return []mutant{
		{
			name:   "gate-skipped-after-root-replacement",
			breaks: "4: a server with a new root volume counts as rolled before it was tried",
			edits:  []edit{{"internal/jobs/rollout/inplaceend.go", `		c.Passed = common(result.Passed, c.Done)`, `		c.Passed = c.Done`}},
			tests:  in("./internal/rig", "TestAServerThatIsUnhealthyInPlaceGetsItsRootBack"),
		},
		{
			name:   "old-root-deleted-before-the-fleet-is-done",
			breaks: "4: the former root volume goes with its replacement, so that nothing is left to go back to",
			edits:  []edit{{"internal/jobs/rollout/inplaceroots.go", `		request.ImageID = c.Image.AMI` + "\n\tcase server", `		request.ImageID, request.DeleteOld = c.Image.AMI, true` + "\n\tcase server"}},
			tests:  in("./internal/rig", "TestAFailedGateGivesEveryServerItsRootBackThroughADeathAtEveryCall"),
		},
		{
			name:   "volume-pulled-out-of-a-running-server",
			breaks: "7: a volume is taken from a server that still writes to it",
			edits:  []edit{{"internal/jobs/belongings/hand.go", `		if i.State != "stopped" && i.State != "terminated" {`, `		if i.State == "pending" {`}},
			tests:  in("./internal/jobs/belongings", "TestNothingIsPulledOutOfARunningServer"),
		},
		{
			name:   "volume-attached-twice",
			breaks: "7: a volume that is at its new server is attached to it again",
			edits:  []edit{{"internal/jobs/belongings/hand.go", `		case d.InstanceID == "" && d.State == "available":`, `		case d.InstanceID != h.from:`}},
			tests:  in("./internal/jobs/belongings", "TestEverythingMovesOnceWhicheverAnswerIsLost"),
		},
	}
}
