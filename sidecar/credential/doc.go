// Package credential is what TLS proves itself by, and whom it believes:
// certificates, keys and authorities that stand in files. They are read and judged
// as a whole, and again when the files change: what is not good never takes the
// place of what is.
package credential
