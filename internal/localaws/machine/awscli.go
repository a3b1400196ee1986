package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/localaws/machine/files"
	"github.com/stampmill/stampmill/internal/localaws/machine/shell"
)

// awsCLI is the part of the AWS CLI that provisioning scripts use: a parameter, a secret, an object, the caller's identity.
// It signs nothing in earnest: the endpoint reads the scope of a signature, and does not verify it.
func awsCLI(ctx context.Context, p *shell.Process) int {
	c := &awsCall{p: p, b: bootOf(p), options: map[string]string{}}
	for i := 1; i < len(p.Args); i++ {
		arg := p.Args[i]
		name, isOption := strings.CutPrefix(arg, "--")
		switch {
		case !isOption:
			c.words = append(c.words, arg)
		case name == "with-decryption" || name == "quiet" || name == "only-show-errors" || name == "no-cli-pager":
			c.options[name] = "true"
		case strings.Contains(name, "="):
			key, value, _ := strings.Cut(name, "=")
			c.options[key] = value
		case i+1 < len(p.Args):
			i++
			c.options[name] = p.Args[i]
		}
	}
	if len(c.words) == 1 && c.words[0] == "--version" || contains(p.Args, "--version") {
		fmt.Fprintln(p.Out, "aws-cli/"+catalogue["awscli"].version+" Python/3.9.23 Linux/6.1")
		return 0
	}
	if err := c.run(ctx); err != nil {
		fmt.Fprintf(p.Err, "\n%v\n", err)
		if errors.Is(err, errUsage) {
			return 252
		}
		return 254
	}
	return 0
}

var errUsage = errors.New("aws: error: argument command: Invalid choice; this server's AWS CLI knows ssm get-parameter, secretsmanager get-secret-value, s3 cp and sts get-caller-identity")

type awsCall struct {
	p       *shell.Process
	b       *boot
	words   []string
	options map[string]string
}

func (c *awsCall) run(ctx context.Context) error {
	if c.b.server.config.Identity.InstanceProfileARN == "" {
		return errors.New("Unable to locate credentials. You can configure credentials by running \"aws configure\".")
	}
	switch strings.Join(c.words[:min(2, len(c.words))], " ") {
	case "ssm get-parameter":
		return c.json(ctx, "ssm", "AmazonSSM.GetParameter", map[string]any{"Name": c.options["name"], "WithDecryption": c.options["with-decryption"] == "true"})
	case "secretsmanager get-secret-value":
		return c.json(ctx, "secretsmanager", "secretsmanager.GetSecretValue", map[string]any{"SecretId": c.options["secret-id"]})
	case "s3 cp":
		if len(c.words) == 4 {
			return c.copy(ctx, c.words[2], c.words[3])
		}
	case "sts get-caller-identity":
		i := c.b.server.config.Identity
		return c.show(map[string]any{"Account": i.Account, "UserId": "AROALOCAL:" + i.InstanceID,
			"Arn": fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", i.Account, c.b.role(), i.InstanceID)})
	}
	return errUsage
}

func (c *awsCall) region() string {
	for _, region := range []string{c.options["region"], c.p.Env["AWS_REGION"], c.p.Env["AWS_DEFAULT_REGION"]} {
		if region != "" {
			return region
		}
	}
	return c.b.server.config.Identity.Region
}

func (c *awsCall) sign(r *http.Request, service string) {
	credentials := c.b.credentials()
	now := time.Now().UTC()
	r.Header.Set("X-Amz-Date", now.Format("20060102T150405Z"))
	r.Header.Set("X-Amz-Security-Token", credentials["Token"])
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=host;x-amz-date, Signature=0",
		credentials["AccessKeyId"], now.Format("20060102"), c.region(), service))
}

func (c *awsCall) json(ctx context.Context, service, target string, input map[string]any) error {
	body, err := json.Marshal(input)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+service+"."+c.region()+".amazonaws.com/", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	r.Header.Set("X-Amz-Target", target)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	c.sign(r, service)
	a, err := c.b.leave(r)
	if err != nil {
		return fmt.Errorf("Could not connect to the endpoint URL: %q", r.URL)
	}
	var output map[string]any
	if err := json.Unmarshal([]byte(a.body), &output); err != nil {
		return fmt.Errorf("the answer of %s is not JSON: %w", target, err)
	}
	if a.status >= 300 {
		code := fmt.Sprint(output["__type"])
		message := output["message"]
		if message == nil {
			message = output["Message"]
		}
		_, operation, _ := strings.Cut(target, ".")
		return fmt.Errorf("An error occurred (%s) when calling the %s operation: %v", code[strings.IndexByte(code, '#')+1:], operation, message)
	}
	return c.show(output)
}

// show prints the answer, reduced by --query, which is a path of names here.
func (c *awsCall) show(output any) error {
	if query := c.options["query"]; query != "" {
		for name := range strings.SplitSeq(query, ".") {
			members, ok := output.(map[string]any)
			if !ok {
				output = nil
				break
			}
			output = members[name]
		}
	}
	if c.options["output"] == "text" {
		if output == nil {
			output = "None"
		}
		return printed(fmt.Fprintln(c.p.Out, output))
	}
	data, err := json.MarshalIndent(output, "", "    ")
	if err != nil {
		return err
	}
	return printed(fmt.Fprintln(c.p.Out, string(data)))
}

func printed(_ int, err error) error { return err }

// copy is s3 cp of one object, either way.
func (c *awsCall) copy(ctx context.Context, from, to string) error {
	source, download := strings.CutPrefix(from, "s3://")
	target, upload := strings.CutPrefix(to, "s3://")
	if download == upload {
		return errUsage
	}
	method, object, body := http.MethodGet, source, ""
	if upload {
		data, err := c.p.ReadFile(from)
		if err != nil {
			return fmt.Errorf("The user-provided path %s does not exist.", from)
		}
		method, object, body = http.MethodPut, target, string(data)
		if strings.HasSuffix(object, "/") {
			object += path.Base(from)
		}
	}
	bucket, key, _ := strings.Cut(object, "/")
	r, err := http.NewRequestWithContext(ctx, method, "https://s3."+c.region()+".amazonaws.com/"+bucket+"/"+(&url.URL{Path: key}).EscapedPath(), strings.NewReader(body))
	if err != nil {
		return err
	}
	c.sign(r, "s3")
	r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	a, err := c.b.leave(r)
	if err != nil {
		return fmt.Errorf("fatal error: Could not connect to the endpoint URL: %q", r.URL)
	}
	if a.status >= 300 {
		return fmt.Errorf("fatal error: An error occurred (%d) when calling the %s operation for s3://%s", a.status, method, object)
	}
	if upload {
		return nil
	}
	if to == "-" {
		return printed(fmt.Fprint(c.p.Out, a.body))
	}
	local := c.p.Path(to)
	if n, err := c.p.Files().Stat(local); err == nil && n.Mode.IsDir() || strings.HasSuffix(to, "/") {
		local = path.Join(local, path.Base(key))
	}
	if err := c.p.Files().Write(local, []byte(a.body), 0o644); err != nil {
		return errors.New(files.Reason(err))
	}
	return nil
}
