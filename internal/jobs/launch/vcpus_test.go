package launch

import "testing"

func TestEachInstanceTypeCountsAgainstItsFamilysQuota(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct{ onDemand, spot string }{
		"m7g.large":         {"L-1216C47A", "L-34B43A08"},
		"t3.medium":         {"L-1216C47A", "L-34B43A08"},
		"im4gn.large":       {"L-1216C47A", "L-34B43A08"},
		"d3en.xlarge":       {"L-1216C47A", "L-34B43A08"},
		"h1.2xlarge":        {"L-1216C47A", "L-34B43A08"},
		"z1d.large":         {"L-1216C47A", "L-34B43A08"},
		"g6.xlarge":         {"L-DB2E81BA", "L-3819A6DF"},
		"gr6.4xlarge":       {"L-DB2E81BA", "L-3819A6DF"},
		"vt1.3xlarge":       {"L-DB2E81BA", "L-3819A6DF"},
		"p2.xlarge":         {"L-417A185B", "L-7212CCBC"},
		"p3dn.24xlarge":     {"L-417A185B", "L-7212CCBC"},
		"p4d.24xlarge":      {"L-417A185B", "L-7212CCBC"},
		"p5en.48xlarge":     {"L-417A185B", "L-C4BD4855"},
		"p6-b200.48xlarge":  {"L-417A185B", ""},
		"x2gd.large":        {"L-7295265B", "L-E3A00192"},
		"inf2.xlarge":       {"L-1945791B", "L-B5D1601B"},
		"trn1.2xlarge":      {"L-2C3B7624", "L-6B0D517C"},
		"dl1.24xlarge":      {"L-6E869C2A", "L-85EED4F7"},
		"f2.6xlarge":        {"L-74FC7D96", "L-88CF9481"},
		"hpc7g.16xlarge":    {"L-F7808C92", ""},
		"u-6tb1.112xlarge":  {"L-43DA4232", ""},
		"u7i-12tb.224large": {"L-43DA4232", ""},
		"mac2.metal":        {"", ""},
		"q1.large":          {"", ""},
		"":                  {"", ""},
		"p":                 {"L-417A185B", ""},
	} {
		for spot, code := range map[bool]string{false: want.onDemand, true: want.spot} {
			if class, known := vcpuClassOf(name, spot); class.code != code || known != (code != "") {
				t.Errorf("%q counts against %q (known: %t), spot %t; want %q", name, class.code, known, spot, code)
			}
		}
	}
}
