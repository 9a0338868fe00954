/* SPDX-License-Identifier: Apache-2.0 */
/* ltictl: the commands that look. */
#include "ltictl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <apr_strings.h>

#define PAGE_ROWS 200 /* of an answer */
#define PAGE APR_STRINGIFY(PAGE_ROWS)

/* --- all of it ------------------------------------------------------------------------------------------------------------------- */

static void print_health(const json_t *health, const ctl_t *ctl)
{
    static const char *const headings[] = {"state", ">courses"};
    const json_t *memory = json_object_get(health, "shared_memory"), *count;
    ctl_table_t *table = ctl_table(ctl->pool, headings, 2);
    const char *state;

    printf("%s: %s\n\n", ctl_text(health, "state", ctl->pool), ctl_text(health, "sentence", ctl->pool));
    json_object_foreach(json_object_get(health, "states"), state, count)
    {
        ctl_cell(table, state);
        ctl_cell(table, ctl_number(json_object_get(health, "states"), state, ctl->pool));
    }
    ctl_print_table(table, ctl);
    printf("\n%s people, %s courses wait for their turn, %s deployments to be accepted\n", ctl_number(health, "people", ctl->pool),
           ctl_number(health, "due", ctl->pool), ctl_number(health, "deployments_waiting", ctl->pool));
    if (json_is_object(memory))
        printf("shared memory: %s %% taken, room for some %s people\n", ctl_number(memory, "percent", ctl->pool),
               ctl_number(memory, "room_for_people", ctl->pool));
}

int ctl_status(ctl_t *ctl)
{
    const json_t *problem;
    json_t *answer = NULL;
    size_t i;
    int code = ctl_get(&answer, ctl, "health", "limit", "1", NULL);

    if (code != CTL_OK)
        return code;
    if (ctl->json) {
        ctl_print_json(answer);
        return CTL_OK;
    }
    print_health(json_object_get(answer, "health"), ctl);
    json_array_foreach(json_object_get(answer, "problems"), i, problem)
    {
        const char *title = ctl_text(problem, "title", ctl->pool), *key = ctl_text(problem, "course", ctl->pool);

        putchar('\n');
        ctl_print_diagnosis(json_object_get(problem, "diagnosis"),
                            *key != '\0' ? apr_pstrcat(ctl->pool, title, " (", key, ")", NULL)
                                         : apr_pstrcat(ctl->pool, "platform ", title, NULL),
                            ctl);
    }
    return CTL_OK;
}

/* --- platforms -------------------------------------------------------------------------------------------------------------------- */

static int get_platforms(json_t **answer, ctl_t *ctl)
{
    return ctl_get(answer, ctl, "platforms", "part", "platforms", NULL);
}

int ctl_platforms(ctl_t *ctl)
{
    static const char *const headings[] = {"platform", "family", ">courses", "key set", "token", "clock", "state"};
    ctl_table_t *table = ctl_table(ctl->pool, headings, 7);
    const json_t *platform;
    json_t *answer = NULL;
    size_t i;
    int code = get_platforms(&answer, ctl);

    if (code != CTL_OK)
        return code;
    if (ctl->json) {
        ctl_print_json(answer);
        return CTL_OK;
    }
    json_array_foreach(json_object_get(answer, "platforms"), i, platform)
    {
        const char *offset = ctl_number(platform, "clock_offset", ctl->pool);

        ctl_cell(table, ctl_text(platform, "platform", ctl->pool));
        ctl_cell(table, ctl_text(platform, "family", ctl->pool));
        ctl_cell(table, ctl_number(platform, "courses", ctl->pool));
        ctl_cell(table, ctl_age(json_object_get(json_object_get(platform, "key_set"), "age"), ctl->pool));
        ctl_cell(table, ctl_age(json_object_get(json_object_get(platform, "token"), "age"), ctl->pool));
        ctl_cell(table, *offset != '\0' ? apr_pstrcat(ctl->pool, offset, " s", NULL) : "");
        ctl_cell(table, ctl_text(json_object_get(platform, "diagnosis"), "state", ctl->pool));
    }
    ctl_print_table(table, ctl);
    return CTL_OK;
}

/* --- courses ---------------------------------------------------------------------------------------------------------------------- */

static const char *title_of(const json_t *course, apr_pool_t *p)
{
    static const char *const names[] = {"title", "label", "context_id"};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *text = ctl_text(course, names[i], p);

        if (*text != '\0')
            return text;
    }
    return "";
}

