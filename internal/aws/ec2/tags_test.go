package ec2

import (
	"net/url"
	"testing"

	c "github.com/stampmill/stampmill/internal/jobs/cloud"
)

func TestAnAMIAndItsSnapshotsAreTaggedAsTheyAreMade(t *testing.T) {
	t.Parallel()
	image, snapshot := map[string]string{"of": "image"}, map[string]string{"of": "snapshot"}
	for name, act := range map[string]func(r *Region) error{
		"CreateImage": func(r *Region) error {
			_, err := r.Capture(t.Context(), c.CaptureRequest{InstanceID: "i-1", Name: "web", ImageTags: image, SnapshotTags: snapshot})
			return err
		},
		"CopyImage": func(r *Region) error {
			_, err := r.Copy(t.Context(), c.CopyRequest{ImageID: "ami-1", SourceRegion: "us-east-1", Name: "web", ImageTags: image, SnapshotTags: snapshot})
			return err
		},
	} {
		r, e := region(t, func(url.Values) (int, string) { return 200, "<Response><imageId>ami-2</imageId></Response>" })
		if err := act(r); err != nil {
			t.Fatal(err)
		}
		tagged := map[string]string{}
		for _, n := range []string{"1", "2"} {
			at := "TagSpecification." + n
			tagged[e.asked[0].Get(at+".ResourceType")] = e.asked[0].Get(at + ".Tag.1.Value")
		}
		if tagged["image"] != "image" || tagged["snapshot"] != "snapshot" {
			t.Errorf("%s tags %v", name, tagged)
		}
	}
}
