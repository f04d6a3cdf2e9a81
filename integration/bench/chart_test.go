package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestChartNamesEveryBarAndItsFigure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "chart.svg")
	if err := chart(file, "CPU", []bar{{"nginx", 20, false}, {"Outrider", 16.5, true}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"nginx", "Outrider", "20.0", "16.5", "CPU", "sans-serif"} {
		if !strings.Contains(string(text), part) {
			t.Errorf("the chart lacks %q", part)
		}
	}
}
