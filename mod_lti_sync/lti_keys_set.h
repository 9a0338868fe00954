/* SPDX-License-Identifier: Apache-2.0 */
/* What lti_keys_cache.c needs of the JWK sets in lti_keys.c. Any thread. */
#ifndef LTI_KEYS_SET_H
#define LTI_KEYS_SET_H

#include <apr_pools.h>
#include "lti_err.h"

/** What goes into shared memory: as JSON in `p`, the usable keys of the set `text` with their public members only. Fails as
 * lti_keyset_parse() does. */
apr_status_t lti_keyset_normalise(const char **normalised, const char *text, apr_size_t size, apr_pool_t *p, lti_err_t *err);

#endif
