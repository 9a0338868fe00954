/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_json_read: the usual JSON text into jansson's values, several times faster than jansson's own reader, which a launch would otherwise wait for longer
 * than for its signature. Internal to the room lti_json. Whatever is not plainly right is left to jansson, whose verdict and words count: the two never differ
 * on what this one takes (tests/fuzz/json.c). Any thread, any process.
 */
#ifndef LTI_JSON_READ_H
#define LTI_JSON_READ_H

#include <stdint.h>
#include <string.h>
#include <apr_pools.h>
#include <jansson.h>

/** The object that is the whole of `text`, a new reference; NULL: let jansson judge. `ptemp` is asked for at most `size` bytes. */
json_t *lti_json_read(const char *text, apr_size_t size, apr_pool_t *ptemp);

/**
 * How many of the next `size` bytes, in steps of eight, surely are plain: printable ASCII, no quotation mark, no backslash. What is counted out may be plain
 * too.
 */
static inline apr_size_t lti_json_plain(const unsigned char *s, apr_size_t size)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = UINT64_C(0x8080808080808080);
    apr_size_t at = 0;

    for (; size - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t word, quote, slash;

        memcpy(&word, s + at, sizeof(word));
        quote = word ^ ones * '"';
        slash = word ^ ones * '\\';
        /* In each byte the top bit: not ASCII | below a blank | DEL | a quotation mark | a backslash. */
        if (((word | (word - ones * 0x20) | (word + ones) | (quote - ones) | (slash - ones)) & tops) != 0)
            break;
    }
    return at;
}

/** Length of the UTF-8 character at `s`, which ends at a NUL or in front of `s[4]` (RFC 3629: no overlong form, no surrogate, nothing beyond U+10FFFF), 0 if
 * it is none. */
int lti_json_character(const unsigned char *s);

#endif
