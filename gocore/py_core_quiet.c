/* What a core does in quiet periods: it shrinks, and has pages of code dropped before it waits. */
#include "py_core_type.h"

#include <sys/auxv.h>
#include <sys/epoll.h>

#include "py_exchange.h"
#include "py_hook.h"
#include "py_memory.h"
#include "py_starter.h"

/* A dict keeps its largest size until it is cleared. */
static void shrink_keys(core *self)
{
    if (self->keys != NULL && PyDict_GET_SIZE(self->keys) == 0) PyDict_Clear(self->keys);
}

/* Releases memory that a burst has left. */
static void shrink(core *self)
{
    for (int i = 0; i < 2; i++) {
        if (self->loop.boxes[i].len == 0) py_outbox_free(&self->loop.boxes[i]);
    }
    py_exchange_shrink_table(&self->loop);
    shrink_keys(self);
    if (self->dispatch != NULL && Py_IS_TYPE(self->dispatch, self->loop.state->starter_type)) py_starter_shrink((starter *)self->dispatch);
}

/* Work done in a quiet period brings pages of code back, so they are dropped just before the wait. With a guest driver the host
 * loop waits, so they are dropped now.
 * In order: TURN_QUIET (from Go), on_quiet (in Python: garbage, free memory, pages shared again), release, the wait. */
void py_core_release_soon(core *self)
{
    if (self->memory == NULL) return;
    if (self->guest) {
        self->memory->release_before_wait(NULL, 0, NULL, 0);
    } else {
        self->release_before_wait = true;
    }
}

int py_core_quiet(core *self, uint32_t flags, bool goes_on)
{
    if (flags & TURN_QUIET) shrink(self);
    if ((flags & TURN_QUIET || goes_on) && py_call_if_set(self->on_quiet, "on_quiet") < 0) return -1;
    if (flags & (TURN_QUIET | TURN_PAUSE)) py_core_release_soon(self);
    return 0;
}

uint32_t py_core_release_before_wait(core *self, struct saltare_range *code)
{
    const void *const way[] = {
        (void *)(uintptr_t)getauxval(AT_BASE),
        (void *)(uintptr_t)epoll_create1,
        (void *)(uintptr_t)PyEval_SaveThread,
        (void *)(uintptr_t)saltare_turn,
    };
    self->release_before_wait = false;
    if (self->memory == NULL) return 0; /* unset meanwhile */
    return (uint32_t)self->memory->release_before_wait(way, sizeof way / sizeof *way, &code->start, MOST_CODE);
}

PyObject *py_core_get_release(core *self, void *Py_UNUSED(closure))
{
    if (self->memory == NULL) Py_RETURN_NONE;
    return PyCapsule_New((void *)(uintptr_t)self->memory, SALTARE_MEMORY_API, NULL);
}

int py_core_set_release(core *self, PyObject *capsule, void *Py_UNUSED(closure))
{
    const struct saltare_memory_api *memory = NULL;
    if (capsule != NULL && capsule != Py_None && (memory = py_memory_api(capsule)) == NULL) return -1;
    self->memory = memory;
    return 0;
}
