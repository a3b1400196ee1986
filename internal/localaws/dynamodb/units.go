package dynamodb

import "maps"

// Units are the request units that calls have consumed.
type Units struct {
	TableWrites float64
	IndexWrites float64
	Reads       float64
}

// Writes are the write units of tables and indexes together.
func (u Units) Writes() float64 { return u.TableWrites + u.IndexWrites }

// Units are what was consumed since the start or the last ResetUnits, by all accounts and regions.
func (s *Service) Units() Units {
	s.meter.Lock()
	defer s.meter.Unlock()
	return s.units
}

// ResetUnits begins the count anew.
func (s *Service) ResetUnits() {
	s.meter.Lock()
	defer s.meter.Unlock()
	s.units = Units{}
}

func (s *Service) countWrite(u writeUnits) {
	s.meter.Lock()
	defer s.meter.Unlock()
	s.units.TableWrites += u.table
	for _, n := range u.indexes {
		s.units.IndexWrites += n
	}
}

func (s *Service) countRead(n float64) {
	s.meter.Lock()
	defer s.meter.Unlock()
	s.units.Reads += n
}

// writeUnits are what one write costs.
type writeUnits struct {
	table   float64
	indexes map[string]float64
}

// unitsOf is a write unit for each KB begun, one at least.
func unitsOf(bytes int) float64 { return float64(max(1, (bytes+1023)/1024)) }

// doubled is the price in a transaction.
func (u writeUnits) doubled() writeUnits {
	d := writeUnits{table: 2 * u.table, indexes: maps.Clone(u.indexes)}
	for name := range d.indexes {
		d.indexes[name] *= 2
	}
	return d
}

// readUnits is a unit for each 4 KB begun, one at least; half of it where a read may be stale.
func readUnits(bytes int, consistent bool) float64 {
	units := float64(max(1, (bytes+4095)/4096))
	if consistent {
		return units
	}
	return units / 2
}

// consumed gathers the ConsumedCapacity of one table.
type consumed struct {
	table   string
	own     float64
	indexes map[string]float64
	// sort is Read or Write in transactions, whose answers say it.
	sort string
}

func (c *consumed) add(u writeUnits) {
	c.own += u.table
	for name, n := range u.indexes {
		c.addIndex(name, n)
	}
}

func (c *consumed) addIndex(name string, n float64) {
	if c.indexes == nil {
		c.indexes = map[string]float64{}
	}
	c.indexes[name] += n
}

// answer is the ConsumedCapacity member, nil if none was asked for.
func (c *consumed) answer(detail string) map[string]any {
	if detail == "" || detail == "NONE" {
		return nil
	}
	total := c.own
	for _, n := range c.indexes {
		total += n
	}
	answer := c.capacity(total)
	answer["TableName"] = c.table
	if detail == "TOTAL" {
		return answer
	}
	answer["Table"] = c.capacity(c.own)
	if len(c.indexes) > 0 {
		indexes := map[string]any{}
		for name, n := range c.indexes {
			indexes[name] = c.capacity(n)
		}
		answer["GlobalSecondaryIndexes"] = indexes
	}
	return answer
}

func (c *consumed) capacity(n float64) map[string]any {
	capacity := map[string]any{"CapacityUnits": n}
	if c.sort != "" {
		capacity[c.sort+"CapacityUnits"] = n
	}
	return capacity
}
