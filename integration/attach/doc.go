// Package attach holds what `outrider init --compose` writes against compose itself:
// the loader of Docker Compose 2 as a library, and the command docker-compose. It
// is a module of its own, so that the product needs none of that.
package attach
