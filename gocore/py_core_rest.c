/* What a core does in quiet periods: it shrinks, and has pages of code dropped before it waits. */
#include "py_core_type.h"

#include <sys/auxv.h>
#include <sys/epoll.h>

#include "py_exchange.h"
#include "py_hook.h"
#include "py_starter.h"

/* A dict keeps the room of all that it ever held, unless it is cleared. */
static void shrink_keys(core *self)
{
    if (self->keys != NULL && PyDict_GET_SIZE(self->keys) == 0) PyDict_Clear(self->keys);
}

/* What a burst has made large is small again. */
static void shrink(core *self)
{
    for (int i = 0; i < 2; i++) {
        if (self->loop.boxes[i].len == 0) py_outbox_free(&self->loop.boxes[i]);
    }
    py_exchange_shrink_table(&self->loop);
    shrink_keys(self);
    if (self->dispatch != NULL && Py_IS_TYPE(self->dispatch, self->loop.state->starter_type)) py_starter_shrink((starter *)self->dispatch);
}

/* What runs while a server comes to rest brings pages of code back, so they are dropped as the last thing before the wait. A
 * guest's wait is its host's.
 * In order: a lull (TURN_LULL, of Go), on_lull (of Python: garbage, free memory, pages shared again), release, the wait. */
int py_core_rest(core *self)
{
    if (self->release == NULL || self->release == Py_None) return 0;
    release_code *release = (release_code *)(uintptr_t)PyCapsule_GetPointer(self->release, "saltare._memory.RELEASE_BEFORE_WAIT");
    if (release == NULL) return -1;
    if (self->guest) {
        release(NULL, 0, NULL, 0);
    } else {
        self->before_wait = release;
    }
    return 0;
}

int py_core_lull(core *self)
{
    shrink(self);
    return py_call_if_set(self->on_lull, "on_lull") < 0 ? -1 : py_core_rest(self);
}

uint32_t py_core_release_before_wait(core *self, struct saltare_range *code)
{
    const void *const way[] = {
        (void *)(uintptr_t)getauxval(AT_BASE),
        (void *)(uintptr_t)epoll_create1,
        (void *)(uintptr_t)PyEval_SaveThread,
        (void *)(uintptr_t)saltare_turn,
    };
    release_code *release = self->before_wait;
    self->before_wait = NULL;
    return (uint32_t)release(way, sizeof way / sizeof *way, &code->start, MOST_CODE);
}
