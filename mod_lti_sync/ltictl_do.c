/* SPDX-License-Identifier: Apache-2.0 */
/* ltictl: the commands that do something, and the examination. */
#include "ltictl.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <apr_strings.h>
#include <apr_time.h>
#include "lti_json.h"

#define LOOK_EVERY apr_time_from_msec(500)
#define PATIENCE apr_time_from_sec(900) /* longer than any run lives */
#define HELD_SHOWN 20

/* --- update now ------------------------------------------------------------------------------------------------------------------ */

/* Before the next is asked for: what went wrong then stands on a line of its own. */
static void wipe_progress(const ctl_t *ctl)
{
    if (ctl->is_terminal && !ctl->json)
        fputs("\r\033[K", stdout);
    fflush(stdout);
}

static void print_progress(const json_t *request, const ctl_t *ctl)
{
    const char *state = ctl_text(request, "state", ctl->pool), *pages = ctl_number(request, "pages", ctl->pool);

    if (!ctl->is_terminal || ctl->json)
        return;
    if (strcmp(state, "running") == 0)
        printf("reading: %s pages, %s people", pages, ctl_number(request, "members", ctl->pool));
    else
        fputs(state, stdout);
    fflush(stdout);
}

static int print_outcome(const json_t *request, const ctl_t *ctl)
{
    const char *state = ctl_text(request, "state", ctl->pool), *text = ctl_text(request, "error_text", ctl->pool);

    if (ctl->json)
        ctl_print_json(request);
    else if (strcmp(state, "failed") == 0)
        printf("failed: %s%s%s\n%s\n", ctl_text(request, "error", ctl->pool), *text != '\0' ? ": " : "", text,
               ctl_text(request, "advice", ctl->pool));
    else if (strcmp(state, "held") == 0)
        printf("held: %s people would be removed at once; ltictl accept shows whom\n", ctl_number(request, "missing", ctl->pool));
    else
        printf("updated: %s people listed; %s joined, %s changed, %s left, %s returned\n",
               ctl_number(request, "members", ctl->pool), ctl_number(request, "joined", ctl->pool),
               ctl_number(request, "changed", ctl->pool), ctl_number(request, "left", ctl->pool),
               ctl_number(request, "returned", ctl->pool));
    return strcmp(state, "applied") == 0 ? CTL_OK : CTL_FAILED;
}

/* CTL_OK: `*request` has ended. */
static int wait_for_end(const json_t **request, ctl_t *ctl, const char *location)
{
    apr_time_t until = apr_time_now() + PATIENCE;
    json_t *answer = NULL;

    for (;;) {
        int code = ctl_follow(&answer, ctl, location);
        const char *state;

        if (code != CTL_OK)
            return code;
        *request = json_object_get(answer, "request");
        state = ctl_text(*request, "state", ctl->pool);
        if (*state == '\0')
            return ctl_fail(CTL_FAILED, "nothing is known of the update any more");
        if (strcmp(state, "queued") != 0 && strcmp(state, "running") != 0)
            return CTL_OK;
        if (apr_time_now() > until)
            return ctl_fail(CTL_FAILED, "the update has not ended after %d minutes; ltictl course tells how it goes on",
                            (int)apr_time_sec(PATIENCE) / 60);
        print_progress(*request, ctl);
        apr_sleep(LOOK_EVERY);
        wipe_progress(ctl);
    }
}

static int follow(ctl_t *ctl, const char *location)
{
    const json_t *request = NULL;
    int code = wait_for_end(&request, ctl, location);

    return code == CTL_OK ? print_outcome(request, ctl) : code;
}

int ctl_sync(ctl_t *ctl)
{
    const char *key, *location = NULL;
    json_t *answer = NULL;
    int code = ctl_course(&key, ctl, ctl->words[0]);

    if (code == CTL_OK)
        code = ctl_post(&answer, &location, ctl, "action", "sync", "course", key, NULL);
    if (code != CTL_OK)
        return code;
    if (ctl->wait && location != NULL)
        return follow(ctl, location);
    if (ctl->json)
        ctl_print_json(answer);
    else
        printf("asked for; ltictl course %s tells how it went\n", key);
    return CTL_OK;
}

/* --- examination ------------------------------------------------------------------------------------------------------------------ */

static void print_step(const json_t *step, const ctl_t *ctl)
{
    const char *result = ctl_text(step, "result", ctl->pool), *found = ctl_text(step, "found", ctl->pool);
    int failed = strcmp(result, "fail") == 0, passed = strcmp(result, "pass") == 0;
    const json_t *line;
    size_t i;

    printf("%s%-7s%s %s%s%s\n",
           !ctl->colours || (!failed && !passed) ? ""
           : failed                              ? "\033[31m"
                                                 : "\033[32m",
           failed   ? "FAIL"
           : passed ? "ok"
                    : "skipped",
           ctl->colours && (failed || passed) ? "\033[0m" : "", ctl_text(step, "title", ctl->pool), *found != '\0' ? ": " : "",
           found);
    json_array_foreach(json_object_get(step, "remedy"), i, line)
        printf("        %d. %s\n", (int)i + 1, ctl_clean(json_string_value(line), ctl->pool));
}

int ctl_doctor(ctl_t *ctl)
{
    const json_t *step;
    json_t *report = NULL;
    size_t i;
    int code = ctl_get(&report, ctl, "steps", "doctor", ctl->words[0], NULL);

    if (code != CTL_OK)
        return code;
    if (ctl->json)
        ctl_print_json(report);
    else
        json_array_foreach(json_object_get(report, "steps"), i, step) print_step(step, ctl);
    return json_is_true(json_object_get(report, "passed")) ? CTL_OK : CTL_FAILED;
}

