/* The part of a core that its exchanges use: adds commands to the outbox, and wakes the event loop of a guest driver. */
#include "py_loop.h"

#include "py_hook.h"

uint8_t *py_command(loop *self, int kind, int flags, uint32_t arg, uint64_t stream, size_t len)
{
    const struct saltare_command command = {.kind = (uint16_t)kind, .flags = (uint16_t)flags, .arg = arg, .stream = stream, .len = len};
    return py_outbox_add(&self->boxes[self->filling], &command);
}

int py_lend(loop *self, const struct saltare_command *command, PyObject *owner, const void *bytes)
{
    const uint64_t size = command->len;
    struct saltare_command lending = *command;
    lending.len = sizeof(struct saltare_body_ref);
    uint8_t *at = py_outbox_add(&self->boxes[self->filling], &lending);
    if (at == NULL) return -1;
    *(struct saltare_body_ref *)at = (struct saltare_body_ref){.ptr = bytes, .len = size, .token = (uint64_t)(uintptr_t)Py_NewRef(owner)};
    self->state->borrowed++;
    self->borrowed++;
    return 0;
}

void py_release_borrowed(loop *self, uint64_t token)
{
    self->borrowed--;
    self->state->borrowed--;
    Py_DECREF((PyObject *)(uintptr_t)token);
}

int py_loop_call_wake(loop *self)
{
    if (self->wake == NULL || self->woken) return 0;
    self->woken = true; /* set until the next turn, which the call itself may take */
    PyObject *result = py_call_hook(self->wake, "wake", NULL, 0);
    if (result == NULL) self->woken = false;
    Py_XDECREF(result);
    return result ? 0 : -1;
}

int py_loop_wake(loop *self) { return self->boxes[self->filling].len == 0 ? 0 : py_loop_call_wake(self); }
