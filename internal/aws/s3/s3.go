// Package s3 is the installation's one bucket: files that specs name, kept under keys made of their content, and the full
// output of scripts. Servers fetch what is theirs by presigned addresses, and need no rights of their own.
package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/stampmill/stampmill/internal/aws/awserr"
	"github.com/stampmill/stampmill/internal/aws/clients"
	"github.com/stampmill/stampmill/internal/jobs"
)

// Bucket is one bucket. It is safe for concurrent use.
type Bucket struct {
	client  *s3.Client
	presign *s3.PresignClient
	name    string
}

// New gives the bucket in the account and region where it stands: presigned addresses are good in its region only.
func New(clients *clients.Clients, target jobs.Target, name string) *Bucket {
	client := clients.For(target).S3
	return &Bucket{client: client, presign: s3.NewPresignClient(client), name: name}
}

// ContentKey is the key of a content: prefix and SHA-256. The same content always has the same key, so that putting it twice
// changes nothing.
func ContentKey(prefix string, content []byte) string {
	sum := sha256.Sum256(content)
	return prefix + hex.EncodeToString(sum[:])
}

// Bucket is the bucket's name.
func (b *Bucket) Bucket() string { return b.name }

// Put writes the content under the key, over what is there.
func (b *Bucket) Put(ctx context.Context, key string, content []byte) error {
	return b.put(ctx, key, content, nil)
}

// PutIfAbsent writes the content unless something stands under the key already.
func (b *Bucket) PutIfAbsent(ctx context.Context, key string, content []byte) error {
	err := b.put(ctx, key, content, aws.String("*"))
	if awserr.IsCode(err, "PreconditionFailed") {
		return nil
	}
	return err
}

func (b *Bucket) put(ctx context.Context, key string, content []byte, ifNoneMatch *string) error {
	_, err := b.client.PutObject(clients.WithTimeout(ctx, clients.UploadTimeout), &s3.PutObjectInput{
		Bucket: aws.String(b.name), Key: aws.String(key), Body: bytes.NewReader(content), IfNoneMatch: ifNoneMatch,
	})
	return awserr.From(err, b.thing(key))
}

// Get reads what stands under the key.
func (b *Bucket) Get(ctx context.Context, key string) (content []byte, found bool, err error) {
	out, err := b.client.GetObject(clients.WithTimeout(ctx, clients.UploadTimeout), &s3.GetObjectInput{Bucket: aws.String(b.name), Key: aws.String(key)})
	if awserr.IsCode(err, "NoSuchKey") {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, awserr.From(err, b.thing(key))
	}
	content, err = io.ReadAll(out.Body)
	if err = errors.Join(err, out.Body.Close()); err != nil {
		return nil, false, &jobs.Error{Class: jobs.Retry, Op: "s3 GetObject", Thing: b.thing(key), Message: err.Error(), Err: err}
	}
	return content, true, nil
}

// Has reports whether something stands under the key.
func (b *Bucket) Has(ctx context.Context, key string) (bool, error) {
	_, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(b.name), Key: aws.String(key)})
	if awserr.IsCode(err, "NotFound") || awserr.IsCode(err, "NoSuchKey") {
		return false, nil
	}
	return err == nil, awserr.From(err, b.thing(key))
}

// PresignGet gives an address that reads the key without credentials. It ends with the worker's own credentials if those end
// before.
func (b *Bucket) PresignGet(ctx context.Context, key string, valid time.Duration) (url string, err error) {
	request, err := b.presign.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(b.name), Key: aws.String(key)}, s3.WithPresignExpires(valid))
	if err != nil {
		return "", awserr.From(err, b.thing(key))
	}
	return request.URL, nil
}

// List gives the keys that begin with the prefix, in order.
func (b *Bucket) List(ctx context.Context, prefix string) ([]string, error) {
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: aws.String(b.name), Prefix: aws.String(prefix)})
	var keys []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, awserr.From(err, b.thing(prefix))
		}
		for _, object := range page.Contents {
			keys = append(keys, aws.ToString(object.Key))
		}
	}
	return keys, nil
}

func (b *Bucket) thing(key string) string { return "s3://" + b.name + "/" + key }
