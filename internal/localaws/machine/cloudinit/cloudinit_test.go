package cloudinit

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"
)

func data() Data {
	return NewData(map[string]string{"ami-launch-index": "3", "instance-id": "i-1", "placement/region": "eu-west-1"},
		map[string]any{"instance_id": "i-1", "region": "eu-west-1"})
}

func TestTemplatesRenderAsInCloudInit(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ source, want, problem string }{
		"launch index formatted":    {`web-{{ "%04d" | format(ds.meta_data.ami_launch_index | int) }}`, "web-0003", ""},
		"launch index with a dash":  {`{{ ds.meta_data["ami-launch-index"] }}`, "3", ""},
		"list by launch index":      {`{% set names = ["a", "b", "c", "d"] %}{{ names[ds.meta_data.ami_launch_index | int] }}`, "d", ""},
		"arithmetic":                {`{{ (ds.meta_data.ami_launch_index | int) * 2 + 1 }}`, "7", ""},
		"v1 and its short form":     {`{{ v1.region }} {{ instance_id }}`, "eu-west-1 i-1", ""},
		"nested metadata":           {`{{ ds.meta_data.placement.region }}`, "eu-west-1", ""},
		"conditions and block ends": {"{% if region == 'eu-west-1' %}\nyes\n{% endif %}\n", "yes\n", ""},
		"dictionary by key":         {`{% set m = {"3": "three"} %}{{ m[ds.meta_data.ami_launch_index] }}`, "three", ""},
		"text is no number":         {`{{ "%04d" | format(ds.meta_data.ami_launch_index) }}`, "", "use | int"},
		"no files":                  {`{% include "/etc/passwd" %}`, "", "cannot include"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Render(c.source, data())
			if c.problem == "" && (err != nil || got != c.want) {
				t.Errorf("%s renders %q, %v, want %q", c.source, got, err, c.want)
			}
			if c.problem != "" && (err == nil || !strings.Contains(err.Error(), c.problem)) {
				t.Errorf("%s renders %q, %v, want an error with %q", c.source, got, err, c.problem)
			}
		})
	}
}

func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const multipartData = `Content-Type: multipart/mixed; boundary="XX"
MIME-Version: 1.0

--XX
Content-Type: text/cloud-config; charset="us-ascii"

#cloud-config
hostname: a
--XX
Content-Type: text/x-shellscript
Content-Disposition: attachment; filename="two.sh"

#!/bin/sh
echo two
--XX
Content-Type: text/jinja2

## template: jinja
#!/bin/sh
echo {{ v1.region }}
--XX--
`

func TestUserDataIsTakenApartByItsForm(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		data []byte
		want []Part
	}{
		"script":      {[]byte("#!/bin/bash\necho hi\n"), []Part{{Kind: Script, Name: "part-001", Content: "#!/bin/bash\necho hi\n"}}},
		"gzip config": {zipped(t, "#cloud-config\n{}\n"), []Part{{Kind: Config, Name: "part-001", Content: "#cloud-config\n{}\n"}}},
		"boothook":    {[]byte("#cloud-boothook\necho\n"), []Part{{Kind: Boothook, Name: "part-001", Content: "#cloud-boothook\necho\n"}}},
		"jinja":       {[]byte("## template: jinja\n#cloud-config\nhostname: h{{ ds.meta_data.ami_launch_index }}\n"), []Part{{Kind: Config, Name: "part-001", Content: "#cloud-config\nhostname: h3\n"}}},
		"nothing":     {nil, nil},
		"multipart": {[]byte(multipartData), []Part{
			{Kind: Config, Name: "part-001", Content: "#cloud-config\nhostname: a"},
			{Kind: Script, Name: "two.sh", Content: "#!/bin/sh\necho two"},
			{Kind: Script, Name: "part-003", Content: "#!/bin/sh\necho eu-west-1"},
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Parts(c.data, data())
			if len(got) != len(c.want) {
				t.Fatalf("there are %d parts, want %d: %+v", len(got), len(c.want), got)
			}
			for i := range got {
				if got[i].Kind != c.want[i].Kind || got[i].Name != c.want[i].Name || strings.TrimSpace(got[i].Content) != strings.TrimSpace(c.want[i].Content) || got[i].Err != nil {
					t.Errorf("part %d is %+v, want %+v", i, got[i], c.want[i])
				}
			}
		})
	}
}

func TestCommandsAreLinesOrQuotedWords(t *testing.T) {
	t.Parallel()
	config, err := ParseConfig("#cloud-config\nruncmd:\n  - echo a | cat\n  - [touch, \"/it's here\", 5]\n")
	if err != nil {
		t.Fatal(err)
	}
	script, err := Shell(config.RunCommands)
	if err != nil || script != "#!/bin/sh\necho a | cat\n'touch' '/it'\\''s here' '5'\n" {
		t.Errorf("the script is %q, %v", script, err)
	}
}
