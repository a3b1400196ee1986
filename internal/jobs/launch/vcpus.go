package launch

import "strings"

// vcpuClass is a vCPU quota of Service Quotas' service ec2.
type vcpuClass struct{ code, name string }

// family is what AWS counts together, on demand and on spot; an empty code: there is no such quota, or none that is known.
type family struct{ onDemand, spot vcpuClass }

var (
	standard = family{vcpuClass{"L-1216C47A", "Running On-Demand Standard instances"}, vcpuClass{"L-34B43A08", "All Standard Spot Instance Requests"}}
	graphics = family{vcpuClass{"L-DB2E81BA", "Running On-Demand G and VT instances"}, vcpuClass{"L-3819A6DF", "All G and VT Spot Instance Requests"}}
	// families that are not standard, by the letters before the generation, from Service Quotas' list of ec2.
	families = map[string]family{
		"g": graphics, "gr": graphics, "vt": graphics,
		"p":   {vcpuClass{"L-417A185B", "Running On-Demand P instances"}, vcpuClass{"L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests"}},
		"x":   {vcpuClass{"L-7295265B", "Running On-Demand X instances"}, vcpuClass{"L-E3A00192", "All X Spot Instance Requests"}},
		"inf": {vcpuClass{"L-1945791B", "Running On-Demand Inf instances"}, vcpuClass{"L-B5D1601B", "All Inf Spot Instance Requests"}},
		"trn": {}, "dl": {}, "f": {}, "hpc": {}, "mac": {}, "u": {},
	}
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
		class = of.spot
		if letters == "p" && !strings.HasPrefix(name, "p2.") && !strings.HasPrefix(name, "p3") && !strings.HasPrefix(name, "p4") {
			return vcpuClass{}, false
		}
	}
	return class, class.code != ""
}
