package app

import (
	"errors"
	"path/filepath"
	"regexp"
	"strconv"

	"outrider/scripting"
	"outrider/scripting/record"
	"outrider/sidecar/admin"
	"outrider/sidecar/rollout"
)

var errNoScript = errors.New("there is no script: the built-in rule routes; write script.file to have one")

// ScriptText implements admin.Sidecar.
func (a *App) ScriptText() (admin.ScriptText, error) {
	script := a.active.Load().route.script
	if script == nil {
		return admin.ScriptText{}, nil
	}
	t, err := script.versions.Text()
	return admin.ScriptText{
		Script: script.status(), Name: filepath.Base(t.File), Text: string(t.Text), Base: t.Hash, Files: t.Files,
	}, err
}

// TryScript implements admin.Sidecar.
func (a *App) TryScript(d admin.Draft) (admin.DraftReport, error) {
	script := a.active.Load().route.script
	if script == nil {
		return admin.DraftReport{}, errNoScript
	}
	return draftReport(script.versions.Try([]byte(d.Text))), nil
}

// SaveScript implements admin.Sidecar.
func (a *App) SaveScript(d admin.Draft) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	script := a.active.Load().route.script
	if script == nil {
		return errNoScript
	}
	if fault := script.versions.Try([]byte(d.Text)).Fault; fault != nil {
		return fault
	}
	err := script.versions.Save([]byte(d.Text), d.Base)
	if err == nil {
		a.log.WithField("script", script.versions.Status().File).Info("the script was saved by way of the admin listener")
	}
	return err
}

func draftReport(v rollout.Verdict) admin.DraftReport {
	r := admin.DraftReport{
		OK: v.Fault == nil, Version: v.Version, Active: v.Active, Tests: v.Tests,
		Compared: v.Moves.Compared, Moved: v.Moves.Moved, Unknown: v.Moves.Unknown, Moves: movesOf(&v.Moves),
	}
	if v.Version != "" {
		r.Summary = v.Moves.String()
	}
	if v.Fault != nil {
		r.Faults = append(r.Faults, remarkOf(v.Fault))
	}
	for _, warning := range v.Warnings {
		r.Warnings = append(r.Warnings, parseRemark(warning))
	}
	return r
}

func remarkOf(err error) admin.Remark {
	if at, ok := errors.AsType[*scripting.LoadError](err); ok {
		return admin.Remark{File: at.File, Line: at.Line, Column: at.Column, Message: at.Message}
	}
	return parseRemark(err.Error())
}

var placeForm = regexp.MustCompile(`(?s)^([^\s:]+):(\d+):(\d+): (.*)$`)

// parseRemark takes the place off the front of a message.
func parseRemark(text string) admin.Remark {
	parts := placeForm.FindStringSubmatch(text)
	if parts == nil {
		return admin.Remark{Message: text}
	}
	line, _ := strconv.Atoi(parts[2]) // digits
	column, _ := strconv.Atoi(parts[3])
	return admin.Remark{File: parts[1], Line: line, Column: column, Message: parts[4]}
}

// movesOf are the moves for display, the most frequent first.
func movesOf(m *record.Moves) []admin.MoveStatus {
	moves := []admin.MoveStatus{}
	for _, move := range m.Most() {
		moves = append(moves, admin.MoveStatus{From: move.From, To: move.To, Requests: m.By[move], Samples: m.Samples[move]})
	}
	return moves
}

// Settings implements admin.Sidecar.
func (a *App) Settings() []admin.Setting {
	var all []admin.Setting
	for _, s := range a.active.Load().config.Settings() {
		all = append(all, admin.Setting(s))
	}
	return all
}