/* All pages as one list; `*last` is the last answer. */
static int get_courses(json_t **rows, ctl_t *ctl)
{
    json_t *answer = NULL;
    apr_int64_t total, offset = 0;
    int code;

    *rows = json_array();
    do {
        const json_t *courses, *page;

        code = ctl_get(&answer, ctl, "courses", "part", "courses", "search", ctl->search, "state", ctl->state, "platform",
                       ctl->platform, "order", ctl->order, "offset", apr_psprintf(ctl->pool, "%" APR_INT64_T_FMT, offset), "limit",
                       PAGE, NULL);
        if (code != CTL_OK)
            return code;
        courses = json_object_get(answer, "courses");
        page = json_object_get(courses, "rows");
        total = json_integer_value(json_object_get(courses, "total"));
        json_array_extend(*rows, (json_t *)page);
        offset += PAGE_ROWS;
    } while (offset < total);
    return CTL_OK;
}

int ctl_courses(ctl_t *ctl)
{
    static const char *const headings[] = {"!course", "title", "platform", "state", ">people", ">read", ">next", "diagnosis"};
    ctl_table_t *table = ctl_table(ctl->pool, headings, 8);
    const json_t *course;
    json_t *rows = NULL;
    size_t i;
    int code = get_courses(&rows, ctl);

    if (code == CTL_OK && ctl->json) {
        ctl_print_json(rows);
    } else if (code == CTL_OK) {
        json_array_foreach(rows, i, course)
        {
            ctl_cell(table, ctl_text(course, "course", ctl->pool));
            ctl_cell(table, title_of(course, ctl->pool));
            ctl_cell(table, ctl_text(course, "platform", ctl->pool));
            ctl_cell(table, ctl_text(course, "state", ctl->pool));
            ctl_cell(table, ctl_number(course, "active", ctl->pool));
            ctl_cell(table, ctl_age(json_object_get(course, "age"), ctl->pool));
            ctl_cell(table, json_is_integer(json_object_get(course, "due_in"))
                                ? ctl_age(json_object_get(course, "due_in"), ctl->pool)
                                : "");
            ctl_cell(table, ctl_text(json_object_get(course, "diagnosis"), "state", ctl->pool));
        }
        ctl_print_table(table, ctl);
    }
    json_decref(rows);
    return code;
}

static void print_runs(const json_t *runs, const ctl_t *ctl)
{
    static const char *const headings[] = {"started",  ">seconds", ">pages",    ">listed", ">joined",
                                           ">changed", ">left",    ">returned", "outcome"};
    ctl_table_t *table = ctl_table(ctl->pool, headings, 9);
    const json_t *run;
    size_t i;

    json_array_foreach(runs, i, run)
    {
        const char *error = ctl_text(run, "error", ctl->pool), *text = ctl_text(run, "error_text", ctl->pool);

        ctl_cell(table, ctl_text(run, "started_at", ctl->pool));
        ctl_cell(table, apr_psprintf(ctl->pool, "%.1f", json_number_value(json_object_get(run, "seconds"))));
        ctl_cell(table, ctl_number(run, "pages", ctl->pool));
        ctl_cell(table, ctl_number(run, "members", ctl->pool));
        ctl_cell(table, ctl_number(run, "joined", ctl->pool));
        ctl_cell(table, ctl_number(run, "changed", ctl->pool));
        ctl_cell(table, ctl_number(run, "left", ctl->pool));
        ctl_cell(table, ctl_number(run, "returned", ctl->pool));
        ctl_cell(table, *error == '\0'  ? (json_is_string(json_object_get(run, "ended_at")) ? "well" : "goes on")
                        : *text == '\0' ? error
                                        : apr_pstrcat(ctl->pool, error, ": ", text, NULL));
    }
    ctl_print_table(table, ctl);
}

static const char *read_when(const json_t *age, apr_pool_t *p)
{
    return json_is_integer(age) ? apr_psprintf(p, "read %s ago", ctl_age(age, p)) : "never read";
}

static const char *due_when(const json_t *due_in, apr_pool_t *p)
{
    if (!json_is_integer(due_in))
        return "not to be read";
    return json_integer_value(due_in) > 0 ? apr_psprintf(p, "next in %s", ctl_age(due_in, p)) : "next as soon as it is its turn";
}

int ctl_show_course(ctl_t *ctl)
{
    const char *key, *role;
    json_t *course = NULL;
    const json_t *count;
    int code = ctl_course(&key, ctl, ctl->words[0]);

    if (code == CTL_OK)
        code = ctl_get(&course, ctl, "course", "course", key, NULL);
    if (code != CTL_OK)
        return code;
    if (ctl->json) {
        ctl_print_json(course);
        return CTL_OK;
    }
    ctl_print_diagnosis(json_object_get(course, "diagnosis"), title_of(course, ctl->pool), ctl);
    printf("\ncourse %s of platform %s, context %s, deployment %s\n", ctl_text(course, "course", ctl->pool),
           ctl_text(course, "platform", ctl->pool), ctl_text(course, "context_id", ctl->pool),
           ctl_text(course, "deployment", ctl->pool));
    printf("%s people", ctl_number(course, "active", ctl->pool));
    json_object_foreach(json_object_get(course, "roles"), role, count)
        printf(", %s %s", ctl_number(json_object_get(course, "roles"), role, ctl->pool), ctl_clean(role, ctl->pool));
    if (json_is_integer(json_object_get(course, "listed")))
        printf("; the platform listed %s", ctl_number(course, "listed", ctl->pool));
    printf("; %s people have launched\n%s; %s\n\n", ctl_number(course, "visitors", ctl->pool),
           read_when(json_object_get(course, "age"), ctl->pool), due_when(json_object_get(course, "due_in"), ctl->pool));
    print_runs(json_object_get(course, "runs"), ctl);
    return CTL_OK;
}

