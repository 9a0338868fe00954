/* SPDX-License-Identifier: Apache-2.0 */
/* What a launch tells of its course, and when it wants the roster. */
#include "mod_lti_launch.h"

#include <stdatomic.h>
#include <string.h>
#include <apr_atomic.h>
#include <apr_strings.h>
#include <http_log.h>

#include "lti_hash.h"
#include "mod_lti_launch_parts.h"

APLOG_USE_MODULE(lti_sync);

#define SYNC_PAUSE apr_time_from_sec(30)  /* launches make a course due this long after its last success at the soonest */
#define RETRY_PAUSE apr_time_from_sec(30) /* and this long, times the failures in a row, after a failure */
#define RETRY_PAUSE_MAX apr_time_from_sec(300)

/* --- a class that opens the tool together ---------------------------------------------------------------------------------- */

/*
 * Launches of one class say the same of their course, one after the other. What was told, and needs nothing more for now, is remembered by this process for a second
 * or two, so that it is not looked up in the database each time. One place for each course (others may share it): a launch that says something else takes it,
 * so that what is said last is what is stored. A word: 40 bits of a hash of all that is said, 24 of the second until which it holds.
 */
#define PLACES 512
#define SECONDS_MASK UINT64_C(0xFFFFFF)
#define REMEMBERED 2 /* seconds */

static _Atomic uint64_t places[PLACES];

typedef struct note_t {
    _Atomic uint64_t *place;
    uint64_t said;
    uint64_t now;
} note_t;

static note_t make_note(const lti_course_t *course, int on_launch, const lti_runtime_t *runtime, apr_pool_t *p)
{
    const lti_hash_key_t key = {.a = (uint64_t)(uintptr_t)runtime, .b = 0};
    const char *const texts[] = {course->platform, course->label, course->title, course->type, course->nrps_url, course->groups_url};
    const char *said = apr_pstrcat(p, course->key, on_launch ? "\n+" : "\n-", NULL);
    size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        said = apr_pstrcat(p, said, texts[i] != NULL ? "\n=" : "\n", texts[i] != NULL ? texts[i] : "", NULL);
    return (note_t){.place = &places[lti_hash(&key, course->key, strlen(course->key)) % PLACES],
                    .said = lti_hash(&key, said, strlen(said)) & ~SECONDS_MASK,
                    .now = (uint64_t)apr_time_sec(course->launched_at)};
}

static int is_remembered(const note_t *note)
{
    uint64_t word = atomic_load_explicit(note->place, memory_order_relaxed), left = (word - note->now) & SECONDS_MASK;

    return (word & ~SECONDS_MASK) == note->said && left >= 1 && left <= REMEMBERED;
}

static void remember(const note_t *note, int told)
{
    uint64_t until = told ? note->now + REMEMBERED : note->now;

    atomic_store_explicit(note->place, note->said | (until & SECONDS_MASK), memory_order_relaxed);
}

/* --- the course ---------------------------------------------------------------------------------------------------------------- */

/*
 * When this launch wants the course's roster to be fetched. A class that opens the tool together is one wish, a platform that
 * fails is not asked more often because many try, and one that asked for patience gets it (Invariant 4). lti_db only ever
 * lowers the time by it.
 */
static apr_time_t wanted_at(const lti_course_t *course, apr_time_t now)
{
    apr_time_t pause;

    if (course == NULL)
        return now;
    if (course->failures > 0) {
        if (course->error_name != NULL && lti_err_by_name(course->error_name) == LTI_E_ROSTER_BUSY)
            return course->due_at;
        pause = course->failures < RETRY_PAUSE_MAX / RETRY_PAUSE ? course->failures * RETRY_PAUSE : RETRY_PAUSE_MAX;
        return now + pause;
    }
    return course->succeeded_at + SYNC_PAUSE > now ? course->succeeded_at + SYNC_PAUSE : now;
}

apr_status_t mod_lti_launch_note_course(int *first, const lti_launch_t *launch, const lti_server_config_t *conf, lti_db_t *db,
                                        apr_pool_t *p, lti_err_t *err)
{
    const lti_runtime_t *runtime = conf->runtime;
    int on_launch = conf->sync_on_launch && launch->nrps_url != NULL;
    apr_time_t now = launch->launched_at, due_at = now + mod_lti_config_of(runtime->server)->sync_interval;
    const lti_course_t course = {.key = launch->course_key,
                                 .platform = launch->platform,
                                 .issuer = launch->issuer,
                                 .client_id = launch->client_id,
                                 .deployment_id = launch->deployment_id,
                                 .context_id = launch->context_id,
                                 .label = launch->context_label,
                                 .title = launch->context_title,
                                 .type = launch->context_type,
                                 .nrps_url = launch->nrps_url,
                                 .groups_url = launch->groups_url,
                                 .launched_at = now,
                                 .state = launch->nrps_url != NULL ? LTI_ROSTER_PENDING : LTI_ROSTER_NONE};
    note_t note = make_note(&course, on_launch, runtime, p);
    lti_course_t *known = NULL;
    apr_status_t rv;

    *first = 0;
    if (is_remembered(&note))
        return APR_SUCCESS;
    rv = lti_db_course_read(&known, db, launch->course_key, p, err);
    if (rv != APR_SUCCESS && rv != APR_NOTFOUND)
        return rv;
    if (rv == APR_NOTFOUND)
        known = NULL;
    if (on_launch)
        due_at = wanted_at(known, now);
    /* A run that failed is not repeated at once, nor one that a platform put off. */
    *first = on_launch && (known == NULL || (known->succeeded_at == 0 && known->error_name == NULL));
    rv = lti_db_course_launched_known(db, &course, known, due_at, p, err);
    if (rv != APR_SUCCESS)
        return rv;
    if (launch->nrps_url != NULL && due_at <= now && runtime->kick != NULL)
        apr_atomic_set32(runtime->kick, 1);
    /* Only while the run that this launch wanted is yet to come: after it, launches have new wishes. */
    remember(&note, known != NULL && (launch->nrps_url == NULL ||
                                      (known->due_at > now + apr_time_from_sec(REMEMBERED) && due_at >= known->due_at)));
    return APR_SUCCESS;
}
