/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the program ltictl share: ltictl.c reads the command line, ltictl_http.c asks the status end point, ltictl_table.c prints, ltictl_show.c has the commands that look and
 * ltictl_do.c those that do something.
 *
 * It asks the status end point rather than the database: then one rule says who may, one log has what was done, no password of a database is needed, and what only httpd has (the
 * tool's keys) is where it is used. One process, one thread, one command.
 */
#ifndef LTICTL_H
#define LTICTL_H

#include <apr_pools.h>
#include <apr_tables.h>
#include <jansson.h>

#define CTL_OK 0
#define CTL_FAILED 1 /* what was asked for did not succeed, or is not there */
#define CTL_USAGE 2
#define CTL_OUTSIDE 3 /* httpd cannot be reached, or does not let this user in */

typedef struct ctl_t {
    apr_pool_t *pool;
    const char *url;                                        /* of the status end point */
    const char *user, *password, *ca_file;                  /* NULL: none */
    const char *search, *state, *platform, *order, *person; /* options; NULL: not given */
    int json, yes, wait, csv, raw;
    int is_terminal; /* standard output */
    int width;       /* of the terminal in columns */
    int colours;
    const char **words; /* behind the command's name */
    int count;
    char *token; /* of actions, as the last answer had it; NULL: none came yet */
} ctl_t;

typedef struct ctl_command_t {
    const char *name;
    const char *usage; /* words behind the name */
    const char *help;
    int least, most; /* words behind the name */
    int (*run)(ctl_t *ctl);
} ctl_command_t;

/** Says what is wrong, in one line; returns `code`. */
int ctl_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- asking (ltictl_http.c): CTL_OK and an object owned by the pool, or the exit status after saying why ----------------------------------------------------- */

/** Pairs name, value up to NULL; a value of NULL leaves the pair out. format=json is added. Without the member `wanted` it is no answer of the status end point. */
int ctl_get(json_t **answer, ctl_t *ctl, const char *wanted, ...) __attribute__((sentinel));
/** The same address again: what the Location of an action named. */
int ctl_follow(json_t **answer, ctl_t *ctl, const char *location);
/** An action; the token is fetched first. `*location` (may be NULL) is where it can be followed, NULL if nowhere. */
int ctl_post(json_t **answer, const char **location, ctl_t *ctl, ...) __attribute__((sentinel));

/** The key of the course that a word means: a key, or a part of a name that only one course has. */
int ctl_course(const char **key, ctl_t *ctl, const char *word);

/* --- printing (ltictl_table.c) --------------------------------------------------------------------------------------------------------------- */

/** `text` without what could steer a terminal: control characters, marks of writing direction; bytes that are no UTF-8 become '?'. NULL is "". */
const char *ctl_clean(const char *text, apr_pool_t *p);
/** Columns of a terminal. */
int ctl_width(const char *text);
/** At most `width` columns; what is cut ends in "…". */
const char *ctl_cut(const char *text, int width, apr_pool_t *p);

typedef struct ctl_table_t {
    apr_pool_t *pool;
    const char *const *headings; /* one that begins with '>' is of numbers, one with '!' is never cut */
    int columns;
    apr_array_header_t *cells; /* of const char *, cleaned */
} ctl_table_t;

ctl_table_t *ctl_table(apr_pool_t *p, const char *const *headings, int columns);
void ctl_cell(ctl_table_t *table, const char *text);
/** On a terminal aligned, with headings, as wide as it is; else tab-separated, whole. */
void ctl_print_table(const ctl_table_t *table, const ctl_t *ctl);

void ctl_print_json(const json_t *json);
/** The object D of lti_overview.h: mark, sentence, evidence, steps. */
void ctl_print_diagnosis(const json_t *diagnosis, const char *title, const ctl_t *ctl);
/** "12 s", "5 min", "3 h", "2 d"; "never" for null. */
const char *ctl_age(const json_t *seconds, apr_pool_t *p);

/** A member's text, cleaned; "" if it has none. */
const char *ctl_text(const json_t *object, const char *name, apr_pool_t *p);
const char *ctl_number(const json_t *object, const char *name, apr_pool_t *p);

/* --- commands --------------------------------------------------------------------------------------------------------------------------------- */

int ctl_status(ctl_t *ctl);
int ctl_platforms(ctl_t *ctl);
int ctl_courses(ctl_t *ctl);
int ctl_show_course(ctl_t *ctl);
int ctl_roster(ctl_t *ctl);
int ctl_doctor(ctl_t *ctl);
int ctl_sync(ctl_t *ctl);
int ctl_accept(ctl_t *ctl);
int ctl_deployments(ctl_t *ctl);
int ctl_end_sessions(ctl_t *ctl);
int ctl_export(ctl_t *ctl);

#endif
