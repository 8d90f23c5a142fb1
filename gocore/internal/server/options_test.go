package server_test

import (
	"cmp"
	"reflect"
	"regexp"
	"testing"

	"saltare/gocore/internal/server"
)

func TestEachOptionSetsSomethingOfItsOwn(t *testing.T) {
	word := regexp.MustCompile(`^[a-z]+(_[a-z0-9]+)*$`)
	seen := map[string]bool{}
	// Texts that set anything.
	texts := map[string]string{"metrics_buckets": "1", "proxy_fields": "x-real-ip", "secure_scheme_headers": "x-tls: on", "request_timeout_path": "1 /", "max_request_body_path": "1 /"}
	for i, option := range server.Options {
		var config server.Config
		value, text := option.Most, []byte(nil)
		if option.Unit == server.Text {
			text = []byte(cmp.Or(texts[option.Name], "x"))
			value = uint64(len(text))
		}
		if err := config.Set(uint32(i), value, text); err != nil {
			t.Errorf("%s: %d is refused: %v", option.Name, value, err)
		}
		changed := changedField(reflect.ValueOf(config))
		if !word.MatchString(option.Name) || seen[option.Name] || changed == "" || seen[changed] {
			t.Errorf("%s sets %q, which is nothing or another's", option.Name, changed)
		}
		seen[option.Name], seen[changed] = true, true
	}
}

// changedField is the path of the first field that is not zero.
func changedField(v reflect.Value) string {
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() == reflect.Pointer && !f.IsNil() {
			f = f.Elem()
		}
		if f.Kind() == reflect.Struct && !f.IsZero() {
			return v.Type().Field(i).Name + "." + changedField(f)
		} else if !f.IsZero() {
			return v.Type().Field(i).Name
		}
	}
	return ""
}

func TestOptionsAreRefused(t *testing.T) {
	var config server.Config
	if config.Set(uint32(len(server.Options)), 0, nil) == nil {
		t.Error("an option that there is not was set")
	}
	for i, option := range server.Options {
		if option.Most+1 != 0 && config.Set(uint32(i), option.Most+1, nil) == nil {
			t.Errorf("%s was set to %d", option.Name, option.Most+1)
		}
		if option.Unit == server.Text && config.Set(uint32(i), 2, []byte("x")) == nil {
			t.Errorf("%s was set to a text of another length", option.Name)
		}
	}
	if !reflect.ValueOf(config).IsZero() {
		t.Errorf("what was refused has changed something: %+v", config)
	}
}
