package ssm

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/stampmill/stampmill/internal/aws/awserr"
)

// Parameter reads a parameter; AWS's public ones too.
func (r *Region) Parameter(ctx context.Context, name string) (value string, found bool, err error) {
	out, err := r.client.GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String(name), WithDecryption: aws.Bool(true)})
	if awserr.IsCode(err, "ParameterNotFound", "ParameterVersionNotFound") {
		return "", false, nil
	}
	if err != nil {
		return "", false, awserr.From(err, name)
	}
	if out.Parameter == nil {
		return "", false, nil
	}
	return aws.ToString(out.Parameter.Value), true, nil
}

// PutParameter writes a parameter, over what is there. The data type is text, or aws:ec2:image: SSM then checks the AMI after
// it has answered, so that only reading back proves the write.
func (r *Region) PutParameter(ctx context.Context, name, value, dataType string) error {
	_, err := r.client.PutParameter(ctx, &ssm.PutParameterInput{
		Name:      aws.String(name),
		Value:     aws.String(value),
		DataType:  optional(dataType),
		Type:      types.ParameterTypeString,
		Overwrite: aws.Bool(true),
	})
	return awserr.From(err, name)
}

// DeleteParameter deletes a parameter. One that is gone is no error.
func (r *Region) DeleteParameter(ctx context.Context, name string) error {
	_, err := r.client.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: aws.String(name)})
	if awserr.IsCode(err, "ParameterNotFound") {
		return nil
	}
	return awserr.From(err, name)
}
