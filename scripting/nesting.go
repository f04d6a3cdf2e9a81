package scripting

import "strings"

// Limits on the shape of a source. The engine's parser and compiler recurse once
// per level, at up to 4 KiB of Go stack each, and Go ends the process at 1 GiB.
// Some chains take them quadratic time: 1+1+1... 0.7 s at this limit.
const (
	maxBrackets = 1_000  // brackets open at one place
	maxChain    = 10_000 // operators, calls and members that may hang on each other, over all open brackets
)

// tooDeep finds the first place where a source is nested deeper than any script a
// person writes. It is a scan of characters, no parse, and errs on the safe side:
// it takes every operator since the last comma or end of a statement as one level, because a+a+a, !!!a, a.b.c and a?b:c?d:e all nest in the syntax tree.
func tooDeep(text string) (offset int, deep bool) {
	s := scanner{text: text, levels: make([]int, 1, 64)}
	for s.pos < len(s.text) {
		at := s.pos
		s.step()
		if len(s.levels) > maxBrackets || s.chain > maxChain {
			return at, true
		}
	}
	return 0, false
}

// A scanner walks over tokens, as far as counting nesting needs it.
type scanner struct {
	text     string
	pos      int
	levels   []int // operators at each open bracket since the last separator
	chain    int   // their sum
	operand  bool  // the last token ends an operand: a slash divides
	newline  bool  // a line has ended since the last token
	template []int // bracket depths at which a } resumes a template
}

func (s *scanner) step() {
	c := s.text[s.pos]
	switch {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		s.newline = s.newline || c == '\n'
		s.pos++
		return
	case c == '"' || c == '\'':
		s.skipString(c)
	case c == '`':
		s.pos++
		s.skipTemplate()
	case c == '/':
		s.slash()
	case isWordByte(c):
		s.word()
	default:
		s.punctuation(c)
	}
}

// ended notes that a token has been passed.
func (s *scanner) ended(operand bool) { s.operand, s.newline = operand, false }

func (s *scanner) punctuation(c byte) {
	s.pos++
	s.ended(false)
	switch c {
	case '(', '[', '{':
		if c != '{' {
			s.count()
		}
		s.levels = append(s.levels, 0)
	case ')', ']', '}':
		s.close()
		s.ended(true)
		if n := len(s.template); c == '}' && n > 0 && s.template[n-1] == len(s.levels) {
			s.template = s.template[:n-1]
			s.skipTemplate()
		}
	case ';', ',':
		s.reset()
	default:
		s.count()
	}
}

func (s *scanner) count() {
	s.levels[len(s.levels)-1]++
	s.chain++
}

func (s *scanner) reset() {
	s.chain -= s.levels[len(s.levels)-1]
	s.levels[len(s.levels)-1] = 0
}

func (s *scanner) close() {
	s.reset()
	if len(s.levels) > 1 {
		s.levels = s.levels[:len(s.levels)-1]
	}
}

// word is an identifier, a keyword or a number.
func (s *scanner) word() {
	start := s.pos
	for s.pos < len(s.text) && isWordByte(s.text[s.pos]) {
		s.pos++
	}
	switch word := s.text[start:s.pos]; word {
	case "var", "let", "const", "return", "throw", "break", "continue", "case":
		s.reset()
		s.ended(false)
	case "if", "else", "for", "while", "do", "with", "typeof", "void", "delete", "new", "await", "yield", "in", "instanceof", "of":
		s.count()
		s.ended(false)
	default:
		if s.operand && s.newline { // a semicolon that was left out
			s.reset()
		}
		s.ended(true)
	}
}

func (s *scanner) skipString(quote byte) {
	for s.pos++; s.pos < len(s.text) && s.text[s.pos] != '\n'; s.pos++ {
		switch s.text[s.pos] {
		case '\\':
			s.pos++
		case quote:
			s.pos++
			s.ended(true)
			return
		}
	}
}

// skipTemplate runs to the end of a template or to its next substitution.
func (s *scanner) skipTemplate() {
	for ; s.pos < len(s.text); s.pos++ {
		switch {
		case s.text[s.pos] == '\\':
			s.pos++
		case s.text[s.pos] == '`':
			s.pos++
			s.ended(true)
			return
		case strings.HasPrefix(s.text[s.pos:], "${"):
			s.pos += 2
			s.template = append(s.template, len(s.levels))
			s.levels = append(s.levels, 0)
			s.ended(false)
			return
		}
	}
}

// slash is a comment, a division or a regular expression.
func (s *scanner) slash() {
	switch rest := s.text[s.pos:]; {
	case strings.HasPrefix(rest, "//"):
		s.skipPast("\n")
		s.newline = true
	case strings.HasPrefix(rest, "/*"):
		s.pos += 2
		s.skipPast("*/")
	case s.operand:
		s.punctuation('/')
	default:
		s.skipRegexp()
	}
}

func (s *scanner) skipPast(end string) {
	if i := strings.Index(s.text[s.pos:], end); i >= 0 {
		s.pos += i + len(end)
	} else {
		s.pos = len(s.text)
	}
}

func (s *scanner) skipRegexp() {
	start := s.pos
	inClass := false
	for s.pos++; s.pos < len(s.text) && s.text[s.pos] != '\n'; s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '\\':
			s.pos++
		case c == '[':
			inClass = true
		case c == ']':
			inClass = false
		case c == '/' && !inClass:
			if groupsIn(s.text[start:s.pos]) > maxNesting {
				s.chain = maxChain + 1
			}
			s.pos++
			s.ended(true)
			return
		}
	}
}

func isWordByte(c byte) bool {
	return isAlphanumeric(c) || c == '_' || c == '$' || c >= 0x80
}