/* --- what takes something away ------------------------------------------------------------------------------------------------------ */

/* CTL_OK: yes. Who is no terminal has to say --yes. */
static int make_sure(const ctl_t *ctl, const char *question)
{
    char line[16] = "";

    if (ctl->yes)
        return CTL_OK;
    if (!isatty(STDIN_FILENO))
        return ctl_fail(CTL_USAGE, "nobody can be asked here: add --yes");
    fprintf(stderr, "%s [y/N] ", question);
    if (fgets(line, sizeof(line), stdin) != NULL && (line[0] == 'y' || line[0] == 'Y'))
        return CTL_OK;
    return ctl_fail(CTL_FAILED, "nothing was done");
}

static int done(const json_t *answer, const char *sentence, const ctl_t *ctl)
{
    if (ctl->json)
        ctl_print_json(answer);
    else
        puts(sentence);
    return CTL_OK;
}

static void print_held(const json_t *course, const ctl_t *ctl)
{
    const json_t *held = json_object_get(course, "held"), *people = json_object_get(course, "held_people"), *person;
    size_t i;

    fprintf(stderr, "%s people would be removed, held since %s:\n", ctl_number(held, "missing", ctl->pool),
            ctl_text(held, "since", ctl->pool));
    json_array_foreach(people, i, person)
    {
        if (i == HELD_SHOWN) {
            fprintf(stderr, "  and %d more\n", (int)(json_array_size(people) - HELD_SHOWN));
            break;
        }
        fprintf(stderr, "  %s  %s\n", ctl_text(person, "user_id", ctl->pool), ctl_text(person, "name", ctl->pool));
    }
}

int ctl_accept(ctl_t *ctl)
{
    const char *key;
    json_t *course = NULL, *answer = NULL;
    const json_t *held;
    int code = ctl_course(&key, ctl, ctl->words[0]);

    if (code == CTL_OK)
        code = ctl_get(&course, ctl, "course", "course", key, NULL);
    if (code != CTL_OK)
        return code;
    held = json_object_get(course, "held");
    if (!json_is_object(held))
        return ctl_fail(CTL_FAILED, "nothing is held in course %s", key);
    if (!ctl->json)
        print_held(course, ctl);
    if ((code = make_sure(ctl, "Remove them?")) != CTL_OK)
        return code;
    code = ctl_post(&answer, NULL, ctl, "action", "accept", "course", key, "missing", ctl_number(held, "missing", ctl->pool), NULL);
    return code == CTL_OK ? done(answer, "accepted: they go with the next update, which is on its way", ctl) : code;
}

int ctl_end_sessions(ctl_t *ctl)
{
    const char *key;
    json_t *answer = NULL;
    int code = ctl_course(&key, ctl, ctl->words[0]);

    if (code == CTL_OK)
        code = make_sure(ctl, ctl->person != NULL ? apr_psprintf(ctl->pool, "End all sessions of the person %s in course %s?",
                                                                 ctl_clean(ctl->person, ctl->pool), key)
                                                  : apr_psprintf(ctl->pool, "End all sessions of course %s?", key));
    if (code != CTL_OK)
        return code;
    code = ctl_post(&answer, NULL, ctl, "action", "end-sessions", "course", key, "user", ctl->person, NULL);
    return code == CTL_OK ? done(answer, "ended, on all nodes within two seconds", ctl) : code;
}

/* --- deployments -------------------------------------------------------------------------------------------------------------------- */

static void add_deployments(ctl_table_t *table, const json_t *platform, const ctl_t *ctl)
{
    const json_t *deployment;
    size_t i;

    json_array_foreach(json_object_get(platform, "deployments"), i, deployment)
    {
        ctl_cell(table, ctl_text(platform, "platform", ctl->pool));
        ctl_cell(table, ctl_text(deployment, "deployment", ctl->pool));
        ctl_cell(table, ctl_text(deployment, "status", ctl->pool));
        ctl_cell(table, ctl_text(deployment, "seen_at", ctl->pool));
        ctl_cell(table, ctl_text(deployment, "context_title", ctl->pool));
    }
}

static int show_deployments(ctl_t *ctl)
{
    static const char *const headings[] = {"!platform", "!deployment", "status", "last seen", "seen in"};
    ctl_table_t *table = ctl_table(ctl->pool, headings, 5);
    const json_t *platform;
    json_t *answer = NULL;
    size_t i;
    int code = ctl_get(&answer, ctl, "platforms", "part", "platforms", NULL);

    if (code != CTL_OK)
        return code;
    if (ctl->json) {
        ctl_print_json(answer);
        return CTL_OK;
    }
    json_array_foreach(json_object_get(answer, "platforms"), i, platform) add_deployments(table, platform, ctl);
    ctl_print_table(table, ctl);
    return CTL_OK;
}

int ctl_deployments(ctl_t *ctl)
{
    json_t *answer = NULL;
    int accept, code;

    if (ctl->count == 0)
        return show_deployments(ctl);
    accept = strcmp(ctl->words[0], "accept") == 0;
    if (ctl->count != 3 || (!accept && strcmp(ctl->words[0], "withdraw") != 0))
        return ctl_fail(CTL_USAGE, "usage: ltictl deployments [accept|withdraw PLATFORM DEPLOYMENT]");
    code = ctl_post(&answer, NULL, ctl, "action", accept ? "deployment-accept" : "deployment-withdraw", "platform", ctl->words[1],
                    "deployment", ctl->words[2], NULL);
    if (code != CTL_OK)
        return code;
    return done(answer,
                accept ? "accepted, on all nodes within two seconds"
                       : "withdrawn: its sessions have ended, on all nodes within two seconds",
                ctl);
}