/* --- people ----------------------------------------------------------------------------------------------------------------------- */

typedef void print_person_fn(void *baton, const json_t *person, const ctl_t *ctl);

/* Calls `print` for everybody, page by page. */
static int each_person(ctl_t *ctl, const char *key, print_person_fn *print, void *baton)
{
    const char *after = NULL;

    do {
        json_t *answer = NULL;
        const json_t *people, *person;
        size_t i;
        int code = ctl_get(&answer, ctl, "people", "course", key, "after", after, NULL);

        if (code != CTL_OK)
            return code;
        people = json_object_get(answer, "people");
        json_array_foreach(json_object_get(people, "rows"), i, person) print(baton, person, ctl);
        after = json_string_value(json_object_get(people, "next"));
    } while (after != NULL);
    return CTL_OK;
}

static void add_to_list(void *baton, const json_t *person, const ctl_t *ctl)
{
    (void)ctl;
    json_array_append(baton, (json_t *)person);
}

static void add_to_table(void *baton, const json_t *person, const ctl_t *ctl)
{
    static const char *const names[] = {"user_id", "name", "role", "status", "joined_at", "launched_at"};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        ctl_cell(baton, ctl_text(person, names[i], ctl->pool));
}

int ctl_roster(ctl_t *ctl)
{
    static const char *const headings[] = {"user id", "name", "role", "status", "joined", "last launch"};
    ctl_table_t *table = ctl_table(ctl->pool, headings, 6);
    json_t *list = json_array();
    const char *key;
    int code = ctl_course(&key, ctl, ctl->words[0]);

    if (code == CTL_OK)
        code = ctl->json ? each_person(ctl, key, add_to_list, list) : each_person(ctl, key, add_to_table, table);
    if (code == CTL_OK && ctl->json)
        ctl_print_json(list);
    else if (code == CTL_OK)
        ctl_print_table(table, ctl);
    json_decref(list);
    return code;
}

/* The wide forms of the four signs too: some spreadsheets take them for the same. */
static int begins_formula(const char *text)
{
    static const char *const signs[] = {
        "=", "+", "-", "@", "\t", "\r", "\n", "\xEF\xBC\x9D", "\xEF\xBC\x8B", "\xEF\xBC\x8D", "\xEF\xBC\xA0"};
    size_t i;

    for (i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        if (strncmp(text, signs[i], strlen(signs[i])) == 0)
            return 1;
    }
    return 0;
}

/* RFC 4180. A spreadsheet takes a cell that begins so for a formula: with an apostrophe before it, it does not. */
static void print_value(const char *text, const ctl_t *ctl)
{
    putchar('"');
    if (!ctl->raw && begins_formula(text))
        putchar('\'');
    for (; *text != '\0'; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    putchar('"');
}

/* A file gets names as they are: marks that join or part letters belong to them. */
static const char *csv_text(const json_t *person, const char *name, const ctl_t *ctl)
{
    const char *text = json_string_value(json_object_get(person, name));

    return ctl->is_terminal ? ctl_clean(text, ctl->pool) : text != NULL ? text : "";
}

static void print_csv(void *baton, const json_t *person, const ctl_t *ctl)
{
    static const char *const names[] = {"user_id", "name",   "email",     "sourcedid", "role",
                                        "roles",   "status", "joined_at", "status_at", "launched_at"};
    size_t i;
    int *begun = baton;

    for (i = 0; !*begun && i < sizeof(names) / sizeof(names[0]); i++)
        printf("%s%s", i > 0 ? "," : "", names[i]);
    if (!*begun)
        fputs("\r\n", stdout);
    *begun = 1;
    for (i = 0; person != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        if (i > 0)
            putchar(',');
        print_value(csv_text(person, names[i], ctl), ctl);
    }
    if (person != NULL)
        fputs("\r\n", stdout);
}

int ctl_export(ctl_t *ctl)
{
    const char *key;
    int begun = 0, code;

    if (!ctl->csv || ctl->json)
        return ctl_fail(CTL_USAGE, "say which form: --csv (for JSON: ltictl roster COURSE --json)");
    code = ctl_course(&key, ctl, ctl->words[0]);
    if (code != CTL_OK)
        return code;
    code = each_person(ctl, key, print_csv, &begun);
    /* A course without anybody has a head line too. */
    if (code == CTL_OK && !begun)
        print_csv(&begun, NULL, ctl);
    return code;
}
