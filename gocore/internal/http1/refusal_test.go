// Which rule rejects which case of the corpus.

package http1

import (
	"strings"
	"testing"

	"saltare/gocore/internal/message"
)

// refusals lists the cases of tests/corpus by the rule that has to reject them.
var refusals = map[*message.Refusal]string{
	TLSHello:     `400-tls-client-hello`,
	HTTP2Preface: `505-http2-preface`,
	OldHTTP:      `400-http09 400-line-no-target`,
	bareCR: `400-bare-cr-after-line 400-bare-cr-before 400-bare-cr-empty-line 400-bare-cr-in-name
		400-bare-cr-in-value 400-cr-cr-lf`,
	bareLF: `400-bare-lf-after-field 400-bare-lf-after-line 400-bare-lf-before 400-bare-lf-empty-line
		400-bare-lf`,
	EmptyLines:    `400-empty-lines-too-many`,
	HeadTooLarge:  `431-head-endless 431-head-too-large 431-name-endless`,
	LineTooLong:   `414-line-endless 414-line-too-long`,
	MethodTooLong: `501-garbage 501-method-too-long`,
	badMethod: `400-line-only-method 400-line-space-before 400-line-tabs 400-method-empty 400-method-latin
		400-method-nul 400-method-octet 400-ssh`,
	emptyTarget: `400-line-two-spaces`,
	badTarget:   `400-target-del 400-target-latin 400-target-nul 400-target-tab`,
	fragment:    `400-target-fragment`,
	badForm: `400-connect-empty-port 400-connect-ipv6-no-port 400-connect-no-host 400-connect-no-port
		400-connect-origin-form 400-connect-path 400-target-asterisk-get 400-target-asterisk-more
		400-target-authority-get 400-target-query-only 400-target-relative`,
	badScheme: `400-target-scheme`,
	badAuthority: `400-target-bad-port 400-target-no-authority-query 400-target-no-authority 400-target-only-port
		400-target-only-scheme 400-target-userinfo`,
	badVersion: `400-http09-more 400-line-space-after 400-line-space-in-target 400-line-two-spaces-after
		400-version-comma 400-version-empty 400-version-leading-zero 400-version-letters
		400-version-lower 400-version-name 400-version-no-minor 400-version-short 400-version-space
		400-version-two-digits`,
	unknownVersion: `505-version-09 505-version-12 505-version-20 505-version-30 505-version-99`,
	TooManyFields:  `431-fields-too-many`,
	leadingSpace:   `400-field-space-first`,
	foldedLine:     `400-field-folded-tab 400-field-folded`,
	emptyName:      `400-field-empty-name`,
	spaceInName:    `400-field-space-before-colon 400-field-space-in-name 400-field-tab-before-colon`,
	noColon:        `400-field-no-colon-then-colon 400-field-no-colon`,
	badName: `400-field-name-at 400-field-name-control 400-field-name-del 400-field-name-first-control
		400-field-name-latin 400-field-name-nul 400-field-name-paren 400-field-name-quote
		400-field-name-slash`,
	controlInValue: `400-field-value-control 400-field-value-del 400-field-value-escape 400-field-value-nul-first
		400-field-value-nul 400-field-value-vertical-tab`,
	noHost:   `400-host-missing-absolute 400-host-missing-no-field 400-host-missing 400-pipelined-second-bad`,
	twoHosts: `400-host-twice-http10 400-host-twice`,
	badHost: `400-host-at 400-host-bad-port 400-host-bare-ipv6 400-host-bracket-letter
		400-host-bracket-no-colon 400-host-bracket-text 400-host-comma 400-host-empty-brackets
		400-host-escape-letters 400-host-escape 400-host-huge-port 400-host-inner-bracket 400-host-latin
		400-host-open-bracket 400-host-question 400-host-quote 400-host-slash 400-host-space
		400-host-two-ports`,
	twoLengths: `400-length-conflict 400-length-twice`,
	badLength: `400-length-empty 400-length-float 400-length-hex 400-length-huge-then-letter 400-length-letters
		400-length-list 400-length-negative 400-length-plus 400-length-space 400-length-underscore`,
	hugeLength:      `400-length-huge-63 400-length-huge`,
	lengthAndCoding: `400-chunked-and-length 400-length-and-chunked`,
	codingInOld:     `400-coding-http10`,
	twoCodings:      `400-coding-twice 400-coding-two-lines`,
	badCoding: `400-coding-chunked-last-not 400-coding-chunked-twice 400-coding-empty-element 400-coding-empty
		400-coding-gzip 400-coding-identity 400-coding-parameter 400-coding-prefix 400-coding-quoted
		400-coding-space 400-coding-suffix 400-coding-trailing-comma`,
	unknownCoding: `501-coding-gzip-chunked 501-coding-unknown-chunked`,
	unknownExpect: `417-expect-list 417-expect-other`,
	badChunkSize: `400-chunk-extension-bare-cr 400-chunk-size-bare-cr
		400-chunk-size-bare-lf 400-chunk-size-empty 400-chunk-size-letter 400-chunk-size-negative
		400-chunk-size-plus 400-chunk-size-prefix 400-chunk-size-space-before
		400-chunk-size-underscore`,
	HugeChunk: `400-chunk-size-endless-zeros 400-chunk-size-huge`,
	badExtension: `400-chunk-extension-bare-lf 400-chunk-extension-behind-quote 400-chunk-extension-empty
		400-chunk-extension-escape-at-end 400-chunk-extension-no-semicolon 400-chunk-extension-no-value 400-chunk-extension-nul
		400-chunk-extension-open-quote 400-chunk-extension-quote-in-token 400-chunk-extension-space-behind
		400-chunk-extension-two-values 400-chunk-size-space-after`,
	ExtensionTooLong: `400-chunk-extension-too-long`,
	badChunkEnd: `400-chunk-data-too-long 400-chunk-data-too-short 400-chunk-end-bare-cr 400-chunk-end-bare-lf
		400-chunk-end-missing`,
	badTrailer: `400-chunk-trailer-bare-cr 400-chunk-trailer-bare-lf 400-chunk-trailer-empty-name
		400-chunk-trailer-end-bare-cr 400-chunk-trailer-end-bare-lf 400-chunk-trailer-folded
		400-chunk-trailer-no-colon 400-chunk-trailer-nul 400-chunk-trailer-space-before-colon`,
	TrailerTooLarge: `431-chunk-trailer-too-large`,
}

func TestRefusals(t *testing.T) {
	want := map[string]*message.Refusal{}
	for r, names := range refusals {
		for _, name := range strings.Fields(names) {
			want[name] = r
		}
	}
	for _, c := range corpus(t) {
		if got := whole(c.raw).refusal; got != want[c.name] {
			t.Errorf("%s: %v, want %v", c.name, got, want[c.name])
		}
		delete(want, c.name)
	}
	for name := range want {
		t.Errorf("%s is not in the corpus", name)
	}
}

func TestRefusalText(t *testing.T) {
	for r, want := range map[*message.Refusal]string{
		bareLF:      "bare LF in head (RFC 9112 2.2)",
		HugeChunk:   "too many digits in chunk size, the limit is 15 (RFC 9112 7.1)",
		LineTooLong: "request line over max_request_line (RFC 9112 3)",
	} {
		if got := r.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
