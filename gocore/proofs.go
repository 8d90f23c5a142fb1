// Compile-time checks that the layouts and numbers in bridge.h match packages handoff and limits.

package main

/*
#define SALTARE_GO_PREAMBLE
#include "bridge.h"
*/
import "C"

import (
	"unsafe"

	"saltare/gocore/internal/handoff"
	"saltare/gocore/internal/http1"
	"saltare/gocore/internal/limits"
	"saltare/gocore/internal/server"
)

// The options fit C's table of them.
const _ = uint(C.SALTARE_OPTIONS_MOST - len(server.Options))

// An array index that is not 0 does not compile.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_event{})-unsafe.Sizeof(handoff.Event{})]
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_request{})-unsafe.Sizeof(handoff.Request{})]
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_tls{})-unsafe.Sizeof(handoff.TLS{})]
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_command{})-unsafe.Sizeof(handoff.Command{})]
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_body_ref{})-unsafe.Sizeof(handoff.BodyRef{})]
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_file{})-unsafe.Sizeof(handoff.File{})]
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_field{})-unsafe.Sizeof(http1.Field{})]
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_address{})-unsafe.Sizeof(handoff.Address{})]
	_ = [1]struct{}{}[unsafe.Sizeof(C.struct_saltare_range{})-unsafe.Sizeof(handoff.Range{})]

	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_event{}.data)-unsafe.Offsetof(handoff.Event{}.Data)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_request{}.subprotocols)-unsafe.Offsetof(handoff.Request{}.Subprotocols)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_request{}.path_len)-unsafe.Offsetof(handoff.Request{}.PathLen)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_request{}.method)-unsafe.Offsetof(handoff.Request{}.Method)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_request{}.minor)-unsafe.Offsetof(handoff.Request{}.Minor)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_request{}.client)-unsafe.Offsetof(handoff.Request{}.Client)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_request{}.local)-unsafe.Offsetof(handoff.Request{}.Local)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_request{}.scheme)-unsafe.Offsetof(handoff.Request{}.Scheme)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_request{}.prefix)-unsafe.Offsetof(handoff.Request{}.Prefix)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_tls{}.lengths)-unsafe.Offsetof(handoff.TLS{}.Lengths)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_tls{}.n_chain)-unsafe.Offsetof(handoff.TLS{}.NChain)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_tls{}.suite)-unsafe.Offsetof(handoff.TLS{}.Suite)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_command{}.stream)-unsafe.Offsetof(handoff.Command{}.Stream)]
	_ = [1]struct{}{}[unsafe.Offsetof(C.struct_saltare_field{}.id)-unsafe.Offsetof(http1.Field{}.ID)]

	_ = [1]struct{}{}[C.SALTARE_SEND_WINDOW-limits.SendWindowBytes]
	_ = [1]struct{}{}[C.SALTARE_INLINE-limits.InlineBytes]
	_ = [1]struct{}{}[C.LOG_WARNING-handoff.LogWarning]
	_ = [1]struct{}{}[C.EVENT_REQUEST-handoff.EventRequest]
	_ = [1]struct{}{}[C.EVENT_RETIRE-handoff.EventRetire]
	_ = [1]struct{}{}[C.SALTARE_WS_WINDOW-limits.SocketWindowBytes]
	_ = [1]struct{}{}[C.SALTARE_PIECE_COST-limits.PieceCostBytes]
	_ = [1]struct{}{}[C.SALTARE_FILE_COST-limits.FileCostBytes]
	_ = [1]struct{}{}[C.SALTARE_WS_COST-limits.MessageCostBytes]
	_ = [1]struct{}{}[C.SALTARE_WS_TAKEN-limits.TakenBytes]
	_ = [1]struct{}{}[C.EVENT_WS_CLOSE-handoff.EventWSClose]
	_ = [1]struct{}{}[C.EVENT_HALF_CLOSE-handoff.EventHalfClose]
	_ = [1]struct{}{}[C.EVENT_TEXT-handoff.EventText]
	_ = [1]struct{}{}[C.EVENT_CODINGS-handoff.EventCodings]
	_ = [1]struct{}{}[C.EVENT_CONTINUE-handoff.EventContinue]
	_ = [1]struct{}{}[C.EVENT_CANCEL-handoff.EventCancel]
	_ = [1]struct{}{}[C.EVENT_ID-handoff.EventID]
	_ = [1]struct{}{}[C.EVENT_TRACE-handoff.EventTrace]
	_ = [1]struct{}{}[C.EVENT_TLS-handoff.EventTLS]
	_ = [1]struct{}{}[C.EVENT_SILENT-handoff.EventSilent]
	_ = [1]struct{}{}[C.SCHEME_HTTPS-handoff.SchemeHTTPS]
	_ = [1]struct{}{}[C.COMMAND_START-handoff.CommandStart]
	_ = [1]struct{}{}[C.COMMAND_WS_CLOSE-handoff.CommandWSClose]
	_ = [1]struct{}{}[C.COMMAND_TEXT-handoff.CommandText]
	_ = [1]struct{}{}[C.COMMAND_WHOLE-handoff.CommandWhole]
	_ = [1]struct{}{}[C.TURN_EMPTY-handoff.TurnEmpty]
	_ = [1]struct{}{}[C.TURN_QUIET-handoff.TurnQuiet]
	_ = [1]struct{}{}[C.TURN_PAUSE-handoff.TurnPause]
	_ = [1]struct{}{}[C.FAMILY_INET6-handoff.FamilyInet6]
	_ = [1]struct{}{}[C.UNIT_PLAIN-server.Plain]
	_ = [1]struct{}{}[C.UNIT_MILLISECONDS-server.Milliseconds]
)
