module saltare

go 1.26.0

require (
	github.com/go-python/gopy v0.4.10
	github.com/pires/go-proxyproto v0.15.0 // a judge in tests
	github.com/valyala/bytebufferpool v1.0.0
	golang.org/x/crypto v0.58.0
	golang.org/x/sys v0.49.0
)
