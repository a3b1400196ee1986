package dynamodb

import (
	"errors"
	"strconv"

	"github.com/stampmill/stampmill/internal/localaws/api"
)

const maxStatements = 25

var (
	errParameterCount = expressionError("Number of parameters in request and statement don't match.")
	errNoWholeKey     = expressionError("Where clause does not contain a mandatory equality on all key attributes")
)

// statements reads BatchExecuteStatement's Statements.
func (r *reader) statements(in *input) error {
	in.statements = []*input{}
	return r.array(func() error {
		one, err := r.input("BatchStatementRequest")
		in.statements = append(in.statements, one)
		return err
	})
}

func (r *reader) parameters(in *input) error {
	in.parameters = []Value{}
	return r.array(func() error {
		value, err := r.value()
		in.parameters = append(in.parameters, value)
		return err
	})
}

func (in *input) checkStatements() error {
	switch {
	case in.statements == nil:
		return constraint("null", "statements", "Member must not be null")
	case len(in.statements) == 0:
		return constraint("[]", "statements", "Member must have length greater than or equal to 1")
	case len(in.statements) > maxStatements:
		return constraint("[...]", "statements", "Member must have length less than or equal to 25")
	}
	for i, one := range in.statements {
		at := "statements." + strconv.Itoa(i+1) + ".member."
		switch {
		case !one.statement.given:
			return constraint("null", at+"statement", "Member must not be null")
		case one.statement.text == "":
			return constraint("", at+"statement", "Member must have length greater than or equal to 1")
		case len(one.statement.text) > maxStatement:
			return constraint("...", at+"statement", "Member must have length less than or equal to 8192")
		case one.parameters != nil && len(one.parameters) == 0:
			return constraint("[]", at+"parameters", "Member must have length greater than or equal to 1")
		}
	}
	return nil
}

// execution is one statement of a batch on its way.
type execution struct {
	write
	equalities []assignment
	// err is why it was refused before any item was looked at.
	err error
	// failed is why its write was not made.
	failed error
	units  writeUnits
}

func (c *call) batchExecuteStatement() error {
	in, err := decode(c.request.Body, "BatchExecuteStatement")
	if err != nil {
		return err
	}
	if err := in.checkStatements(); err != nil {
		return err
	}
	all := make([]execution, len(in.statements))
	reads, writes := 0, 0
	for i, one := range in.statements {
		parsed, err := c.statements.get(one.statement.text)
		if isRead(one.statement.text) {
			reads++
		} else {
			writes++
		}
		all[i].in = one
		if all[i].err = err; err == nil {
			all[i].err = all[i].bind(parsed)
		}
	}
	if reads > 0 && writes > 0 {
		return invalid("Read and write requests together in the same batch is not supported.")
	}
	if err := c.executeAll(all); err != nil {
		return err
	}
	return c.answerStatements(in, all)
}

// executeAll makes the writes one after another; each succeeds or fails alone.
func (c *call) executeAll(all []execution) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range all {
		e := &all[i]
		if e.err == nil {
			e.err = c.identify(e)
		}
		if e.err != nil {
			continue
		}
		for j := range i {
			if all[j].err == nil && all[j].place == e.place && all[j].table == e.table {
				return invalid("Provided list of item keys contains duplicates")
			}
		}
	}
	for i := range all {
		if e := &all[i]; e.err == nil {
			c.executeOne(e)
		}
	}
	return nil
}

func (c *call) executeOne(e *execution) {
	if e.failed = c.locate(&e.write); e.failed != nil {
		return
	}
	if e.failed = e.decide(); e.failed == nil {
		e.units = c.store(c.request.AccessKey, e.table, e.old, e.new)
	} else if errors.Is(e.failed, errConditionFailed) {
		// A failed condition is billed by the item that is there.
		e.units = writeUnits{table: unitsOf(e.old.bytesOf())}
	}
	c.countWrite(e.units)
}

// answerStatements writes the answers in the order of the statements.
func (c *call) answerStatements(in *input, all []execution) error {
	var capacity []map[string]any
	c.reply = append(c.reply, `{"Responses":[`...)
	for i := range all {
		e := &all[i]
		if i > 0 {
			c.reply = append(c.reply, ',')
		}
		c.reply = append(c.reply, '{')
		if e.err != nil {
			c.statementError(e, e.err)
		} else {
			if e.failed != nil {
				c.statementError(e, e.failed)
				c.reply = append(c.reply, ',')
			}
			c.reply = appendString(append(c.reply, `"TableName":`...), e.table.Name)
			if item := e.returned(); len(item) > 0 && e.failed == nil {
				c.reply = appendItem(append(c.reply, `,"Item":`...), item)
			}
			used := consumed{table: e.table.Name}
			used.add(e.units)
			if answer := used.answer(in.ReturnConsumedCapacity); answer != nil {
				capacity = append(capacity, answer)
			}
		}
		c.reply = append(c.reply, '}')
	}
	c.reply = append(c.reply, ']')
	return c.finish(capacity)
}

// statementError writes a statement's Error. Outside of batches the codes would end in Exception.
func (c *call) statementError(e *execution, err error) {
	code, message := "ValidationError", err.Error()
	var item Item
	switch known, ok := errors.AsType[*api.Error](err); {
	case errors.Is(err, errConditionFailed) && e.sort == "Put":
		code, message = "DuplicateItem", "Duplicate primary key exists in table"
	case errors.Is(err, errConditionFailed):
		code, message = "ConditionalCheckFailed", "The conditional request failed"
		if e.in.OnConditionFailure == "ALL_OLD" && e.old != nil {
			item = e.old.item
		}
	case ok && known.Code == "ResourceNotFoundException":
		code, message = "ResourceNotFound", known.Message
	case ok:
		message = known.Message
	}
	c.reply = appendString(append(c.reply, `"Error":{"Code":`...), code)
	c.reply = appendString(append(c.reply, `,"Message":`...), message)
	if item != nil {
		c.reply = appendItem(append(c.reply, `,"Item":`...), item)
	}
	c.reply = append(c.reply, '}')
}
