//go:build full

package tlsshake

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
)

func raw(t *testing.T, value any) asn1.RawValue {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	var v asn1.RawValue
	if _, err = asn1.Unmarshal(der, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestDistinguishedName: those of RFC 4514 4, and what is escaped.
func TestDistinguishedName(t *testing.T) {
	dc, cn, o, ou, c := asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}, asn1.ObjectIdentifier{2, 5, 4, 3},
		asn1.ObjectIdentifier{2, 5, 4, 10}, asn1.ObjectIdentifier{2, 5, 4, 11}, asn1.ObjectIdentifier{2, 5, 4, 6}
	other := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 1466, 0}
	octets := asn1.RawValue{Tag: asn1.TagOctetString, Bytes: []byte("Hi")}
	for want, parts := range map[string][]attributeSET{
		"": {},
		"UID=jsmith,DC=example,DC=net": {{{dc, raw(t, "net")}}, {{dc, raw(t, "example")}},
			{{asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, raw(t, "jsmith")}}},
		"OU=Sales+CN=J.  Smith,DC=net":          {{{dc, raw(t, "net")}}, {{ou, raw(t, "Sales")}, {cn, raw(t, "J.  Smith")}}},
		`CN=James \"Jim\" Smith\, III`:          {{{cn, raw(t, `James "Jim" Smith, III`)}}},
		`CN=\ #a\+\;\<\>\\\ `:                   {{{cn, raw(t, ` #a+;<>\ `)}}},
		`CN=\#a #\ `:                            {{{cn, raw(t, `#a # `)}}},
		`CN=a\00b`:                              {{{cn, raw(t, "a\x00b")}}},
		"CN=Lučić,C=HR":                         {{{c, raw(t, "HR")}}, {{cn, raw(t, "Lučić")}}},
		"1.3.6.1.4.1.1466.0=#04024869":          {{{other, raw(t, octets)}}},
		"2.5.4.10=#04024869":                    {{{o, raw(t, octets)}}},
		"1.3.6.1.4.1.1466.0=#0c026869,O=server": {{{o, raw(t, "server")}}, {{other, asn1.RawValue{FullBytes: []byte("\x0c\x02hi")}}}},
	} {
		der, err := asn1.Marshal(parts)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(distinguishedName(der)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for _, bad := range []string{"", "\x30\x05", "\x30\x00x"} {
		if got := distinguishedName([]byte(bad)); got != nil {
			t.Errorf("%q: %s", bad, got)
		}
	}
}

// TestNameOfACertificate: a name as x509 writes it.
func TestNameOfACertificate(t *testing.T) {
	der, err := asn1.Marshal(pkix.Name{CommonName: "a, b", Organization: []string{"one"}, Country: []string{"DE"}}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	if got := string(distinguishedName(der)); got != `CN=a\, b,O=one,C=DE` {
		t.Fatal(got)
	}
}
