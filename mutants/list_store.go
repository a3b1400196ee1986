package main

// storeMutants change the conditional writes of the jobs table.
func storeMutants() []mutant {
	return []mutant{
		{
			name:   "save-adds-to-seq",
			breaks: "1: a save whose answer was lost counts twice, and the job's message is stale",
			edits: []edit{
				{saveFile, `"SET b = :b, seq = :seq, #state`, `"SET b = :b, seq = seq + :seq, #state`},
				{saveFile, `":seq": number(job.Seq), ":state"`, `":seq": number(job.Seq - saving.Seq), ":state"`},
				{saveFile, `"fence = :fence AND seq = :old AND "`, `"fence = :fence AND seq >= :old AND "`},
			},
			tests: in(rigTests, "TestASaveIsDoneOnceThoughItsAnswerIsLost"),
		},
		{
			name:   "save-without-fence",
			breaks: "6: a worker whose claim has passed on saves all the same",
			edits:  []edit{{saveFile, `"fence = :fence AND seq = :old AND "`, `"fence >= :fence AND seq = :old AND "`}},
			tests:  in(rigTests, "TestAStaleWorkersSaveChangesNothing"),
		},
		{
			name:   "lost-save-read-as-failure",
			breaks: "1: a save that is there, whose answer was lost, is given up as fenced",
			edits:  []edit{{saveFile, `if integer(old, "seq") == job.Seq && job.Seq != saving.Seq {`, `if integer(old, "seq") == job.Seq && job.Seq < saving.Seq {`}},
			tests:  in(rigTests, "TestASaveIsDoneOnceThoughItsAnswerIsLost"),
		},
		{
			name:   "cancel-not-in-the-save",
			breaks: "3: a save does not notice a cancel that came meanwhile",
			edits:  []edit{{saveFile, `		condition += "attribute_not_exists(cancel)"`, `		condition += "fence = :fence"`}},
			tests:  in(rigTests, "TestASaveTellsOfACancelThatCameMeanwhile"),
		},
		{
			name:   "claim-clears-due",
			breaks: "1: a claim removes the due entry, and a death after it loses the job",
			edits:  []edit{{storeFile, `"SET fence = fence + :one, lease = :until, dlv = :dlv, claims = claims + :one"`, `"SET fence = fence + :one, lease = :until, dlv = :dlv, claims = claims + :one REMOVE ds, due"`}},
			tests:  in(rigTests, "TestTheDueEntryStaysUntilSeqMovesOn"),
		},
		{
			name:   "claims-not-counted",
			breaks: "1: a job that kills its workers does so for ever",
			edits:  []edit{{storeFile, `dlv = :dlv, claims = claims + :one"`, `dlv = :dlv, claims = :one"`}},
			tests:  in(rigTests, "TestClaimsWithoutASaveAreCounted"),
		},
		{
			name:   "fence-stays",
			breaks: "6: a claim does not raise the fence, so that the one before it goes on",
			edits:  []edit{{storeFile, `	update := "SET fence = fence + :one, lease`, `	update := "SET fence = fence, lease`}},
			tests:  in(rigTests, "TestAStaleWorkersSaveChangesNothing"),
		},
		{
			name:   "lease-renewed-by-anybody",
			breaks: "6: a stale worker's heartbeat extends the lease of the one that took over",
			edits: []edit{
				{storeFile, `"fence = :fence AND attribute_exists(lease)"`, `"fence >= :fence AND attribute_exists(lease)"`},
			},
			tests: in(rigTests, "TestALeaseThatHasPassedOnIsNotRenewed"),
		},
		{
			name:   "given-up-lease-renewed",
			breaks: "1: a heartbeat that comes after the save leases a job that nobody works on",
			edits:  []edit{{storeFile, `"fence = :fence AND attribute_exists(lease)"`, `"fence = :fence"`}},
			tests:  in(rigTests, "TestALeaseThatHasPassedOnIsNotRenewed"),
		},
		{
			name:   "expired-counts-as-there",
			breaks: "1: a key that comes back after its job's expiry meets an item that DynamoDB has not deleted yet",
			edits:  []edit{{storeFile, `	condition := "attribute_not_exists(id) OR (attribute_exists(#exp) AND #exp < :now)"`, `	condition := "attribute_not_exists(id) OR (attribute_exists(#exp) AND #exp < :now AND fence < :now AND t <> t)"`}},
			tests:  in(rigTests, "TestAnOldKeyAfterItsJobsExpiryBakesANewAMI"),
		},
	}
}
