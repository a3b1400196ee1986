package estate

import (
	"github.com/stampmill/stampmill/internal/aws/ec2"
	"github.com/stampmill/stampmill/internal/aws/elbv2"
	"github.com/stampmill/stampmill/internal/aws/ledger"
	"github.com/stampmill/stampmill/internal/aws/s3"
	"github.com/stampmill/stampmill/internal/aws/ssm"
	"github.com/stampmill/stampmill/internal/jobs/bake"
	"github.com/stampmill/stampmill/internal/jobs/launch"
)

// The adapters satisfy the ports of the kinds.
var (
	_ bake.EC2            = (*ec2.Region)(nil)
	_ bake.SSM            = (*ssm.Region)(nil)
	_ bake.Catalog        = (*ledger.Ledger)(nil)
	_ bake.Files          = (*s3.Bucket)(nil)
	_ launch.EC2          = (*ec2.Region)(nil)
	_ launch.TargetGroups = (*elbv2.Region)(nil)
	_ launch.Parameters   = (*ssm.Region)(nil)
	_ launch.Ledger       = (*ledger.Ledger)(nil)
	_ launch.Files        = (*s3.Bucket)(nil)
)
