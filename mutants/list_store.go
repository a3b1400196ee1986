package main

// storeMutants change the conditional writes of the jobs table.
func storeMutants() []mutant {
	return []mutant{
		{
			name:   "save-adds-to-seq",
			breaks: "1: a save whose answer was lost counts twice, and the job's message is stale",
			edits: []edit{
				{saveFile, `set: []attribute{{"b", binary(document)}, {"seq", number(job.Seq)}, {"state"`,
					`add: []attribute{{"seq", number(job.Seq - saving.Seq)}}, set: []attribute{{"b", binary(document)}, {"state"`},
				{saveFile, `c.equal("seq", number(saving.Seq))`, `c.where(term{">=", "seq", number(saving.Seq)})`},
				{saveFile, `c.where(term{absent, "saves", nil})`, `c.equal("fence", number(job.Fence))`},
			},
			tests: in(rigTests, "TestASaveIsDoneOnceThoughItsAnswerIsLost"),
		},
		{
			name:   "save-without-fence",
			breaks: "6: a worker whose claim has passed on saves all the same",
			edits:  []edit{{saveFile, `c.equal("fence", number(job.Fence))`, `c.where(term{">=", "fence", number(job.Fence)})`}},
			tests:  in(rigTests, "TestAStaleWorkersSaveChangesNothing"),
		},
		{
			name:   "lost-save-read-as-failure",
			breaks: "1: a save that is there, whose answer was lost, is given up as fenced",
			edits:  []edit{{saveFile, `if integer(old, "saves") == job.Saves+1 && integer(old, "seq") == job.Seq {`, `if integer(old, "saves") == job.Saves+1 && job.Seq < saving.Seq {`}},
			tests:  in(rigTests, "TestASaveIsDoneOnceThoughItsAnswerIsLost"),
		},
		{
			name:   "cancel-not-in-the-save",
			breaks: "3: a save does not notice a cancel that came meanwhile",
			edits:  []edit{{saveFile, `c.where(term{absent, "cancel", nil})`, `c.equal("fence", number(job.Fence))`}},
			tests:  in(rigTests, "TestASaveTellsOfACancelThatCameMeanwhile"),
		},
		{
			name:   "claim-clears-due",
			breaks: "1: a claim removes the due entry, and a death after it loses the job",
			edits:  []edit{{storeFile, `		w.add = append(w.add, attribute{"claims", one})`, `		w.add, w.remove = append(w.add, attribute{"claims", one}), []string{"ds", "due"}`}},
			tests:  in(rigTests, "TestTheDueEntryStaysUntilSeqMovesOn"),
		},
		{
			name:   "claims-not-counted",
			breaks: "1: a job that kills its workers does so for ever",
			edits:  []edit{{storeFile, `		w.add = append(w.add, attribute{"claims", one})`, `		w.set = append(w.set, attribute{"claims", one})`}},
			tests:  in(rigTests, "TestClaimsWithoutASaveAreCounted"),
		},
		{
			name:   "fence-stays",
			breaks: "6: a claim does not raise the fence, so that the one before it goes on",
			edits:  []edit{{storeFile, `add: []attribute{{"fence", one}}`, `add: []attribute{{"fence", number(0)}}`}},
			tests:  in(rigTests, "TestAStaleWorkersSaveChangesNothing"),
		},
		{
			name:   "lease-renewed-by-anybody",
			breaks: "6: a stale worker's heartbeat extends the lease of the one that took over",
			edits: []edit{
				{storeFile, `"fence = :fence AND lease <= :until"`, `"fence >= :fence AND lease <= :until"`},
			},
			tests: in(rigTests, "TestALeaseThatHasPassedOnIsNotRenewed"),
		},
		{
			name:   "given-up-lease-renewed",
			breaks: "1: a heartbeat that comes after the save leases a job that nobody works on",
			edits:  []edit{{storeFile, `"fence = :fence AND lease <= :until"`, `"fence = :fence AND (attribute_not_exists(lease) OR lease <= :until)"`}},
			tests:  in(rigTests, "TestALeaseThatHasPassedOnIsNotRenewed"),
		},
		{
			name:   "expired-counts-as-there",
			breaks: "1: a key that comes back after its job's expiry meets an item that DynamoDB has not deleted yet",
			edits:  []edit{{storeFile, `	condition := "attribute_not_exists(id) OR (attribute_exists(#exp) AND #exp < :now)"`, `	condition := "attribute_not_exists(id) OR (attribute_exists(#exp) AND #exp < :now AND fence < :now AND t <> t)"`}},
			tests:  in(rigTests, "TestAnOldKeyAfterItsJobsExpiryBakesANewAMI"),
		},
		{
			name:   "shared-write-believed",
			breaks: "6: a write that a shared request refused counts as made",
			edits:  []edit{{togetherFile, `out != nil && i < len(out.Responses) && out.Responses[i].Error == nil`, `out != nil && i < len(out.Responses)`}},
			tests:  in(storeTests, "TestARequestIsBelievedOnlyWhereItSaysThatAWriteWasMade"),
		},
		{
			name:   "shared-request-tried-for-ever",
			breaks: "a worker that may not share requests sends each write twice",
			edits:  []edit{{togetherFile, `		t.rest = time.Now().Add(batchRest)`, `		t.rest = time.Now()`}},
			tests:  in(storeTests, "TestNothingIsSharedForAWhileAfterARequestFailed"),
		},
		{
			name:   "denied-statements-unnoticed",
			breaks: "a worker that may not send statements sends each write twice",
			edits:  []edit{{togetherFile, `		err = denied(out.Responses)`, `		_ = denied(out.Responses)`}},
			tests:  in(storeTests, "TestNothingIsSharedForAWhileAfterARequestFailed"),
		},
		{
			name:   "two-writes-of-an-item",
			breaks: "DynamoDB refuses a whole request for two deliveries of one job",
			edits:  []edit{{togetherFile, ` || seen[s.id] {`, ` {`}},
			tests:  in(storeTests, "TestABatchHasOneWriteOfAnItem"),
		},
		{
			name:   "writes-left-in-the-queue",
			breaks: "2: what comes while a worker is busy waits for ever",
			edits:  []edit{{togetherFile, `	if len(t.queue) > 0 && t.flying < aloneWrites {`, `	if len(t.queue) > largestBatch && t.flying < aloneWrites {`}},
			tests:  in(storeTests, "TestWritesOfABusyWorkerShareRequests"),
		},
		{
			name:   "hung-requests-hold-up-others",
			breaks: "two requests that hang stop every job of a worker",
			edits:  []edit{{togetherFile, `	longestQueue = 250 * time.Millisecond`, `	longestQueue = time.Minute`}},
			tests:  in(storeTests, "TestRequestsThatHangHoldUpNobodyElses"),
		},
		{
			name:   "statement-without-its-condition",
			breaks: "6: a shared write is made whatever stands there",
			edits: []edit{{changeFile, `	for _, terms := range c.when {
		say(`, `	for _, terms := range c.when[:1] {
		say(`}},
			tests: in(storeTests, "TestAStatementChangesWhatTheUpdateChanges"),
		},
		{
			name:   "claim-of-nothing",
			breaks: "1: a job is carried on that no answer showed",
			edits:  []edit{{storeFile, `err == nil && len(now) == 0 {`, `err == nil && len(now) > 1<<20 {`}},
			tests:  in(storeTests, "TestAClaimThatIsToldNothingAsksAgain"),
		},
	}
}
