package admin

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAFilterTakesWhatAllItsPartsTake(t *testing.T) {
	one := Tapped{Method: "GET", Path: "/one/Cart", Cluster: "one", Backend: "app-a:80", Status: 503, Rule: "carts", End: "backend/wait", ID: "f00"}
	for filter, want := range map[Filter]bool{
		{}: true, {Words: "cart"}: true, {Words: "CART get app-a"}: true, {Words: "cart two"}: false, {Words: "  "}: true, {Words: "backend/wait f00"}: true,
		{Cluster: "one"}: true, {Cluster: "on"}: false, {Status: "5xx"}: true, {Status: "503"}: true, {Status: "50x"}: true, {Status: "4xx"}: false,
		{Status: "5"}: false, {Status: "5xxx"}: false, {Words: "cart", Cluster: "one", Status: "5xx"}: true, {Words: "cart", Cluster: "one", Status: "2xx"}: false,
	} {
		if got := filter.Takes(&one); got != want {
			t.Errorf("%+v takes it: %t", filter, got)
		}
	}
}

func TestAStatusIsItselfAndOfItsClass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		status := rapid.IntRange(0, 999).Draw(t, "status")
		want := fmt.Sprintf("%03d", status)
		if !isStatus(want, status) || !isStatus(want[:1]+"xx", status) || !isStatus("xxx", status) {
			t.Fatalf("%s is not %d", want, status)
		}
		other := rapid.StringMatching(`[0-9x]{0,4}`).Draw(t, "other")
		if isStatus(other, status) && (len(other) != 3 || !strings.Contains(other, "x") && other != want) {
			t.Fatalf("%d is %s", status, other)
		}
	})
}
