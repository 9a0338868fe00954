/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every fuzz target has in common. A target is one function, LLVMFuzzerTestOneInput(); with libFuzzer it is driven by
 * mutation (tests/fuzz/run.sh), with replay.c by the files that are named to it (`make check` does so with the seeds).
 *
 * A target does more than not crash: what the code promises of every input is asked with FUZZ_MUST().
 */
#ifndef LTI_FUZZ_H
#define LTI_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <apr_general.h>
#include <apr_pools.h>
#include <apr_strings.h>
#include <apr_tables.h>
#include "lti_err.h"
#include "lti_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** What lives as long as the program. Made at the first call. */
apr_pool_t *fuzz_pool(void);

/** A pool for one input. Each allocation is a block of its own, so that the sanitizer sees a step over its end (pool.c). */
apr_pool_t *fuzz_begin(void);
void fuzz_end(apr_pool_t *p);

/** The input as a text: up to its first NUL, in a block of exactly that size. */
const char *fuzz_text(const uint8_t *data, size_t size, apr_pool_t *p);

/** Whether `text` (NULL is fine) is a proper text of at most `max` bytes. */
static inline int fuzz_is_clean(const char *text, size_t max)
{
    return text == NULL || (strlen(text) <= max && lti_json_is_clean(text));
}

#define FUZZ_MUST(condition)                                                          \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: not kept: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                  \
        }                                                                             \
    } while (0)

/** A call that failed has said why, with one of the codes of the table. */
#define FUZZ_MUST_TELL(rv, err) FUZZ_MUST((rv) == APR_SUCCESS || ((err).code > LTI_OK && (err).code < LTI_E_COUNT))

#endif
