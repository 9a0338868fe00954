/* SPDX-License-Identifier: Apache-2.0 */
/* One message that many processes may leave and one thread takes, without a lock. */
#include "lti_mailbox.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include "lti_json.h"

#define CLAIM_LIFE apr_time_from_sec(5) /* a copy takes microseconds: whoever holds the box for longer is dead */

/* EMPTY, FULL, or the time since when somebody writes: one word, so that a claim is one instruction and tells its age. */
#define EMPTY UINT64_C(0)
#define FULL UINT64_C(1)

typedef struct layout_t {
    _Atomic uint64_t state;
    lti_message_t message;
} layout_t;

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock inside an atomic would not work between processes, nor survive a dead one");

struct lti_mailbox_t {
    layout_t *layout;
};

apr_size_t lti_mailbox_size(void)
{
    return sizeof(layout_t);
}

apr_status_t lti_mailbox_format(lti_mailbox_t **box, void *block, apr_size_t size, apr_pool_t *p, lti_err_t *err)
{
    if (size < sizeof(layout_t) || ((uintptr_t)block & 7) != 0)
        return lti_fail(err, LTI_E_INTERNAL, APR_EINVAL, "the mailbox got %" APR_SIZE_T_FMT " bytes at %p", size, block);
    memset(block, 0, sizeof(layout_t));
    *box = apr_palloc(p, sizeof(**box));
    (*box)->layout = block;
    return APR_SUCCESS;
}

/* As much as fits, cut where a character begins. */
static void copy_text(char to[LTI_MAILBOX_TEXT_MAX], const char *from)
{
    apr_size_t length = from != NULL ? strnlen(from, LTI_MAILBOX_TEXT_MAX) : 0;

    if (length == LTI_MAILBOX_TEXT_MAX) {
        length--;
        while (length > 0 && ((unsigned char)from[length] & 0xC0) == 0x80)
            length--;
    }
    if (length > 0)
        memcpy(to, from, length);
    to[length] = '\0';
}

static int is_free(uint64_t state, apr_time_t now)
{
    /* A claim from the future is one from before the clock was set back. */
    return state == EMPTY || (state != FULL && (now - (apr_time_t)state > CLAIM_LIFE || (apr_time_t)state - now > CLAIM_LIFE));
}

int lti_mailbox_put(lti_mailbox_t *box, const char *const texts[LTI_MAILBOX_TEXTS], apr_time_t now)
{
    layout_t *layout = box->layout;
    uint64_t state = atomic_load_explicit(&layout->state, memory_order_relaxed), claim = (uint64_t)now;
    int i;

    if (!is_free(state, now) ||
        !atomic_compare_exchange_strong_explicit(&layout->state, &state, claim, memory_order_acquire, memory_order_relaxed))
        return 0;
    for (i = 0; i < LTI_MAILBOX_TEXTS; i++)
        copy_text(layout->message.texts[i], texts[i]);
    /* Not ours any more: this thread was held up, another took over, and that one's message counts. */
    return atomic_compare_exchange_strong_explicit(&layout->state, &claim, FULL, memory_order_release, memory_order_relaxed);
}

int lti_mailbox_take(lti_message_t *message, lti_mailbox_t *box)
{
    layout_t *layout = box->layout;
    int i;

    if (atomic_load_explicit(&layout->state, memory_order_acquire) != FULL)
        return 0;
    *message = layout->message;
    atomic_store_explicit(&layout->state, EMPTY, memory_order_release);
    for (i = 0; i < LTI_MAILBOX_TEXTS; i++) {
        message->texts[i][LTI_MAILBOX_TEXT_MAX - 1] = '\0';
        /* A writer that was held up may have written into another's message. */
        if (!lti_json_is_clean(message->texts[i]))
            message->texts[i][0] = '\0';
    }
    return 1;
}
