/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_surplus: a copy, in a given block of memory, of what does not fit into session cookies (lti_session_seal). The launch table of the database has
 * it all; this table has what was launched or asked for lately, so that requests of such sessions do not ask the database. It may forget at any time.
 *
 *   block   set 0 | set 1 | ...                    the keyed hash of the launch id chooses the set
 *   set     slot | slot | slot | slot              a launch stands in any of the four
 *   slot    4 KiB, in words of 64 bits
 *             0    sequence     second of the last claim << 32 | count; the count is odd while a writer is in the slot
 *             1    digest       keyed, of all that follows
 *             2    expires_at
 *             3    length of the id | bytes << 32; 0: empty
 *             4-7  launch id    padded with zero bytes
 *             8-   bytes        the text is base64url: what it stands for takes three quarters of the room
 *
 * Any thread of any process reads and writes. Nobody locks, nobody waits. A writer claims a slot by compare-and-swap of an even count to the next odd
 * one, fills it, and makes it even. Who dies in between leaves an odd count: readers pass the slot over, and five seconds after the claim any writer may
 * claim it again. Readers copy out and then look whether the sequence is still the same. One case it cannot show: a writer that was stopped for
 * so long that its slot was taken over, and then goes on. The digest shows that one.
 *
 * A new text replaces the same launch's; else it takes a free slot; else one that has expired; else the one that expires first.
 * Made in the parent, before the children are forked.
 */
#ifndef LTI_SURPLUS_H
#define LTI_SURPLUS_H

#include <apr_pools.h>
#include <apr_time.h>
#include "lti_err.h"

#define LTI_SURPLUS_SLOTS 512     /* as many as httpd gets: 2 MiB */
#define LTI_SURPLUS_ID_MAX 32     /* bytes of a launch id */
#define LTI_SURPLUS_TEXT_MAX 5376 /* characters of a text */

typedef struct lti_surplus_t lti_surplus_t;

/** Bytes for at least `slots` slots. */
apr_size_t lti_surplus_size(int slots);

/**
 * Makes an empty table of the whole sets that `block` has room for; the handle is of `p` and inherited by fork. LTI_E_INTERNAL if there is
 * no room for one set, if `block` is not aligned to 8 bytes, or if there is no randomness.
 */
apr_status_t lti_surplus_format(lti_surplus_t **table, void *block, apr_size_t size, apr_pool_t *p, lti_err_t *err);

/**
 * Keeps `text` for the launch `id` until `expires_at`. A launch's text never changes: of two that are put at the same time either may stay. Whoever puts can
 * do without success, and the reason is told by the status alone:
 * APR_ENOSPC the text is longer than a slot; APR_EINVAL no text in base64url, no id or one too long, or expired already; APR_EBUSY others write just here.
 */
apr_status_t lti_surplus_put(lti_surplus_t *table, const char *id, const char *text, apr_time_t expires_at, apr_time_t now);

/** The text of the launch, a copy in `p`; NULL: not here, ask the database. */
const char *lti_surplus_get(const lti_surplus_t *table, const char *id, apr_time_t now, apr_pool_t *p);

#endif
