//go:build full

// Distinguished names as text (RFC 4514).

package tlsshake

import (
	"encoding/asn1"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// attributeNames are those of RFC 4514 3. Other types are written as numbers, and their values in hexadecimal.
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.6": "C", "2.5.4.9": "STREET",
	"0.9.2342.19200300.100.1.25": "DC", "0.9.2342.19200300.100.1.1": "UID",
}

// attribute is AttributeTypeAndValue of RFC 5280 4.1.2.4.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type attributeSET []attribute // SET tells encoding/asn1 that it is no SEQUENCE

// distinguishedName is a name in DER as text, its last part first; nil if it cannot be read.
func distinguishedName(der []byte) (name []byte) {
	var parts []attributeSET
	if rest, err := asn1.Unmarshal(der, &parts); err != nil || len(rest) > 0 {
		return nil
	}
	for i := len(parts) - 1; i >= 0; i-- {
		for j, one := range parts[i] {
			if j > 0 {
				name = append(name, '+')
			}
			name = one.append(name)
		}
		if i > 0 {
			name = append(name, ',')
		}
	}
	return name
}

func (a *attribute) append(to []byte) []byte {
	number := a.Type.String()
	name, known := attributeNames[number]
	if text, ok := textOf(&a.Value); known && ok {
		return appendEscaped(append(append(to, name...), '='), text)
	}
	to = append(append(to, number...), "=#"...)
	return hex.AppendEncode(to, a.Value.FullBytes)
}

// textOf is a value that is a string of one of the types of DirectoryString (RFC 5280 4.1.2.4), or an IA5String, as UTF-8.
func textOf(value *asn1.RawValue) (text string, ok bool) {
	if value.Class != asn1.ClassUniversal {
		return "", false
	}
	switch value.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, asn1.TagT61String, asn1.TagBMPString:
		_, err := asn1.Unmarshal(value.FullBytes, &text)
		return text, err == nil && utf8.ValidString(text)
	}
	return "", false
}

// appendEscaped escapes what RFC 4514 2.4 asks for.
func appendEscaped(to []byte, text string) []byte {
	for i := range len(text) {
		c := text[i]
		edge := i == 0 && (c == ' ' || c == '#') || i == len(text)-1 && c == ' '
		switch {
		case c == 0:
			to = append(to, `\00`...)
			continue
		case edge || strings.IndexByte(`"+,;<>\`, c) >= 0:
			to = append(to, '\\')
		}
		to = append(to, c)
	}
	return to
}
