package ledger

// InstanceIDs are the servers' instances, of those that have one.
func InstanceIDs(servers []Server) []string {
	var ids []string
	for _, server := range servers {
		if server.InstanceID != "" {
			ids = append(ids, server.InstanceID)
		}
	}
	return ids
}

// Attached are the servers' instances by the ARN of each target group that they were attached to.
func Attached(servers []Server) map[string][]string {
	groups := map[string][]string{}
	for _, server := range servers {
		for _, arn := range server.TargetGroups {
			if server.InstanceID != "" {
				groups[arn] = append(groups[arn], server.InstanceID)
			}
		}
	}
	return groups
}
