package main

import "strconv"

var launchBound = measure{
	name:  "launch-bound",
	what:  "virtual seconds from a launch's submission to its end, 8 workers, AWS's default limits, head-room 0, every server seen running",
	bound: "(servers − 1,000) ÷ 2: RunInstances' resource bucket holds 1,000 and gets 2 back a second",
	bars: []bar{
		{name: "1000", value: 60},
		{name: "5000", value: 1.05, ratio: true},
		{name: "10000", value: 1.05, ratio: true},
	},
	take: stampByBound,
}

var launchThrottled = measure{
	name: "launch-throttled",
	what: "refused calls (RequestLimitExceeded) in the launch of 10,000 of launch-bound: case alone their number; " +
		"case foreign, while somebody else takes 30 % of what the resource bucket gets back, their share of all EC2 calls",
	bound: "0: who counts as AWS does is never refused",
	bars:  []bar{{name: "alone", value: 0}, {name: "foreign", value: 0.01, below: true}},
	take:  stampThrottled,
}

const largest = 10_000

// foreignShare is what somebody else takes of the refill in the case foreign.
const foreignShare = 0.3

// alone is the launch of 10,000 with nobody else in the account: two measures are about it.
var alone *stamped

func stampAlone(k *taking) (stamped, error) {
	if alone == nil {
		took, err := stamp(k, largest, noHeadroom, nil)
		if err != nil {
			return took, err
		}
		alone = &took
	}
	return *alone, nil
}

func stampByBound(k *taking) error {
	for _, count := range []int{1000, 5000} {
		took, err := stamp(k, count, noHeadroom, nil)
		if err != nil {
			return err
		}
		if err := k.report(strconv.Itoa(count), took.seconds, "s", bound(count)); err != nil {
			return err
		}
	}
	took, err := stampAlone(k)
	if err != nil {
		return err
	}
	return k.report(strconv.Itoa(largest), took.seconds, "s", bound(largest))
}

// bound is the soonest at which the bucket can have granted the last server.
func bound(count int) float64 { return float64(count-bucketSize) / bucketRefill }

func stampThrottled(k *taking) error {
	took, err := stampAlone(k)
	if err != nil {
		return err
	}
	if err := k.report("alone", float64(took.ec2.Throttled), "refused calls", 0); err != nil {
		return err
	}
	took, err = stamp(k, largest, noHeadroom, somebodyElse(foreignShare))
	if err != nil {
		return err
	}
	return k.report("foreign", float64(took.ec2.Throttled)/float64(took.ec2.Calls), "of EC2 calls", 0)
}
