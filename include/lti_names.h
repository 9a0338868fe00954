/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_names: the names of a person's sections and groups: read from what platforms write, and in the two forms in which this house keeps them.
 *
 *   list   ["Lab, Monday","Section 1"]     JSON, sorted, each name once: the database, and what applications read there and in the roster
 *   words  Lab,%20Monday Section%201       for headers, variables and cookies: separated by blanks; in a name blank and '%' are percent-encoded
 *
 * Names that are not UTF-8, have control characters or are longer than LTI_NAME_MAX are left out, since mended they would name something else; so is what is beyond
 * LTI_NAMES_MAX names or LTI_NAMES_BYTES bytes. Any thread; everything is allocated in the pool given.
 */
#ifndef LTI_NAMES_H
#define LTI_NAMES_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <jansson.h>

#define LTI_NAMES_MAX 100
#define LTI_NAME_MAX 255     /* bytes of one */
#define LTI_NAMES_BYTES 4000 /* of all together */

/** An empty collection: of const char *, in the order they came in. */
apr_array_header_t *lti_names_make(apr_pool_t *p);

/** One name as it is, but for blanks around it. */
void lti_names_add(apr_array_header_t *names, const char *name, apr_pool_t *p);

/** What a custom parameter says: a JSON list, else names separated by commas. A variable that the platform did not resolve ("$X...") says nothing. */
void lti_names_add_text(apr_array_header_t *names, const char *text, apr_pool_t *p);

/** The same of a value in JSON: a text as above, a number, a list of both. NULL says nothing. */
void lti_names_add_value(apr_array_header_t *names, const json_t *value, apr_pool_t *p);

/** The list, NULL if there are none. */
const char *lti_names_list(apr_array_header_t *names, apr_pool_t *p);

/** The words, NULL if there are none. */
const char *lti_names_words(apr_array_header_t *names, apr_pool_t *p);

/** A list as words; NULL for NULL and for what is no list. */
const char *lti_names_list_to_words(const char *list, apr_pool_t *p);

/** A list as JSON, owned by `p`; NULL for NULL and for what is no list. */
json_t *lti_names_list_to_json(const char *list, apr_pool_t *p);

/** 1 if `name` is among the words (NULL: none). */
int lti_names_has(const char *words, const char *name, apr_pool_t *p);

#endif
