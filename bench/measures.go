package main

import "fmt"

// measure is one thing that is measured.
type measure struct {
	name string
	// what is measured, and bound how the floor under it is derived.
	what, bound string
	bars        []bar
	take        func(*taking) error
}

// measures are all, in the order of the table. Each stands in the file that takes it.
var measures = []measure{
	bakeEC2Calls,
	bakeCPUSeconds,
	bakeRSS,
	amiNotice,
	launch1000Calls,
	launchBound,
	launchThrottled,
	urgentLaunch,
	patchdayBound,
	patchdayCalls,
	patchdayInPlace,
	rolloutFloor,
	rollbackTime,
	jobWriteUnits,
	jobSQSRequests,
	jobsPerSecond,
	workersScale,
	waiting100k,
	breadth,
}

func (m measure) barOf(name string) *bar {
	for i := range m.bars {
		if m.bars[i].name == name {
			return &m.bars[i]
		}
	}
	return nil
}

func (m measure) barTexts() []string {
	var texts []string
	for _, b := range m.bars {
		texts = append(texts, fmt.Sprintf("%s %s", b.name, b))
	}
	return texts
}
