package scripting

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dop251/goja"
)

//nolint:gochecknoglobals // immutable table
var cookieOptions = []string{"maxAge", "path", "sameSite", "secure", "httpOnly"}

// cookie makes the value of a Set-Cookie header (RFC 6265 section 4.1).
func (rt *runtime) cookie(call goja.FunctionCall) goja.Value {
	text, err := cookieOf(call.Argument(0), call.Argument(1), call.Argument(2))
	if err != nil {
		rt.throw("%s", "cookie: "+err.Error())
	}
	return rt.text(text)
}

func cookieOf(name, value, options goja.Value) (string, error) {
	n, ok := name.(goja.String)
	if !ok || n.Length() == 0 || strings.ContainsFunc(n.String(), func(c rune) bool { return !isTokenChar(c) }) {
		return "", fmt.Errorf("%s is no name of a cookie", kindOf(name))
	}
	v, ok := value.(goja.String)
	if !ok {
		return "", fmt.Errorf("the value is %s, it takes a string", kindOf(value))
	}
	for _, c := range v.String() {
		if c <= ' ' || c >= 0x7f || strings.ContainsRune(`",;\`, c) {
			return "", fmt.Errorf("the value has the character %q, which no cookie can have: use encodeURIComponent", c)
		}
	}
	attributes, err := cookieAttributes(options)
	if err != nil {
		return "", err
	}
	if size := n.Length() + v.Length() + len(attributes); size > maxCookie {
		return "", fmt.Errorf("the cookie has %d bytes, of which browsers take at most %d", size, maxCookie)
	}
	return n.String() + "=" + v.String() + attributes, nil
}

// maxCookie is how many bytes of a cookie every browser takes (RFC 6265 section
// 6.1).
const maxCookie = 4096

// cookieAttributes renders the options, which begin with the path: a cookie that
// is for the path of one page alone is hardly ever meant.
func cookieAttributes(options goja.Value) (string, error) {
	if isNothing(options) {
		return "; Path=/", nil
	}
	object, ok := options.(*goja.Object)
	if !ok {
		return "", fmt.Errorf("the options are %s, they are an object", kindOf(options))
	}
	for _, key := range object.Keys() {
		if !slices.Contains(cookieOptions, key) {
			return "", fmt.Errorf("there is no option %q%s", shorten(key, maxName), didYouMean(key, cookieOptions))
		}
	}
	path, err := cookiePath(object.Get("path"))
	if err != nil {
		return "", err
	}
	maxAge, err := cookieMaxAge(object.Get("maxAge"))
	if err != nil {
		return "", err
	}
	secure := isTruthy(object.Get("secure"))
	sameSite, err := cookieSameSite(object.Get("sameSite"), secure)
	if err != nil {
		return "", err
	}
	text := path + maxAge + sameSite
	if secure {
		text += "; Secure"
	}
	if isTruthy(object.Get("httpOnly")) {
		text += "; HttpOnly"
	}
	return text, nil
}

func isTruthy(value goja.Value) bool { return value != nil && value.ToBoolean() }

func cookiePath(value goja.Value) (string, error) {
	if isNothing(value) {
		return "; Path=/", nil
	}
	path, ok := value.(goja.String)
	if !ok || !strings.HasPrefix(path.String(), "/") || strings.ContainsFunc(path.String(), func(c rune) bool { return c <= ' ' || c >= 0x7f || strings.ContainsRune(`";\`, c) }) {
		return "", fmt.Errorf("path is %s, it takes a path such as '/'", kindOf(value))
	}
	return "; Path=" + path.String(), nil
}

func cookieMaxAge(value goja.Value) (string, error) {
	if isNothing(value) {
		return "", nil
	}
	if !goja.IsNumber(value) || value.ToFloat() != float64(value.ToInteger()) {
		return "", fmt.Errorf("maxAge is %s, it takes a whole number of seconds", kindOf(value))
	}
	return "; Max-Age=" + strconv.FormatInt(value.ToInteger(), 10), nil
}

func cookieSameSite(value goja.Value, secure bool) (string, error) {
	if isNothing(value) {
		return "", nil
	}
	text, ok := value.(goja.String)
	if !ok || !slices.Contains([]string{"Lax", "Strict", "None"}, text.String()) {
		return "", fmt.Errorf("sameSite is %s, it takes 'Lax', 'Strict' or 'None'", kindOf(value))
	}
	if text.String() == "None" && !secure {
		return "", errors.New("sameSite 'None' needs secure: true, or browsers drop the cookie")
	}
	return "; SameSite=" + text.String(), nil
}
