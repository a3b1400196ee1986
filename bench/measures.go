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

var measures = []measure{
	{
		name:  "bake-ec2-calls",
		what:  "EC2 calls a plain bake, polls included, mean over 100 in parallel, in virtual time; case throttled: refused calls, which come on top",
		bound: "4: launch, stop, capture and terminate are a call each; any number of bakes can share a look",
		bars:  []bar{{name: "polls", value: 14}},
		take:  bakeCalls,
	},
	{
		name:  "bake-cpu",
		what:  "the worker's CPU seconds a plain bake, 200 in parallel, real processes at speed 60",
		bound: "none",
		bars:  []bar{{name: "plain", value: 0.02}},
		take:  bakeCPU,
	},
	{
		name:  "bake-1000-rss",
		what:  "the worker's peak resident memory while 1,000 plain bakes wait, real processes at speed 60",
		bound: "none",
		bars:  []bar{{name: "plain", value: 64}},
		take:  bakeMemory,
	},
	{
		name:  "launch-1000-calls",
		what:  "EC2 calls to stamp 1,000 servers with their own hostnames and settings, verified running, in virtual time; case throttled: those among them that were refused",
		bound: "11: a RunInstances call for 100 servers, and one DescribeInstances page that sees 1,000 of them running",
		bars:  []bar{{name: "m7g.large", value: 40}},
		take:  launchCalls,
	},
	{
		name:  "job-writes",
		what:  "DynamoDB write units of a one-step job, tables and indexes, mean over 1,000, in virtual time",
		bound: "2: create and claim in one, finish; 1 KB each",
		bars:  []bar{{name: "ping", value: 4}},
		take:  jobWrites,
	},
	{
		name:  "job-sqs",
		what:  "SQS requests of a one-step job, from its submission on, without empty receives, mean over 1,000, in virtual time",
		bound: "0.3: send, receive and delete in batches of ten",
		bars:  []bar{{name: "ping", value: 0.6}},
		take:  jobRequests,
	},
	{
		name:  "jobs-per-second",
		what:  "one-step jobs to done by one worker from a filled queue, real processes; cases worker-cpu, localaws-cpu: microseconds of CPU a job",
		bound: "none",
		bars:  []bar{{name: "ping", value: 1500, least: true}},
		take:  jobRate,
	},
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
