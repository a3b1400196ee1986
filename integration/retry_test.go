package integration

import (
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs"
)

func TestARetryIsTheNextRun(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	id := m.submit("kind: Ping\nname: a\nspec: {fail: true}\n")[0]
	m.ended(exitJobFailed, id)
	if a := m.stampmill("retry", id, "--wait", "--timeout", "1m"); a.code != exitJobFailed {
		t.Errorf("the retry: %s", a)
	}
	if again := m.job(id); again.Run != 2 || again.State != jobs.Failed {
		t.Error(again)
	}
	m.quiet()
}

func TestARetriedBakeBeginsAnewAndSucceeds(t *testing.T) {
	t.Parallel()
	m := newMill(t)
	m.work()
	// It fails for want of its parameter, which the retry finds.
	id := m.submit(strings.ReplaceAll(bakeInUserData, amazonLinux, "ssm:/"+m.prefix+"/base"))[0]
	m.ended(exitJobFailed, id)
	if err := m.SSM.For(m.own()).PutParameter(t.Context(), "/"+m.prefix+"/base", linux, "text"); err != nil {
		t.Fatal(err)
	}
	m.do("retry", id)
	m.playBuilder(id)
	if a := m.stampmill("wait", id, "--run", "2", "--timeout", "1m"); a.code != 0 {
		t.Fatalf("%s\n%s", a, m.job(id))
	}
	m.leaves(0, 1)
	if name := *m.images(region)[0].Name; !strings.HasSuffix(name, "-r2") {
		t.Errorf("the AMI %s is not run 2's", name)
	}
}
