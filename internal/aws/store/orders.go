package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stampmill/stampmill/internal/jobs"
)

// An order is a text that sorts by run and instant, so that a condition can tell the newer one: run, milliseconds, value.
const orderFormat = "%06d %015d %s"

func orderAttribute(verb jobs.Verb) string { return "o" + string(verb) }

func encodeOrder(run int, o jobs.Order) string {
	return fmt.Sprintf(orderFormat, run, o.At.UnixMilli(), o.Value)
}

// decodeOrders gives the orders of the run; those of earlier ones are over.
func decodeOrders(it item, run int) map[jobs.Verb]jobs.Order {
	var orders map[jobs.Verb]jobs.Order
	for _, verb := range jobs.Verbs {
		parts := strings.SplitN(str(it, orderAttribute(verb)), " ", 3)
		if len(parts) < 3 {
			continue
		}
		of, errRun := strconv.Atoi(parts[0])
		at, errAt := strconv.ParseInt(parts[1], 10, 64)
		if errRun != nil || errAt != nil || of != run {
			continue
		}
		if orders == nil {
			orders = map[jobs.Verb]jobs.Order{}
		}
		orders[verb] = jobs.Order{Value: parts[2], At: time.UnixMilli(at).UTC()}
	}
	return orders
}
