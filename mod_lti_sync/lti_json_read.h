/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_json_read: the usual JSON text into jansson's values, several times faster than jansson's own reader, which a launch would otherwise wait for longer
 * than for its signature. Internal to the room lti_json. Whatever is not plainly right is left to jansson, whose verdict and words count: the two never differ
 * on what this one takes (tests/fuzz/json.c). Any thread, any process.
 */
#ifndef LTI_JSON_READ_H
#define LTI_JSON_READ_H

#include <apr_pools.h>
#include <jansson.h>

/** The object that is the whole of `text`, a new reference; NULL: let jansson judge. `ptemp` is asked for at most `size` bytes. */
json_t *lti_json_read(const char *text, apr_size_t size, apr_pool_t *ptemp);

/** Length of the UTF-8 character at `s`, which ends at a NUL or in front of `s[4]` (RFC 3629: no overlong form, no surrogate, nothing beyond U+10FFFF), 0 if
 * it is none. */
int lti_json_character(const unsigned char *s);

#endif
