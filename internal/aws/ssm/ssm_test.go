package ssm

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

type request struct {
	action string
	body   map[string]any
}

// endpoint answers SSM's JSON from a function and remembers what it was asked.
type endpoint struct {
	mu     sync.Mutex
	asked  []request
	answer func(request) (status int, body string)
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	q := request{action: action}
	if err := json.Unmarshal(raw, &q.body); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = append(e.asked, q)
	status, body := e.answer(q)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: r}, nil
}

func region(t *testing.T, answer func(request) (int, string)) (*Region, *endpoint) {
	t.Helper()
	e := &endpoint{answer: answer}
	cs, err := clients.New(clients.Config{
		Region: "eu-west-1", Endpoint: "http://aws.test", Transport: e, Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", ""),
	})
	if err != nil {
		t.Fatal(err)
	}
	return New(cs).For(jobs.Target{}), e
}

func TestACommandSaysWhereAndHowLong(t *testing.T) {
	t.Parallel()
	r, e := region(t, func(request) (int, string) { return 200, `{"Command":{"CommandId":"c-1"}}` })
	id, err := r.Send(t.Context(), c.Command{
		Shell: "powershell", Script: "Write-Host 1", InstanceIDs: []string{"i-1"}, Comment: strings.Repeat("x", 200),
		Timeout: 90*time.Second + 1, DeliveryTimeout: time.Second, OutputBucket: "b", OutputPrefix: "logs/j",
	})
	if err != nil || id != "c-1" {
		t.Fatal(id, err)
	}
	got := e.asked[0].body
	for name, expected := range map[string]string{
		"DocumentName": "AWS-RunPowerShellScript", "InstanceIds": "[i-1]", "Parameters": "map[commands:[Write-Host 1] executionTimeout:[91]]",
		"TimeoutSeconds": "30", "OutputS3BucketName": "b", "OutputS3KeyPrefix": "logs/j", "Comment": strings.Repeat("x", 100),
	} {
		if said := fmt.Sprint(got[name]); said != expected {
			t.Errorf("%s is %s, expected %s", name, said, expected)
		}
	}
	if _, err := r.Send(t.Context(), c.Command{InstanceIDs: make([]string, 51)}); !jobs.IsClass(err, jobs.Fatal) || len(e.asked) != 1 {
		t.Errorf("51 instances: %v", err)
	}
}

func TestWhatSSMDoesNotShowYetIsNotFound(t *testing.T) {
	t.Parallel()
	codes := map[string]string{"GetCommandInvocation": "InvocationDoesNotExist", "GetParameter": "ParameterNotFound"}
	r, _ := region(t, func(q request) (int, string) { return 400, `{"__type":"` + codes[q.action] + `"}` })
	if _, found, err := r.Invocation(t.Context(), "c-1", "i-1"); found || err != nil {
		t.Errorf("invocation: %v, %v", found, err)
	}
	if _, found, err := r.Parameter(t.Context(), "/web/ami"); found || err != nil {
		t.Errorf("parameter: %v, %v", found, err)
	}
}

func TestServersAreLookedUpTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, e := region(t, func(request) (int, string) {
			return 200, `{"InstanceInformationList":[{"InstanceId":"i-7","PingStatus":"Online","PlatformType":"Linux"}]}`
		})
		var callers sync.WaitGroup
		for i := range 50 {
			callers.Go(func() {
				id := fmt.Sprint("i-", i)
				got, err := r.Managed(t.Context(), id)
				if err != nil || (got[id].PingStatus == "Online") != (i == 7) {
					t.Errorf("%s: %v, %v", id, got, err)
				}
			})
		}
		callers.Wait()
		if len(e.asked) != 1 {
			t.Errorf("%d calls for 50 servers", len(e.asked))
		}
	})
}

// Scripts may run for an hour: what runs is learnt by one call for all, and only what ended is asked for its output.
func TestCommandsThatRunAreLookedAtTogether(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		callers, lists, gets int
		forbidden            bool
	}{{1, 0, 1, false}, {2, 0, 2, false}, {40, 1, 10, false}, {40, 1, 40, true}} {
		synctest.Test(t, func(t *testing.T) {
			r, e := region(t, func(q request) (int, string) {
				if q.action == "GetCommandInvocation" {
					return 200, `{"Status":"Success","ResponseCode":0}`
				}
				if tc.forbidden {
					return 400, `{"__type":"AccessDeniedException"}`
				}
				list := `{"CommandId":"others","InstanceId":"i-9","Status":"InProgress"}`
				for i := range 30 {
					list += fmt.Sprintf(`,{"CommandId":"c-%d","InstanceId":"i-1","Status":"InProgress"}`, i)
				}
				return 200, `{"CommandInvocations":[` + list + `]}`
			})
			var callers sync.WaitGroup
			for i := range tc.callers {
				callers.Go(func() {
					got, found, err := r.Invocation(t.Context(), fmt.Sprintf("c-%d", i), "i-1")
					if runs := i < 30 && tc.callers > 2 && !tc.forbidden; err != nil || !found || got.Ended() == runs {
						t.Errorf("command %d of %d: %+v, %v, %v", i, tc.callers, got, found, err)
					}
				})
			}
			callers.Wait()
			asked := map[string]int{}
			for _, q := range e.asked {
				asked[q.action]++
			}
			if asked["ListCommandInvocations"] != tc.lists || asked["GetCommandInvocation"] != tc.gets {
				t.Errorf("%d callers, forbidden %v: %v, want %d lists and %d gets", tc.callers, tc.forbidden, asked, tc.lists, tc.gets)
			}
		})
	}
}
