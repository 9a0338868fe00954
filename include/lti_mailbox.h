/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_mailbox: one short message from request threads to the watch thread, in a given block of memory: what is worth a row in the database, but not worth
 * that a request waits for it, or that a flood of requests comes there.
 *
 *   block   state: { empty | being written since | full } | texts
 *
 * Whoever finds the box empty puts a message in; while it is full, or another writes, messages are dropped. The watch thread takes at its own pace. A writer that
 * dies half way holds the box for some seconds only. Nobody locks.
 *
 * Made in the parent before the children are forked.
 */
#ifndef LTI_MAILBOX_H
#define LTI_MAILBOX_H

#include <apr_pools.h>
#include <apr_time.h>
#include "lti_err.h"

#define LTI_MAILBOX_TEXTS 4
#define LTI_MAILBOX_TEXT_MAX 256 /* bytes of a text with its NUL; the rest is cut */

typedef struct lti_mailbox_t lti_mailbox_t;

typedef struct lti_message_t {
    char texts[LTI_MAILBOX_TEXTS][LTI_MAILBOX_TEXT_MAX]; /* "": none */
} lti_message_t;

apr_size_t lti_mailbox_size(void);

/** Makes an empty box. LTI_E_INTERNAL if `block` is too small or not aligned to 8 bytes. */
apr_status_t lti_mailbox_format(lti_mailbox_t **box, void *block, apr_size_t size, apr_pool_t *p, lti_err_t *err);

/** Any thread of any process. `texts` are UTF-8 without control characters, or NULL. 1: it is in; 0: dropped. */
int lti_mailbox_put(lti_mailbox_t *box, const char *const texts[LTI_MAILBOX_TEXTS], apr_time_t now);

/** One thread at a time. 1 and `*message`, and the box is empty; 0: there is nothing. */
int lti_mailbox_take(lti_message_t *message, lti_mailbox_t *box);

#endif
