/* SPDX-License-Identifier: Apache-2.0 */
/* lti_json: jansson behind a check of depth and form that runs before it, so that it never recurses into what we refuse. */
#include "lti_json.h"

#include <stdlib.h>
#include <string.h>
#include <apr_strings.h>
#include "lti_json_read.h"

static apr_status_t drop_json(void *data)
{
    json_decref(data);
    return APR_SUCCESS;
}

json_t *lti_json_own(json_t *json, apr_pool_t *p)
{
    if (json != NULL)
        apr_pool_cleanup_register(p, json, drop_json, apr_pool_cleanup_null);
    return json;
}

/* Where the closing quote of the string that begins after `at` stands, or `size`. */
static apr_size_t string_end(const char *text, apr_size_t at, apr_size_t size)
{
    for (; at < size && text[at] != '"'; at++) {
        if (text[at] == '\\')
            at++;
    }
    return at < size ? at : size;
}

/*
 * One pass without recursion: brackets outside strings are counted, and a NUL, which jansson would take for an end, is found.
 * That the text is otherwise JSON is jansson's business.
 */
static apr_status_t check_depth(const char *text, apr_size_t size, lti_code_t code, lti_err_t *err)
{
    apr_size_t i, end;
    int depth = 0;

    for (i = 0; i < size; i++) {
        switch (text[i]) {
        case '{':
        case '[':
            if (++depth > LTI_JSON_DEPTH)
                return lti_fail(err, code, APR_EINVAL, "JSON is nested deeper than %d levels at byte %" APR_SIZE_T_FMT,
                                LTI_JSON_DEPTH, i);
            break;
        case '}':
        case ']':
            depth--;
            break;
        case '"':
            end = string_end(text, i + 1, size);
            if (end == size)
                return lti_fail(err, code, APR_EINVAL, "JSON has a string without an end at byte %" APR_SIZE_T_FMT, i);
            i = end;
            break;
        default:
            break;
        }
    }
    return APR_SUCCESS;
}

/* jansson's reason without its quotation of the text, which may be somebody's name or mark. */
static apr_status_t fail_parse(const json_error_t *error, lti_code_t code, lti_err_t *err)
{
    const char *quote = strstr(error->text, " near '");
    int length = quote != NULL ? (int)(quote - error->text) : (int)strlen(error->text);

    if (json_error_code(error) == json_error_duplicate_key)
        return lti_fail(err, code, APR_EINVAL, "JSON has a member twice in one object, at byte %d", error->position);
    return lti_fail(err, code, APR_EINVAL, "JSON is damaged at line %d, column %d, byte %d: %.*s", error->line, error->column,
                    error->position, length, error->text);
}

apr_status_t lti_json_object(json_t **json, const char *text, apr_size_t size, lti_code_t code, apr_pool_t *p, lti_err_t *err)
{
    json_error_t error;
    json_t *value;
    apr_status_t rv;

    *json = NULL;
    if (size == 0)
        return lti_fail(err, code, APR_EINVAL, "JSON is expected, but there is nothing");
    value = lti_json_read(text, size, p);
    if (value != NULL) {
        *json = lti_json_own(value, p);
        return APR_SUCCESS;
    }

    if (memchr(text, '\0', size) != NULL)
        return lti_fail(err, code, APR_EINVAL, "JSON has a NUL byte");
    rv = check_depth(text, size, code, err);
    if (rv != APR_SUCCESS)
        return rv;
    value = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (value == NULL)
        return fail_parse(&error, code, err);
    if (!json_is_object(value)) {
        json_decref(value);
        return lti_fail(err, code, APR_EINVAL, "JSON is no object");
    }
    *json = lti_json_own(value, p);
    return APR_SUCCESS;
}

const char *lti_json_string(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

char *lti_json_text(const json_t *json, apr_pool_t *p)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY), *copy;

    if (text == NULL)
        return NULL;
    copy = apr_pstrdup(p, text);
    free(text);
    return copy;
}

int lti_json_is_clean(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    if (s == NULL)
        return 0;
    s += lti_json_plain(s, strlen(text));
    while (*s != '\0') {
        int length;

        while (*s >= 0x20 && *s < 0x7F) /* most texts are nothing else */
            s++;
        if (*s == '\0')
            break;
        length = lti_json_character(s);
        if (length == 0 || *s < 0x20 || *s == 0x7F || (*s == 0xC2 && s[1] < 0xA0))
            return 0;
        s += length;
    }
    return 1;
}

void lti_json_set_time(json_t *object, const char *member, apr_time_t time)
{
    apr_time_exp_t parts;

    if (time <= 0 || apr_time_exp_gmt(&parts, time) != APR_SUCCESS)
        json_object_set_new(object, member, json_null());
    else
        json_object_set_new(object, member,
                            json_sprintf("%04d-%02d-%02dT%02d:%02d:%02dZ", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                                         parts.tm_min, parts.tm_sec));
}
