package kube

import "strings"

// Domain is where the services of a region are: each partition of AWS has its own domain (the SDK's
// internal/endpoints/awsrulesfn/partitions.json, v1.47).
func Domain(region string) string {
	for _, partition := range []struct{ regions, domain string }{
		{"cn-", "amazonaws.com.cn"},
		{"eusc-", "amazonaws.eu"},
		{"us-iso-", "c2s.ic.gov"},
		{"us-isob-", "sc2s.sgov.gov"},
		{"eu-isoe-", "cloud.adc-e.uk"},
		{"us-isof-", "csp.hci.ic.gov"},
	} {
		if strings.HasPrefix(region, partition.regions) {
			return partition.domain
		}
	}
	return "amazonaws.com"
}
