package cluster

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSmoothSpreadsTurnsLikeNginx(t *testing.T) {
	// The example of nginx's own description.
	got := smooth([]int{5, 1, 1})
	if want := []int{0, 0, 1, 0, 2, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("smooth(5, 1, 1) = %v, want %v", got, want)
	}
}

func TestACycleGivesEachExactlyItsWeight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 60), 1, 12).Draw(t, "weights")
		turns := make([]int, len(weights))
		for _, who := range smooth(weights) {
			turns[who]++
		}
		if !slices.Equal(turns, weights) {
			t.Fatalf("turns %v, want %v", turns, weights)
		}
	})
}

func TestReduceKeepsTheSharesAndTheBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(1, 1<<40), 1, 40).Draw(t, "weights")
		const limit = 1 << 14
		reduced := reduce(weights, limit)

		sum, reducedSum := 0.0, 0
		for i := range weights {
			sum += float64(weights[i])
			reducedSum += reduced[i]
		}
		if reducedSum > limit+2*len(weights) {
			t.Fatalf("a cycle of %d turns, want about %d at most", reducedSum, limit)
		}
		for i, w := range weights {
			if reduced[i] < 1 {
				t.Fatalf("weight %d became %d", w, reduced[i])
			}
			share, got := float64(w)/sum, float64(reduced[i])/float64(reducedSum)
			if diff := got - share; diff > 0.005 || diff < -0.005 {
				t.Fatalf("share %.4f became %.4f", share, got)
			}
			if j := slices.Index(weights, w); reduced[j] != reduced[i] {
				t.Fatalf("equal weights became %d and %d", reduced[j], reduced[i])
			}
		}
	})
}

func TestReduceDividesByWhatWeightsHaveInCommon(t *testing.T) {
	if got, want := reduce([]int{600, 200, 1000}, 1<<14), []int{3, 1, 5}; !slices.Equal(got, want) {
		t.Errorf("reduce = %v, want %v", got, want)
	}
}
