package main

// errorMutants change what AWS's errors mean.
func errorMutants() []mutant {
	classes := in("internal/aws/awserr", "TestEveryCodeOfTheFactsHasItsClassWhateverTheStatus")
	return []mutant{
		{
			name:   "throttle-read-as-no-capacity",
			breaks: "2: a throttle moves a launch to another pool, and makes good pools unusable",
			edits: []edit{
				{errorsFile, `	RetryCodes = []string{
		"RequestLimitExceeded", `, `	RetryCodes = []string{
		`},
				{errorsFile, `		"InsufficientCapacity", "InsufficientAddressCapacity",`, `		"InsufficientCapacity", "InsufficientAddressCapacity", "RequestLimitExceeded",`},
			},
			tests: classes,
		},
		{
			name:   "capacity-read-as-5xx",
			breaks: "1: a capacity error, which comes as HTTP 500, is retried in the same pool for ever",
			edits:  []edit{{errorsFile, `if e.Class == jobs.Unknown && (status`, `if e.Class != jobs.Fatal && (status`}},
			tests:  classes,
		},
		{
			name:   "notfound-right-after-a-create-is-gone",
			breaks: "2: what was just made and is not visible everywhere yet counts as gone",
			edits:  []edit{{errorsFile, `		"InvalidInstanceID.NotFound", "InvalidAMIID.NotFound", "InvalidGroup.NotFound",`, `		"InvalidGroup.NotFound",`}},
			tests:  classes,
		},
		{
			name:   "pool-error-hides-a-throttle",
			breaks: "2: a mixed list of errors with a throttle in it reads as missing capacity",
			edits:  []edit{{errorsFile, `jobs.NotFound, jobs.Retry, jobs.NextPool,`, `jobs.NotFound, jobs.NextPool, jobs.Retry,`}},
			tests:  in("internal/aws/awserr", "TestAThrottleInAMixedListIsOneOnlyAmongPoolErrors"),
		},
		{
			name:   "no-answer-means-no-effect",
			breaks: "3: a call that timed out is taken for one that did nothing",
			edits:  []edit{{errorsFile, `"no answer in time", mutates(name)`, `"no answer in time", name == ""`}},
			tests:  in("internal/aws/awserr", "TestAnErrorTellsWhetherTheCallMayHaveTakenEffect"),
		},
	}
}

// adapterMutants change what is asked of AWS.
func adapterMutants() []mutant {
	return []mutant{
		{
			name:   "batch-error-fails-the-neighbours",
			breaks: "1: one bad entry of a batch fails all that went with it",
			edits:  []edit{{"internal/aws/queue/batches.go", `		errs[i] = fmt.Errorf("%s: %s", aws.ToString(f.Code), aws.ToString(f.Message))`, `		return all(n, fmt.Errorf("%s: %s", aws.ToString(f.Code), aws.ToString(f.Message)))`}},
			tests:  in("internal/aws/queue", "TestAnEntrysErrorIsItsOwn"),
		},
		{
			name:   "batch-error-dropped",
			breaks: "1: an entry that SQS refused counts as sent, and its job is lost",
			edits: []edit{{"internal/aws/queue/batches.go", `	return each(len(entries), out.Failed)
}

func (q *Queue) deleteBatch(`, `	return each(len(entries), out.Failed[:0])
}

func (q *Queue) deleteBatch(`}},
			tests: in("internal/aws/queue", "TestAnEntrysErrorIsItsOwn"),
		},
		{
			name:   "unknown-id-spares-its-neighbours",
			breaks: "3: one unknown id in a Terminate leaves all the others running",
			edits:  []edit{{"internal/aws/ec2/power.go", `	return wrap(call(rest), rest...)`, `	return nil`}},
			tests:  in("internal/aws/ec2", "TestTerminateSplitsUnknownIDsOffOnce"),
		},
		{
			name:   "imdsv1-allowed",
			breaks: "7: servers answer metadata requests without a session token",
			edits:  []edit{{"internal/aws/ec2/launch.go", `types.HttpTokensStateRequired`, `types.HttpTokensStateOptional`}},
			tests:  in("internal/aws/ec2", "TestALaunchIsSafeByDefault"),
		},
		{
			name:   "volumes-without-tags",
			breaks: "3: a volume that outlives its server is found by nobody",
			edits:  []edit{{"internal/aws/ec2/launch.go", `	specs = tagSpec(specs, types.ResourceTypeVolume, volumeTags)`, `	specs = tagSpec(specs, types.ResourceTypeVolume, nil)`}},
			tests:  in("internal/aws/ec2", "TestALaunchIsSafeByDefault"),
		},
		{
			name:   "snapshots-without-tags",
			breaks: "3: the snapshots of an AMI that fails are found by nobody",
			edits:  []edit{{"internal/aws/ec2/capture.go", `return tagSpec(tagSpec(nil, types.ResourceTypeImage, imageTags), types.ResourceTypeSnapshot, snapshotTags)`, `return tagSpec(nil, types.ResourceTypeImage, imageTags)`}},
			tests:  in("internal/aws/ec2", "TestAnAMIAndItsSnapshotsAreTaggedAsTheyAreMade"),
		},
		{
			name:   "private-addresses-called",
			breaks: "7: a spec makes the worker call addresses inside its network",
			edits:  []edit{{"internal/webhook/dial.go", `.WithZone(""); !allow.address(address) {`, `.WithZone(""); !address.IsValid() {`}},
			tests:  in("internal/webhook", "TestPrivateAddressesAreRefusedUnlessAllowed"),
		},
		{
			name:   "half-of-the-rows",
			breaks: "2: keys that DynamoDB left unprocessed are taken for absent",
			edits:  []edit{{"internal/aws/store/awaits.go", `			ask = out.UnprocessedKeys`, `			ask = nil`}},
			tests:  in("internal/aws/store", "TestRowsThatDynamoDBLeftUnprocessedAreAskedForAgain"),
		},
	}
}
