/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools for fuzzing. An APR pool hands out pieces of large blocks, and a sanitizer does not see a step from one piece into the
 * next. Here apr_palloc() takes the place of APR's own: every piece is a block of malloc().
 *
 * Blocks are freed when the input is done with, not with their pool: cleanups of a pool may still read what was allocated from it.
 * One thread only.
 */
#include "fuzz.h"

static void **blocks;
static size_t used, room;
static int recording;
static apr_pool_t *lasting;

static void remember(void *block)
{
    if (used == room) {
        room = room == 0 ? 1024 : room * 2;
        blocks = realloc(blocks, room * sizeof(*blocks));
        if (blocks == NULL)
            abort();
    }
    blocks[used++] = block;
}

void *apr_palloc(apr_pool_t *p, apr_size_t size)
{
    void *block = malloc(size);

    if (block == NULL)
        abort();
    if (recording && p != lasting)
        remember(block);
    return block;
}

#undef apr_pcalloc
void *apr_pcalloc(apr_pool_t *p, apr_size_t size);
void *apr_pcalloc(apr_pool_t *p, apr_size_t size)
{
    return memset(apr_palloc(p, size), 0, size);
}

apr_pool_t *fuzz_pool(void)
{
    if (lasting == NULL && (apr_initialize() != APR_SUCCESS || apr_pool_create(&lasting, NULL) != APR_SUCCESS))
        abort();
    return lasting;
}

apr_pool_t *fuzz_begin(void)
{
    apr_pool_t *p;

    if (apr_pool_create(&p, fuzz_pool()) != APR_SUCCESS)
        abort();
    recording = 1;
    return p;
}

void fuzz_end(apr_pool_t *p)
{
    apr_pool_destroy(p);
    recording = 0;
    while (used > 0)
        free(blocks[--used]);
}

const char *fuzz_text(const uint8_t *data, size_t size, apr_pool_t *p)
{
    const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t length = end != NULL ? (size_t)(end - data) : size;
    char *text = apr_palloc(p, length + 1);

    if (length > 0)
        memcpy(text, data, length);
    text[length] = '\0';
    return text;
}
