/* SPDX-License-Identifier: Apache-2.0 */
/* OpenMetrics text: lines of families and samples. */
#include "mod_lti_admin_metrics_text.h"

#include <string.h>
#include <apr_strings.h>

static void put_bytes(mod_lti_admin_text_t *text, const char *bytes, apr_size_t length)
{
    if (length > text->room - text->size) {
        char *larger;

        text->room = 2 * (text->size + length);
        larger = apr_palloc(text->pool, text->room);
        memcpy(larger, text->text, text->size);
        text->text = larger;
    }
    memcpy(text->text + text->size, bytes, length);
    text->size += length;
}

static void put(mod_lti_admin_text_t *text, const char *string)
{
    put_bytes(text, string, strlen(string));
}

void mod_lti_admin_text_begin(mod_lti_admin_text_t *text, apr_pool_t *p)
{
    *text = (mod_lti_admin_text_t){.room = 16 * 1024, .pool = p};
    text->text = apr_palloc(p, text->room);
}

static void put_about(mod_lti_admin_text_t *text, const char *what, const char *name, const char *words)
{
    put(text, what);
    put(text, name);
    put(text, " ");
    put(text, words);
    put(text, "\n");
}

void mod_lti_admin_text_family(mod_lti_admin_text_t *text, const mod_lti_admin_family_t *family)
{
    text->family = family;
    put_about(text, "# TYPE ", family->name, family->type);
    if (family->unit != NULL)
        put_about(text, "# UNIT ", family->name, family->unit);
    put_about(text, "# HELP ", family->name, family->help);
}

static void put_escaped(mod_lti_admin_text_t *text, const char *value)
{
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"')
            put_bytes(text, "\\", 1);
        put_bytes(text, *value == '\n' ? "\\n" : value, *value == '\n' ? 2 : 1);
    }
}

static void put_sample(mod_lti_admin_text_t *text, const char *suffix, const mod_lti_admin_label_t *labels, const char *value)
{
    const char *before = "{";

    put(text, text->family->name);
    put(text, suffix);
    for (; labels != NULL && labels->name != NULL; labels++) {
        put(text, before);
        put(text, labels->name);
        put(text, "=\"");
        put_escaped(text, labels->value != NULL ? labels->value : "");
        put(text, "\"");
        before = ",";
    }
    put(text, *before == ',' ? "} " : " ");
    put(text, value);
    put(text, "\n");
}

/* With a digit behind the point, as the format wants bounds, and no more than are needed. APR's own: the C library's depends on the locale. */
static const char *number(double value, apr_pool_t *p)
{
    char *digits = apr_psprintf(p, "%.6f", value);
    apr_size_t length = strlen(digits);

    while (length > 2 && digits[length - 1] == '0' && digits[length - 2] != '.')
        digits[--length] = '\0';
    return digits;
}

void mod_lti_admin_text_count(mod_lti_admin_text_t *text, const mod_lti_admin_label_t *labels, apr_uint64_t value)
{
    const char *suffix = strcmp(text->family->type, "info") == 0 ? "_info" : "_total";

    put_sample(text, suffix, labels, apr_psprintf(text->pool, "%" APR_UINT64_T_FMT, value));
}

void mod_lti_admin_text_gauge(mod_lti_admin_text_t *text, const mod_lti_admin_label_t *labels, double value)
{
    put_sample(text, "", labels, number(value, text->pool));
}

void mod_lti_admin_text_histogram(mod_lti_admin_text_t *text, const lti_meter_histogram_t *histogram)
{
    apr_uint64_t below = 0;
    int i;

    for (i = 0; i < LTI_METER_BUCKETS; i++) {
        const char *bound = i < LTI_METER_BUCKETS - 1 ? number(lti_meter_bounds[i], text->pool) : "+Inf";
        const mod_lti_admin_label_t le[] = {{"le", bound}, {NULL, NULL}};

        below += histogram->buckets[i];
        put_sample(text, "_bucket", le, apr_psprintf(text->pool, "%" APR_UINT64_T_FMT, below));
    }
    put_sample(text, "_count", NULL, apr_psprintf(text->pool, "%" APR_UINT64_T_FMT, below));
    put_sample(text, "_sum", NULL, number(histogram->seconds, text->pool));
}

void mod_lti_admin_text_end(mod_lti_admin_text_t *text)
{
    put(text, "# EOF\n");
}
