// Package compose holds the tests of docker-compose.yml: they build the real images,
// start the real containers, break them, and look at every answer meanwhile.
package compose
