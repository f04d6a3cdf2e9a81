package cluster

// maxTurns bounds a cycle: its memory, and the time to work it out. Twelve
// backends with weights up to 1000 fit exactly.
const maxTurns = 1 << 14

// smooth orders one cycle of turns: index i appears weights[i] times, spread
// as evenly as nginx does it ("smooth weighted round robin", nginx commit
// 52327e0627f4, 2012). Every turn each index gains its weight; the richest,
// and among equals the first, has the turn and pays the sum of all weights.
//
// Two indexes of equal weight always alternate, whatever the others weigh:
// their riches differ only by what they paid, so the one that had fewer turns
// goes first and ties go to the lower index; hence the lower one is never more
// than one turn ahead and never behind. All riches are zero again at the
// cycle's end, so this holds across the seam, too. The order is therefore also
// one in which nobody with an equal has two turns in a row.
func smooth(weights []int) []int {
	sum := 0
	for _, w := range weights {
		sum += w
	}
	order := make([]int, 0, sum)
	riches := make([]int, len(weights))
	for range sum {
		richest := 0
		for i, w := range weights {
			riches[i] += w
			if riches[i] > riches[richest] {
				richest = i
			}
		}
		riches[richest] -= sum
		order = append(order, richest)
	}
	return order
}

// reduce divides the weights by what they have in common, and scales them down
// when their sum is beyond limit; no weight falls below 1. Equal weights stay
// equal. Scaling costs a backend at most half a turn per cycle, apart from
// those that are raised to 1.
func reduce(weights []int, limit int) []int {
	reduced := divide(weights)
	sum := 0.0
	for _, w := range reduced {
		sum += float64(w)
	}
	if sum <= float64(limit) {
		return reduced
	}
	for i, w := range reduced {
		reduced[i] = max(1, int(float64(w)*float64(limit)/sum+0.5))
	}
	return divide(reduced)
}

func divide(weights []int) []int {
	common := 0
	for _, w := range weights {
		common = gcd(common, w)
	}
	divided := make([]int, len(weights))
	for i, w := range weights {
		divided[i] = w / common
	}
	return divided
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
