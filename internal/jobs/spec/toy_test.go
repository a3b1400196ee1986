package spec_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stampmill/stampmill/internal/jobs/spec"
)

// toy is a spec with one field of every sort.
type toy struct {
	From     source            `json:"from,omitzero" required:"true"`
	Types    []string          `json:"types,omitempty"`
	Steps    []step            `json:"steps,omitempty"`
	Subnets  spec.Selector     `json:"subnets,omitzero"`
	Timeout  spec.Duration     `json:"timeout,omitempty"`
	Size     spec.Size         `json:"size,omitempty"`
	Accept   *spec.Percent     `json:"accept,omitempty"`
	Surge    spec.Share        `json:"surge,omitzero"`
	Count    int               `json:"count,omitempty" min:"1" max:"100"`
	Ratio    float64           `json:"ratio,omitempty"`
	On       *bool             `json:"on,omitempty"`
	Market   string            `json:"market,omitempty" enum:"on-demand,spot"`
	Labels   map[string]string `json:"labels,omitempty"`
	Volumes  map[string]volume `json:"volumes,omitempty"`
	Rows     spec.Rows         `json:"rows,omitzero"`
	Anything map[string]any    `json:"anything,omitempty"`
	Vars     map[string]string `json:"vars,omitempty"`
}

type volume struct {
	Size spec.Size `json:"size,omitempty"`
}

type source struct {
	Image string `json:"image,omitempty"`
	AMI   string `json:"ami,omitempty" pattern:"^ami-[0-9a-f]+$" example:"ami-0abc"`
}

func (*source) Shorthand(value any) (map[string]any, error) {
	text, ok := value.(string)
	if !ok {
		return nil, errors.New("expected an image's name")
	}
	return map[string]any{"image": text}, nil
}

func (s *source) CheckSpec(p *spec.Problems) {
	if s.Image != "" && s.AMI != "" {
		p.Add("expected one source, found image and ami", "remove one")
	}
}

type step struct {
	Run    *spec.Script      `json:"run,omitempty"`
	Copy   *spec.File        `json:"copy,omitempty"`
	Reboot bool              `json:"reboot,omitempty"`
	Env    map[string]string `json:"env,omitempty"`
}

func (*step) Shorthand(value any) (map[string]any, error) {
	if value == "reboot" {
		return map[string]any{"reboot": true}, nil
	}
	return nil, errors.New(`expected a step such as {run: …} or "reboot"`)
}

func (s *step) CheckSpec(p *spec.Problems) {
	if s.Run == nil && s.Copy == nil && !s.Reboot {
		p.Add("expected run, copy or reboot", "say what the step does")
	}
}

func toys() spec.Registry {
	kinds := spec.Registry{}
	kinds.Register("Toy", toy{})
	return kinds
}

// write puts files into a new folder, by name and content, and gives its path.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// problemsOf is every problem as file:line:column text, without the folder.
func problemsOf(t *testing.T, err error, folder string) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	all, ok := errors.AsType[*spec.Errors](err)
	if !ok {
		t.Fatalf("expected *spec.Errors, found %T: %v", err, err)
	}
	var lines []string
	for _, p := range all.Problems {
		lines = append(lines, strings.ReplaceAll(p.String(), folder+"/", ""))
	}
	return lines
}

// loadText loads one file with this content.
func loadText(t *testing.T, content string, vars map[string]string) ([]spec.Document, []string) {
	t.Helper()
	folder := write(t, map[string]string{"x.yaml": content})
	documents, err := spec.Load([]string{filepath.Join(folder, "x.yaml")}, vars, toys())
	return documents, problemsOf(t, err, folder)
}
