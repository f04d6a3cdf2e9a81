package admin

import "net/http"

// ScriptText is what GET /script answers: the status of the script, and what its
// own file holds. Keys are only ever added; lists are never null.
type ScriptText struct {
	Script   *ScriptStatus `json:"script"` // null: the built-in rule routes, and there is no text
	Name     string        `json:"name"`   // of the file
	Text     string        `json:"text"`
	Base     string        `json:"base"`     // of the text, for saving an edited one
	Files    []string      `json:"files"`    // all that the version is made of
	Editable bool          `json:"editable"` // it may be saved (admin.edit)
}

// Draft is what POST /script/validate and POST /script take: a text for the
// script's file.
type Draft struct {
	Text string `json:"text"`
	Base string `json:"base"` // of the text that was edited; needed to save
}

// DraftReport is what POST /script/validate answers: what would become of a draft.
// Lists are never null.
type DraftReport struct {
	OK       bool         `json:"ok"`      // it would become active
	Version  string       `json:"version"` // that it would be; empty: it does not load
	Active   string       `json:"active"`  // the version that it was compared with
	Faults   []Remark     `json:"faults"`
	Warnings []Remark     `json:"warnings"`
	Tests    int          `json:"tests"`    // that it met
	Compared int          `json:"compared"` // recorded requests that it decided again
	Moved    int          `json:"moved"`    // of these, that would go elsewhere
	Unknown  int          `json:"unknown"`  // of these, of which that can not be told
	Moves    []MoveStatus `json:"moves"`    // the most frequent first
	Summary  string       `json:"summary"`  // of the comparison, in a sentence
}

// Remark is something about a place of a script. Line and Column count from 1; 0:
// no place is to blame.
type Remark struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

func (a *api) script(w http.ResponseWriter, _ *http.Request) {
	text, err := a.sidecar.ScriptText()
	if err != nil {
		refuse(http.StatusNotFound, "%v", err).write(w)
		return
	}
	text.Editable = a.edit && text.Script != nil
	text.Files = orEmpty(text.Files)
	writeJSON(w, http.StatusOK, text)
}

func (a *api) validateScript(w http.ResponseWriter, r *http.Request) {
	var draft Draft
	if refused := readJSON(w, r, &draft); refused != nil {
		refused.write(w)
		return
	}
	report, err := a.sidecar.TryScript(draft)
	if err != nil {
		refuse(http.StatusUnprocessableEntity, "%v", err).write(w)
		return
	}
	report.Faults, report.Warnings, report.Moves = orEmpty(report.Faults), orEmpty(report.Warnings), orEmpty(report.Moves)
	writeJSON(w, http.StatusOK, report)
}

func (a *api) saveScript(w http.ResponseWriter, r *http.Request) {
	var draft Draft
	if refused := readJSON(w, r, &draft); refused != nil {
		refused.write(w)
		return
	}
	if !a.edit {
		refuse(http.StatusForbidden, "the script is not changed from here: write admin: { edit: true } to allow it, or edit the file").write(w)
		return
	}
	if err := a.sidecar.SaveScript(draft); err != nil {
		refuse(http.StatusUnprocessableEntity, "%v", err).write(w)
		return
	}
	writeJSON(w, http.StatusOK, rolledBack{a.sidecar.Status().withoutNulls().Script})
}
