/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_admin_metrics_text: OpenMetrics text 1.0 in the making: one family after the other, each with its samples. Label values are escaped, so that whatever stands in them cannot end
 * a line. Needs no request.
 */
#ifndef MOD_LTI_ADMIN_METRICS_TEXT_H
#define MOD_LTI_ADMIN_METRICS_TEXT_H

#include <apr_pools.h>
#include "lti_meter.h"

#define MOD_LTI_ADMIN_METRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

typedef struct mod_lti_admin_family_t {
    const char *name; /* without "_total" and the like; ends with the unit if there is one */
    const char *type; /* counter, gauge, histogram, info */
    const char *unit; /* NULL: none */
    const char *help; /* ours: no line end, backslash or quote */
} mod_lti_admin_family_t;

/** A label; a list of them ends with a name of NULL. `value` NULL counts as "". */
typedef struct mod_lti_admin_label_t {
    const char *name, *value;
} mod_lti_admin_label_t;

typedef struct mod_lti_admin_text_t {
    char *text;
    apr_size_t size, room;
    const mod_lti_admin_family_t *family; /* the samples that follow are of this one */
    apr_pool_t *pool;
} mod_lti_admin_text_t;

void mod_lti_admin_text_begin(mod_lti_admin_text_t *text, apr_pool_t *p);

/** The lines about a family. Each family comes once, with all of its samples behind it. */
void mod_lti_admin_text_family(mod_lti_admin_text_t *text, const mod_lti_admin_family_t *family);

/** A sample of a counter or an info; `labels` may be NULL. */
void mod_lti_admin_text_count(mod_lti_admin_text_t *text, const mod_lti_admin_label_t *labels, apr_uint64_t value);

/** A sample of a gauge. */
void mod_lti_admin_text_gauge(mod_lti_admin_text_t *text, const mod_lti_admin_label_t *labels, double value);

void mod_lti_admin_text_histogram(mod_lti_admin_text_t *text, const lti_meter_histogram_t *histogram);

/** Ends it. */
void mod_lti_admin_text_end(mod_lti_admin_text_t *text);

#endif
