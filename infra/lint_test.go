package infra

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWriteTemplates writes what the guards' settings come to, for the linters of `make templates`.
func TestWriteTemplates(t *testing.T) {
	folder := os.Getenv("LEDA_TEMPLATES")
	if folder == "" {
		t.Skip("LEDA_TEMPLATES names no folder to write to")
	}
	many := props(t)
	many.Cluster, many.ScaledObjects, many.Alarms = "prod", fleetOf(t, 101), new(true) // nested alarms and managed policies
	for name, p := range map[string]Props{"few": props(t), "everything": everything(t), "many": many} {
		if err := os.CopyFS(filepath.Join(folder, name), os.DirFS(synth(t, p))); err != nil {
			t.Fatal(err)
		}
	}
}
