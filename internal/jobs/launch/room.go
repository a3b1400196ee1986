package launch

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/stampmill/stampmill/internal/jobs/cloud"
)

// usagePages bounds what Launch's own first step counts of what runs: 5,000 instances. A plan counts all.
const usagePages = 5

// lookAddresses compares what is to be launched with the free addresses of the pools' subnets.
func (l *launch) lookAddresses(_ context.Context, s *survey) error {
	free, seen := 0, map[string]bool{}
	var each []string
	for _, rung := range l.progress.Ladder {
		subnet, known := s.subnets[rung.Subnet]
		if !known {
			return nil // the launch template says where
		}
		if !seen[subnet.ID] {
			seen[subnet.ID] = true
			free += subnet.FreeAddresses
			each = append(each, fmt.Sprintf("%s %d", subnet.ID, subnet.FreeAddresses))
		}
	}
	if len(seen) > 0 {
		l.compare(s, free, "free addresses in the pools' subnets ("+strings.Join(each, ", ")+")", "add subnets to the pools, or free addresses")
	}
	return nil
}

// compare tells where there is less room than is to be launched: a warning as long as enough servers can be accepted.
func (l *launch) compare(s *survey, room int, of, hint string) {
	if room >= s.need {
		return
	}
	message := fmt.Sprintf("%d servers are to be launched, and there is room for %d: %s", s.need, room, of)
	accepted := int(math.Ceil(float64(l.spec.Count)*l.spec.accept()/100 - 1e-9))
	if l.spec.Count-s.need+room >= accepted {
		s.warn(message, hint, "count")
		return
	}
	s.wrong(message, hint, "count")
}

// quotaUse is a vCPU quota that the ladder's types count against.
type quotaUse struct {
	Code  string `json:"code"`
	Name  string `json:"name"`
	Limit int    `json:"limit"`
	Used  int    `json:"used"`
	// Each is the vCPUs of the smallest of the ladder's types that count against it.
	Each int `json:"vcpusEach"`
}

func (q quotaUse) room() int { return max(q.Limit-q.Used, 0) / q.Each }

func (q quotaUse) String() string {
	return fmt.Sprintf("%s (%s): %d vCPUs, %d in use, %d a server", q.Name, q.Code, q.Limit, q.Used, q.Each)
}

// lookQuotas compares what is to be launched with the account's vCPU quotas. Where they cannot be asked, EC2 tells later.
func (l *launch) lookQuotas(ctx context.Context, s *survey) error {
	if l.Quotas == nil || s.need == 0 || !l.quotasOf(s) {
		return nil
	}
	whole, err := l.readQuotas(ctx, s)
	if err != nil || len(s.quotas) == 0 {
		return err
	}
	room := 0
	var each, raise []string
	for _, q := range s.quotas {
		room += q.room()
		each = append(each, q.String())
		raise = append(raise, fmt.Sprintf("aws service-quotas request-service-quota-increase --region %s --service-code ec2 --quota-code %s --desired-value %d",
			l.region(), q.Code, q.Used+s.need*q.Each))
	}
	of := "vCPU quotas: " + strings.Join(each, "; ")
	if !whole {
		of += fmt.Sprintf("; only the first %d running instances were counted", s.pages*1000)
	}
	l.compare(s, room, of, "lower the count, or ask AWS for more: "+strings.Join(raise, " or "))
	return nil
}

// quotasOf finds the quotas that the ladder's types count against, if all of them are known.
func (l *launch) quotasOf(s *survey) bool {
	at := map[string]int{}
	s.quotas = nil
	for _, rung := range l.progress.Ladder {
		class, known := vcpuClassOf(rung.Type, rung.Spot)
		t := s.types[rung.Type]
		if !known || t.VCPUs == 0 {
			s.quotas = nil
			return false
		}
		i, seen := at[class.code]
		if !seen {
			i = len(s.quotas)
			at[class.code] = i
			s.quotas = append(s.quotas, quotaUse{Code: class.code, Name: class.name, Each: t.VCPUs})
		}
		s.quotas[i].Each = min(s.quotas[i].Each, t.VCPUs)
	}
	return len(s.quotas) > 0
}

// readQuotas asks for the limits, and for what is in use. Without the right or the service, that is said, and nothing is
// compared.
func (l *launch) readQuotas(ctx context.Context, s *survey) (whole bool, err error) {
	for i := range s.quotas {
		limit, err := l.Quotas(l.job.Target).EC2(ctx, s.quotas[i].Code)
		if err != nil {
			s.warn(fmt.Sprintf("the vCPU quota %s could not be asked, so that it is not compared: %s", s.quotas[i].Code, err), "")
			s.quotas = nil
			return false, ctx.Err()
		}
		s.quotas[i].Limit = int(limit)
	}
	used, whole, err := l.ec2().RunningVCPUs(ctx, s.pages)
	s.count("DescribeInstances")
	if err != nil {
		s.quotas = nil
		return false, s.advise(err)
	}
	for running, vcpus := range used {
		l.use(s, running, vcpus)
	}
	return whole, nil
}

func (l *launch) use(s *survey, running cloud.Running, vcpus int) {
	class, known := vcpuClassOf(running.Type, running.Spot)
	for i := range s.quotas {
		if known && s.quotas[i].Code == class.code {
			s.quotas[i].Used += vcpus
		}
	}
}
