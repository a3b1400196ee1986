package s3

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
	"github.com/stampmill/stampmill/internal/localaws"
)

func TestTheBucketGivesBackWhatWasPut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, err := localaws.New(localaws.Config{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := server.Close(); err != nil {
				t.Error(err)
			}
		}()
		cs, err := clients.New(clients.Config{
			Region: "us-east-1", Endpoint: server.URL(), Transport: server.RoundTripper(),
			Credentials: credentials.NewStaticCredentialsProvider("AKIDTEST", "secret", ""),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		b := New(cs, jobs.Target{}, "files")
		if _, err := cs.For(jobs.Target{}).S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("files")}); err != nil {
			t.Fatal(err)
		}
		if _, found, err := b.Get(ctx, "nothing"); found || err != nil {
			t.Errorf("what is not there: %v, %v", found, err)
		}
		content := []byte(strings.Repeat("content ", 10_000))
		key := ContentKey("files/", content)
		for _, put := range []error{b.PutIfAbsent(ctx, key, content), b.PutIfAbsent(ctx, key, []byte("other"))} {
			if put != nil {
				t.Error(put)
			}
		}
		got, found, err := b.Get(ctx, key)
		if err != nil || !found || string(got) != string(content) {
			t.Errorf("%d bytes, %v, %v", len(got), found, err)
		}
		url, err := b.PresignGet(ctx, key, time.Hour)
		if err != nil || !strings.Contains(url, "X-Amz-Expires=3600") || !strings.Contains(url, "us-east-1") {
			t.Fatalf("%s, %v", url, err)
		}
		response, err := server.Client().Get(url)
		if err != nil {
			t.Fatal(err)
		}
		read, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK || len(read) != len(content) || response.Body.Close() != nil {
			t.Errorf("the presigned address gave %d, %d bytes, %v", response.StatusCode, len(read), err)
		}
		for i := range 3 {
			if err := b.Put(ctx, fmt.Sprint("logs/", i), nil); err != nil {
				t.Fatal(err)
			}
		}
		if keys, err := b.List(ctx, "logs/"); err != nil || !slices.Equal(keys, []string{"logs/0", "logs/1", "logs/2"}) {
			t.Errorf("listed %v, %v", keys, err)
		}
		if err := New(cs, jobs.Target{}, "absent").Put(ctx, "k", content); !jobs.IsClass(err, jobs.Fatal) || !strings.Contains(err.Error(), "stampmill setup") {
			t.Errorf("a missing bucket: %v", err)
		}
	})
}
