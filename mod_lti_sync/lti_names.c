/* SPDX-License-Identifier: Apache-2.0 */
/* Names of sections and groups, from what platforms write into two forms of our own. */
#include "lti_names.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <apr_strings.h>
#include "lti_json.h"

#define MEMBER "list" /* a list is parsed as the member of an object, which is what lti_json reads */

apr_array_header_t *lti_names_make(apr_pool_t *p)
{
    return apr_array_make(p, 4, sizeof(const char *));
}

static apr_size_t bytes_of(const apr_array_header_t *names)
{
    apr_size_t bytes = 0;
    int i;

    for (i = 0; i < names->nelts; i++)
        bytes += strlen(APR_ARRAY_IDX(names, i, const char *));
    return bytes;
}

static void add_bytes(apr_array_header_t *names, const char *name, apr_size_t length, apr_pool_t *p)
{
    const char *copy;
    int i;

    for (; length > 0 && *name == ' '; length--)
        name++;
    while (length > 0 && name[length - 1] == ' ')
        length--;
    if (length == 0 || length > LTI_NAME_MAX || names->nelts == LTI_NAMES_MAX || bytes_of(names) + length > LTI_NAMES_BYTES)
        return;
    copy = apr_pstrmemdup(p, name, length);
    if (!lti_json_is_clean(copy))
        return;
    for (i = 0; i < names->nelts; i++) {
        if (strcmp(APR_ARRAY_IDX(names, i, const char *), copy) == 0)
            return;
    }
    APR_ARRAY_PUSH(names, const char *) = copy;
}

void lti_names_add(apr_array_header_t *names, const char *name, apr_pool_t *p)
{
    add_bytes(names, name, strlen(name), p);
}

/* NULL if the text is no JSON list: names may begin with a bracket too. */
static json_t *parse_list(const char *text, apr_pool_t *p)
{
    const char *wrapped = apr_pstrcat(p, "{\"" MEMBER "\":", text, "}", NULL);
    json_t *object, *list;

    if (lti_json_object(&object, wrapped, strlen(wrapped), LTI_E_CLAIM_INVALID, p, NULL) != APR_SUCCESS)
        return NULL;
    list = json_object_get(object, MEMBER);
    return json_is_array(list) && json_object_size(object) == 1 ? list : NULL;
}

static void add_commas(apr_array_header_t *names, const char *text, apr_pool_t *p)
{
    for (;;) {
        apr_size_t length = strcspn(text, ",");

        add_bytes(names, text, length, p);
        if (text[length] == '\0')
            return;
        text += length + 1;
    }
}

static void add_list(apr_array_header_t *names, const json_t *list, apr_pool_t *p)
{
    apr_size_t i;

    for (i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);

        if (json_is_string(item))
            lti_names_add(names, json_string_value(item), p);
        else if (json_is_integer(item))
            lti_names_add(names, apr_psprintf(p, "%" APR_INT64_T_FMT, (apr_int64_t)json_integer_value(item)), p);
    }
}

void lti_names_add_text(apr_array_header_t *names, const char *text, apr_pool_t *p)
{
    const json_t *list;

    text += strspn(text, " ");
    if (text[0] == '$' && isalpha((unsigned char)text[1]))
        return;
    list = text[0] == '[' ? parse_list(text, p) : NULL;
    if (list != NULL)
        add_list(names, list, p);
    else
        add_commas(names, text, p);
}

void lti_names_add_value(apr_array_header_t *names, const json_t *value, apr_pool_t *p)
{
    if (json_is_string(value))
        lti_names_add_text(names, json_string_value(value), p);
    else if (json_is_integer(value))
        lti_names_add(names, apr_psprintf(p, "%" APR_INT64_T_FMT, (apr_int64_t)json_integer_value(value)), p);
    else
        add_list(names, value, p);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Platforms name them in any order; ours is always the same, so that an unchanged person is an unchanged row. */
static void sort(apr_array_header_t *names)
{
    qsort(names->elts, (size_t)names->nelts, sizeof(const char *), compare);
}

const char *lti_names_list(apr_array_header_t *names, apr_pool_t *p)
{
    json_t *list;
    int i;

    if (names->nelts == 0)
        return NULL;
    sort(names);
    list = lti_json_own(json_array(), p);
    for (i = 0; i < names->nelts; i++)
        json_array_append_new(list, json_string(APR_ARRAY_IDX(names, i, const char *)));
    return lti_json_text(list, p);
}

static const char *encode(const char *name, apr_pool_t *p)
{
    char *out, *at;

    if (strpbrk(name, " %") == NULL)
        return name;
    out = at = apr_palloc(p, 3 * strlen(name) + 1);
    for (; *name != '\0'; name++) {
        if (*name == ' ' || *name == '%') {
            *at++ = '%';
            *at++ = '2';
            *at++ = *name == ' ' ? '0' : '5';
        } else {
            *at++ = *name;
        }
    }
    *at = '\0';
    return out;
}

const char *lti_names_words(apr_array_header_t *names, apr_pool_t *p)
{
    apr_array_header_t *words;
    int i;

    if (names->nelts == 0)
        return NULL;
    sort(names);
    words = apr_array_make(p, names->nelts, sizeof(const char *));
    for (i = 0; i < names->nelts; i++)
        APR_ARRAY_PUSH(words, const char *) = encode(APR_ARRAY_IDX(names, i, const char *), p);
    return apr_array_pstrcat(p, words, ' ');
}

const char *lti_names_list_to_words(const char *list, apr_pool_t *p)
{
    apr_array_header_t *names = lti_names_make(p);

    add_list(names, lti_names_list_to_json(list, p), p);
    return lti_names_words(names, p);
}

json_t *lti_names_list_to_json(const char *list, apr_pool_t *p)
{
    return list != NULL ? parse_list(list, p) : NULL;
}

int lti_names_has(const char *words, const char *name, apr_pool_t *p)
{
    const char *wanted = encode(name, p);
    apr_size_t length = strlen(wanted);

    while (words != NULL && *words != '\0') {
        apr_size_t size = strcspn(words, " ");

        if (size == length && memcmp(words, wanted, size) == 0)
            return 1;
        words += size + (words[size] == ' ');
    }
    return 0;
}
