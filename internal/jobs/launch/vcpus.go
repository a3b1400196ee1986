package launch

import "strings"

// vcpuClass is a vCPU quota of Service Quotas' service ec2.
type vcpuClass struct{ code, name string }

// family is what AWS counts together, on demand and on spot; an empty code: there is no such quota, or none that is known.
type family struct{ onDemand, spot vcpuClass }

// The codes are those of "Amazon EC2 instance type quotas" in AWS's instance types guide, whose tables link each quota by its
// code.
var (
	standard = family{vcpuClass{"L-1216C47A", "Running On-Demand Standard instances"}, vcpuClass{"L-34B43A08", "All Standard Spot Instance Requests"}}
	graphics = family{vcpuClass{"L-DB2E81BA", "Running On-Demand G and VT instances"}, vcpuClass{"L-3819A6DF", "All G and VT Spot Instance Requests"}}
	// families that are not standard, by the letters before the generation.
	families = map[string]family{
		"g": graphics, "gr": graphics, "vt": graphics,
		"dl":  {vcpuClass{"L-6E869C2A", "Running On-Demand DL instances"}, vcpuClass{"L-85EED4F7", "All DL Spot Instance Requests"}},
		"f":   {vcpuClass{"L-74FC7D96", "Running On-Demand F instances"}, vcpuClass{"L-88CF9481", "All F Spot Instance Requests"}},
		"hpc": {onDemand: vcpuClass{"L-F7808C92", "Running On-Demand HPC instances"}},
		"inf": {vcpuClass{"L-1945791B", "Running On-Demand Inf instances"}, vcpuClass{"L-B5D1601B", "All Inf Spot Instance Requests"}},
		"p":   {onDemand: vcpuClass{"L-417A185B", "Running On-Demand P instances"}}, // on spot by generation, see spotOfP
		"trn": {vcpuClass{"L-2C3B7624", "Running On-Demand Trn instances"}, vcpuClass{"L-6B0D517C", "All Trn Spot Instance Requests"}},
		"u":   {onDemand: vcpuClass{"L-43DA4232", "Running On-Demand High Memory instances"}},
		"x":   {vcpuClass{"L-7295265B", "Running On-Demand X instances"}, vcpuClass{"L-E3A00192", "All X Spot Instance Requests"}},
		"mac": {}, // on dedicated hosts only, which have quotas of their own
	}
	// spotOfP are the quotas of P on spot, by the generation; that of later ones is not known.
	spotOfP = map[byte]vcpuClass{'2': olderP, '3': olderP, '4': olderP, '5': {"L-C4BD4855", "All P5 Spot Instance Requests"}}
	olderP  = vcpuClass{"L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests"}
)

// vcpuClassOf is the quota that an instance type counts against on a market.
func vcpuClassOf(name string, spot bool) (vcpuClass, bool) {
	letters := strings.ToLower(name)
	if at := strings.IndexFunc(letters, func(r rune) bool { return r < 'a' || r > 'z' }); at >= 0 {
		letters = letters[:at]
	}
	of, special := families[letters]
	switch {
	case special:
	case letters != "" && strings.Contains("acdhimrtz", letters[:1]):
		of = standard
	default:
		return vcpuClass{}, false
	}
	class := of.onDemand
	if spot {
		if class = of.spot; letters == "p" && len(name) > 1 {
			class = spotOfP[name[1]]
		}
	}
	return class, class.code != ""
}
