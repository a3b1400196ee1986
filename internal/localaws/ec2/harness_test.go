package ec2

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/stampmill/stampmill/internal/localaws/api"
	"github.com/stampmill/stampmill/internal/localaws/machine"
	recording "github.com/stampmill/stampmill/internal/localaws/record"
	"github.com/stampmill/stampmill/internal/localaws/seed"
	"github.com/stampmill/stampmill/internal/localaws/state"
)

const testRegion = "eu-west-1"

// bundle is an EC2 with the real SDK in front and fake machines behind.
type bundle struct {
	*sdk.Client
	service *Service
	host    *fakeHost
	events  *eventLog
}

type eventLog struct {
	mu  sync.Mutex
	all []api.Event
}

func (l *eventLog) add(e api.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, e)
}

// states are the instance states that the events told, in their order.
func (l *eventLog) states() []any {
	l.mu.Lock()
	defer l.mu.Unlock()
	var states []any
	for _, e := range l.all {
		states = append(states, e.Detail["state"])
	}
	return states
}

type transport struct{ service api.Service }

// RoundTrip routes a signed request to the service as the endpoint's core does.
var recorded = recording.New()

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	scope := strings.Split(credential, "/")
	recorder := httptest.NewRecorder()
	request := &api.Request{
		HTTP: r, Body: body, Service: "ec2", Region: scope[2], Account: scope[0], AccessKey: scope[0],
		Action: form.Get("Action"), Form: form, ID: "request",
	}
	t.service.ServeAWS(recorder, request)
	return recorder.Result(), recorded.Keep("ec2", request, recorder.Code, recorder.Header(), recorder.Body.Bytes())
}

type setting func(*api.Env, *Options)

func withBuckets(_ *api.Env, o *Options)        { o.Buckets = true }
func withoutPropagation(_ *api.Env, o *Options) { o.Propagation = -1 }

func start(t *testing.T, settings ...setting) *bundle {
	t.Helper()
	store, err := state.Open("")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, store, settings...)
}

func startOn(t *testing.T, store *state.Store, settings ...setting) *bundle {
	t.Helper()
	b := &bundle{host: &fakeHost{}, events: &eventLog{}}
	env := &api.Env{Store: store, Speed: 1, Seed: 1, Emit: b.events.add}
	options := Options{
		BaseDisk:  func(_, _, _ string) machine.Disk { return &fakeDisk{} },
		EmptyDisk: func() machine.Disk { return &fakeDisk{} },
		DecodeDisk: func(raw []byte) (machine.Disk, error) {
			disk := &fakeDisk{}
			return disk, json.Unmarshal(raw, &disk.files)
		},
	}
	for _, set := range settings {
		set(env, &options)
	}
	service, err := New(env, b.host, options)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Compact(); err != nil {
		t.Fatal(err)
	}
	service.Start()
	b.service = service
	b.Client = b.client(testRegion, api.DefaultAccount)
	return b
}

func (b *bundle) client(region, account string) *sdk.Client {
	return sdk.New(sdk.Options{
		Region: region, HTTPClient: &http.Client{Transport: transport{b.service}}, Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider(account, "secret", ""),
	})
}

// virtual runs a test on virtual time and closes the service at its end.
func virtual(t *testing.T, test func(t *testing.T, b *bundle), settings ...setting) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, settings...)
		defer b.service.Close()
		test(t, b)
	})
}

// base is the newest AMI of a line in the test region.
func baseImage(line string) string {
	id := ""
	for _, image := range seed.Images(testRegion, 1) {
		if image.Line == line {
			id = image.ID
		}
	}
	return id
}

func (b *bundle) run(t *testing.T, count int32, change ...func(*sdk.RunInstancesInput)) *sdk.RunInstancesOutput {
	t.Helper()
	out, err := b.tryRun(count, change...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (b *bundle) tryRun(count int32, change ...func(*sdk.RunInstancesInput)) (*sdk.RunInstancesOutput, error) {
	in := &sdk.RunInstancesInput{
		ImageId: aws.String(baseImage("al2023-arm64")), InstanceType: types.InstanceTypeM7gLarge,
		MinCount: aws.Int32(1), MaxCount: aws.Int32(count),
	}
	for _, f := range change {
		f(in)
	}
	return b.RunInstances(context.Background(), in)
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		t.Fatalf("error is %v, want %s", err, code)
	}
}

// fakeHost makes machines that do nothing but hold disks and count what was done to them.
type fakeHost struct {
	mu   sync.Mutex
	made []*fakeMachine
}

func (h *fakeHost) New(c machine.Config) machine.Machine {
	m := &fakeMachine{config: c, disks: map[string]*fakeDisk{}}
	for device, disk := range c.Disks {
		m.disks[device] = disk.(*fakeDisk)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.made = append(h.made, m)
	return m
}

// of is the newest machine of the instance.
func (h *fakeHost) of(t *testing.T, id string) *fakeMachine {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range slices.Backward(h.made) {
		if v.config.Identity.InstanceID == id {
			return v
		}
	}
	t.Fatalf("no machine was made for %s", id)
	return nil
}

type fakeMachine struct {
	config machine.Config
	mu     sync.Mutex
	disks  map[string]*fakeDisk
	on     bool
	boots  int
}

func (m *fakeMachine) PowerOn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on = true
	m.boots++
}

func (m *fakeMachine) PowerOff(bool) {
	time.Sleep(time.Second) // a clean shutdown takes a while
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on = false
}

func (m *fakeMachine) Reboot() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.boots++
}

func (m *fakeMachine) Disks() map[string]machine.Disk {
	m.mu.Lock()
	defer m.mu.Unlock()
	disks := map[string]machine.Disk{}
	for device, disk := range m.disks {
		disks[device] = disk
	}
	return disks
}

func (m *fakeMachine) write(device, path, content string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	files := maps.Clone(m.disks[device].files)
	if files == nil {
		files = map[string]string{}
	}
	files[path] = content
	m.disks[device] = &fakeDisk{files}
}

func (m *fakeMachine) isOn() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.on
}

func (m *fakeMachine) Agent() machine.Agent                 { return machine.Agent{} }
func (m *fakeMachine) Cancel(string)                        {}
func (m *fakeMachine) Get(int, string) (int, []byte, error) { return 200, nil, nil }
func (m *fakeMachine) StatusOK() bool                       { return m.isOn() }

// Run writes the script to /etc/motd.
func (m *fakeMachine) Run(c machine.Command, done func(machine.Result)) {
	m.write(m.config.RootDevice, "/etc/motd", c.Script)
	done(machine.Result{})
}

func (m *fakeMachine) Console() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Appendf(nil, "boot %d", m.boots)
}

// booted counts the boots; read gives a file of a disk.
func (m *fakeMachine) booted() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.boots
}

func (m *fakeMachine) read(device, path string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.disks[device].files[path]
}

type fakeDisk struct{ files map[string]string }

func (d *fakeDisk) Fork() machine.Disk      { return &fakeDisk{maps.Clone(d.files)} }
func (d *fakeDisk) Encode() ([]byte, error) { return json.Marshal(d.files) }
func (d *fakeDisk) Read(path string) ([]byte, error) {
	content, ok := d.files[path]
	if !ok {
		return nil, fmt.Errorf("%s: no such file", path)
	}
	return bytes.Clone([]byte(content)), nil
}
