package kube

import "testing"

func TestDomain(t *testing.T) {
	for region, want := range map[string]string{
		"eu-west-1":      "amazonaws.com",
		"us-gov-west-1":  "amazonaws.com",
		"cn-north-1":     "amazonaws.com.cn",
		"eusc-de-east-1": "amazonaws.eu",
		"us-iso-east-1":  "c2s.ic.gov",
		"us-isob-east-1": "sc2s.sgov.gov",
		"eu-isoe-west-1": "cloud.adc-e.uk",
		"us-isof-east-1": "csp.hci.ic.gov",
	} {
		if got := Domain(region); got != want {
			t.Errorf("%s: got %s, want %s", region, got, want)
		}
	}
}
