// Package quotas reads Service Quotas: how much of EC2 an account may have in a region.
package quotas

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
)

const (
	// timeout is short: who cannot reach the service goes on without it.
	timeout = 5 * time.Second
	// fresh is how long a quota that was read serves: the service takes few calls a second, and a quota seldom changes.
	fresh = time.Minute
)

// Service gives regions.
type Service struct {
	clients *clients.Clients
	mu      sync.Mutex
	known   map[known]value
}

type known struct {
	target jobs.Target
	code   string
}

type value struct {
	quota float64
	at    time.Time
}

// New makes the service.
func New(clients *clients.Clients) *Service {
	return &Service{clients: clients, known: map[known]value{}}
}

// For is the target's region.
func (s *Service) For(target jobs.Target) *Region { return &Region{s, s.clients.For(target)} }

// Region is Service Quotas in one account and region. It is safe for concurrent use.
type Region struct {
	service  *Service
	regional *clients.Regional
}

// EC2 is the quota of that code as it applies to the account.
func (r *Region) EC2(ctx context.Context, code string) (float64, error) {
	key := known{r.regional.Target, code}
	r.service.mu.Lock()
	old, ok := r.service.known[key]
	r.service.mu.Unlock()
	if ok && time.Since(old.at) < fresh {
		return old.quota, nil
	}
	out, err := r.regional.Quotas.GetServiceQuota(clients.WithTimeout(ctx, timeout), &servicequotas.GetServiceQuotaInput{
		ServiceCode: aws.String("ec2"), QuotaCode: aws.String(code),
	})
	if err != nil {
		return 0, awserr.From(err, code)
	}
	if out.Quota == nil || out.Quota.Value == nil {
		return 0, jobs.Fatalf("servicequotas GetServiceQuota", code, "the answer has no value", "")
	}
	read := value{*out.Quota.Value, time.Now()}
	r.service.mu.Lock()
	r.service.known[key] = read
	r.service.mu.Unlock()
	return read.quota, nil
}
