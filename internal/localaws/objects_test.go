package localaws

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func newStore(t *testing.T) (*Server, *s3.Client) {
	t.Helper()
	server := start(t, Config{})
	client := s3.NewFromConfig(sdk(server, "AKID"))
	if _, err := client.CreateBucket(background, &s3.CreateBucketInput{Bucket: aws.String("files")}); err != nil {
		t.Fatal(err)
	}
	return server, client
}

func put(t *testing.T, client *s3.Client, key, content string) {
	t.Helper()
	if _, err := client.PutObject(background, &s3.PutObjectInput{Bucket: aws.String("files"), Key: aws.String(key), Body: strings.NewReader(content)}); err != nil {
		t.Fatal(err)
	}
}

func TestAnObjectComesBackAsItWasPut(t *testing.T) {
	t.Parallel()
	_, client := newStore(t)
	content := strings.Repeat("content ", 40_000)
	for _, algorithm := range []types.ChecksumAlgorithm{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		key := aws.String("a key/with ü and +/" + string(algorithm))
		if _, err := client.PutObject(background, &s3.PutObjectInput{
			Bucket: aws.String("files"), Key: key, Body: strings.NewReader(content), ContentType: aws.String("text/plain"), Metadata: map[string]string{"owner": "us"}, ChecksumAlgorithm: algorithm,
		}); err != nil {
			t.Fatalf("%s: %v", algorithm, err)
		}
		got, err := client.GetObject(background, &s3.GetObjectInput{Bucket: aws.String("files"), Key: key, ChecksumMode: types.ChecksumModeEnabled})
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(got.Body)
		if err != nil || string(data) != content || *got.ContentType != "text/plain" || got.Metadata["owner"] != "us" {
			t.Fatalf("%s: %d bytes, %v, %v, %v", algorithm, len(data), got.Metadata, *got.ContentType, err)
		}
		head, err := client.HeadObject(background, &s3.HeadObjectInput{Bucket: aws.String("files"), Key: key})
		if err != nil || *head.ContentLength != int64(len(content)) || *head.ETag != *got.ETag {
			t.Fatalf("head %v, %v", head, err)
		}
	}
}

func TestARangeGivesItsBytes(t *testing.T) {
	t.Parallel()
	_, client := newStore(t)
	put(t, client, "k", "0123456789")
	for text, want := range map[string]string{"bytes=0-3": "0123", "bytes=7-": "789", "bytes=-2": "89", "bytes=8-100": "89", "bytes=10-": "InvalidRange"} {
		got, err := client.GetObject(background, &s3.GetObjectInput{Bucket: aws.String("files"), Key: aws.String("k"), Range: aws.String(text)})
		if err != nil {
			if codeOf(err) != want {
				t.Errorf("%s: %v", text, err)
			}
			continue
		}
		data, err := io.ReadAll(got.Body)
		if err != nil || string(data) != want {
			t.Errorf("%s: got %q, %v", text, data, err)
		}
	}
}

func TestAConditionalPutWritesOnce(t *testing.T) {
	t.Parallel()
	_, client := newStore(t)
	once := func(content string) error {
		_, err := client.PutObject(background, &s3.PutObjectInput{Bucket: aws.String("files"), Key: aws.String("once"), Body: strings.NewReader(content), IfNoneMatch: aws.String("*")})
		return err
	}
	if err := once("first"); err != nil {
		t.Fatal(err)
	}
	if err := once("second"); codeOf(err) != "PreconditionFailed" {
		t.Fatalf("got %v, want PreconditionFailed", err)
	}
}

func TestAPresignedAddressWorksUntilItExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, client := newStore(t)
		presign := s3.NewPresignClient(client)
		upload, err := presign.PresignPutObject(background, &s3.PutObjectInput{Bucket: aws.String("files"), Key: aws.String("k")}, s3.WithPresignExpires(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequest(http.MethodPut, upload.URL, bytes.NewReader([]byte("by address")))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := server.Client().Do(request)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("upload: %v, %v", answer, err)
		}
		download, err := presign.PresignGetObject(background, &s3.GetObjectInput{Bucket: aws.String("files"), Key: aws.String("k")}, s3.WithPresignExpires(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{http.StatusOK, http.StatusForbidden} {
			answer, err := server.Client().Get(download.URL)
			if err != nil || answer.StatusCode != want {
				t.Fatalf("download: %v, %v, want %d", answer, err, want)
			}
			time.Sleep(61 * time.Second)
		}
		if answer, err := server.Client().Get(server.URL() + "/files/k"); err != nil || answer.StatusCode != http.StatusForbidden {
			t.Fatalf("unsigned: %v, %v", answer, err)
		}
	})
}

func TestListingsFoldPrefixesAndGoOn(t *testing.T) {
	t.Parallel()
	_, client := newStore(t)
	for i := range 5 {
		put(t, client, fmt.Sprintf("logs/%d", i), "x")
		put(t, client, fmt.Sprintf("logs/deep/%d", i), "x")
	}
	put(t, client, "other", "x")
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: aws.String("files"), Prefix: aws.String("logs/"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(2)})
	var got []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(background)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			got = append(got, *o.Key)
		}
		for _, p := range page.CommonPrefixes {
			got = append(got, *p.Prefix)
		}
	}
	if want := "logs/0 logs/1 logs/2 logs/3 logs/4 logs/deep/"; strings.Join(got, " ") != want {
		t.Fatalf("got %v, want %s", got, want)
	}
	var ids []types.ObjectIdentifier
	for _, key := range []string{"other", "logs/0", "none"} {
		ids = append(ids, types.ObjectIdentifier{Key: aws.String(key)})
	}
	deleted, err := client.DeleteObjects(background, &s3.DeleteObjectsInput{Bucket: aws.String("files"), Delete: &types.Delete{Objects: ids}})
	if err != nil || len(deleted.Deleted) != 3 {
		t.Fatalf("%v, %v", deleted, err)
	}
	if left, err := client.ListObjectsV2(background, &s3.ListObjectsV2Input{Bucket: aws.String("files")}); err != nil || *left.KeyCount != 9 {
		t.Fatalf("%v, %v", left, err)
	}
	if _, err := client.DeleteBucket(background, &s3.DeleteBucketInput{Bucket: aws.String("files")}); codeOf(err) != "BucketNotEmpty" {
		t.Fatalf("got %v, want BucketNotEmpty", err)
	}
}

func TestABucketsSettingsComeBack(t *testing.T) {
	t.Parallel()
	_, client := newStore(t)
	name := aws.String("files")
	if _, err := client.GetBucketLifecycleConfiguration(background, &s3.GetBucketLifecycleConfigurationInput{Bucket: name}); codeOf(err) != "NoSuchLifecycleConfiguration" {
		t.Fatalf("got %v", err)
	}
	if _, err := client.PutBucketLifecycleConfiguration(background, &s3.PutBucketLifecycleConfigurationInput{Bucket: name, LifecycleConfiguration: &types.BucketLifecycleConfiguration{
		Rules: []types.LifecycleRule{{ID: aws.String("old"), Status: "Enabled", Filter: &types.LifecycleRuleFilter{Prefix: aws.String("logs/")}, Expiration: &types.LifecycleExpiration{Days: aws.Int32(30)}}},
	}}); err != nil {
		t.Fatal(err)
	}
	got, err := client.GetBucketLifecycleConfiguration(background, &s3.GetBucketLifecycleConfigurationInput{Bucket: name})
	if err != nil || len(got.Rules) != 1 || *got.Rules[0].Expiration.Days != 30 {
		t.Fatalf("%v, %v", got, err)
	}
	yes := aws.Bool(true)
	if _, err := client.PutPublicAccessBlock(background, &s3.PutPublicAccessBlockInput{Bucket: name, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{BlockPublicAcls: yes}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutBucketEncryption(background, &s3.PutBucketEncryptionInput{Bucket: name, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
		Rules: []types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: "AES256"}}},
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.HeadBucket(background, &s3.HeadBucketInput{Bucket: aws.String("none")}); codeOf(err) != "NotFound" {
		t.Fatalf("got %v, want NotFound", err)
	}
}
