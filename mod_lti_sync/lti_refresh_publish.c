/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing: rosters and standings from the database into shared memory, as the change number moves. */
#include "lti_refresh_publish.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include "lti_refresh_admission.h"

/* Deployments and ended sessions wait no longer than this for rosters that are being published. */
#define ADMISSION_EVERY apr_time_from_sec(1)

struct lti_publisher_t {
    const lti_refresh_options_t *options;
    lti_snapshot_writer_t *writer;
    lti_admitter_t *admitter;
    int loaded;
    apr_int64_t seen;     /* change number up to which all is published */
    apr_time_t looked_at; /* at the numbers */
    int full_reported;    /* LTI_EVENT_SNAPSHOT_FULL was said, when so many slots and chunks were in use: */
    apr_uint32_t full_slots, full_chunks;
    int filling_reported; /* LTI_EVENT_SNAPSHOT_FILLING was said */
};

#define FILLING_AT 80 /* percent: there is time to do something about it */
#define FILLING_NO_MORE 70

apr_status_t lti_publisher_create(lti_publisher_t **publisher, const lti_refresh_options_t *options, apr_pool_t *p, lti_err_t *err)
{
    lti_publisher_t *made = apr_pcalloc(p, sizeof(*made));
    apr_status_t rv = lti_snapshot_writer_create(&made->writer, options->snapshot, p, err);

    made->options = options;
    made->admitter = lti_admitter_create(options, p);
    if (rv == APR_SUCCESS)
        *publisher = made;
    return rv;
}

int lti_publisher_is_loaded(const lti_publisher_t *publisher)
{
    return publisher->loaded;
}

int lti_publisher_is_settled(const lti_publisher_t *publisher)
{
    return publisher->loaded && lti_admitter_is_known(publisher->admitter);
}

/* Room was given back: the next overflow is news again. */
static void forget_full(lti_publisher_t *publisher)
{
    lti_snapshot_usage_t usage;

    if (!publisher->full_reported)
        return;
    lti_snapshot_usage(publisher->options->snapshot, &usage);
    if (usage.slots_used < publisher->full_slots || usage.chunks_used < publisher->full_chunks)
        publisher->full_reported = 0;
}

static void report_full(lti_publisher_t *publisher, const lti_err_t *err)
{
    lti_event_t event = {.kind = LTI_EVENT_SNAPSHOT_FULL, .err = err};
    lti_snapshot_usage_t usage;

    if (publisher->full_reported)
        return;
    lti_snapshot_usage(publisher->options->snapshot, &usage);
    publisher->full_reported = 1;
    publisher->full_slots = usage.slots_used;
    publisher->full_chunks = usage.chunks_used;
    publisher->options->on_event(publisher->options->baton, &event);
}

/* After courses were published. Who knows that it is full already has been told more than this. */
static void look_at_room(lti_publisher_t *publisher)
{
    const lti_refresh_options_t *options = publisher->options;
    lti_snapshot_capacity_t capacity;
    lti_snapshot_usage_t usage;
    lti_err_t why;
    lti_event_t event = {.kind = LTI_EVENT_SNAPSHOT_FILLING, .err = &why};
    int percent;

    lti_snapshot_usage(options->snapshot, &usage);
    percent = lti_snapshot_percent(&usage);
    if (percent < FILLING_NO_MORE)
        publisher->filling_reported = 0;
    if (percent < FILLING_AT || publisher->filling_reported || publisher->full_reported)
        return;
    publisher->filling_reported = 1;
    lti_snapshot_capacity(&capacity, &usage);
    lti_fail(&why, LTI_E_SNAPSHOT_FULL, APR_ENOSPC,
             "%" APR_UINT64_T_FMT " people in %u courses, and the largest of these once more, take %d percent of it, and it has room for some %u people and %u courses; set LTISharedMemory to %" APR_UINT64_T_FMT "M",
             usage.members, usage.slots_used, percent, capacity.people, capacity.courses, lti_snapshot_advice(&usage));
    options->on_event(options->baton, &event);
}

typedef struct publishing_t {
    lti_snapshot_writer_t *writer;
    int expected;      /* what shared memory made room for */
    int count;         /* who came */
    int overflow;      /* more than expected: from there on they are only counted */
    int memory_failed; /* and not the database */
} publishing_t;

static apr_status_t publish_member(void *baton, const lti_member_t *member, lti_err_t *err)
{
    publishing_t *publishing = baton;
    apr_status_t rv;

    publishing->count++;
    if (publishing->overflow)
        return APR_SUCCESS;
    rv = lti_snapshot_add(publishing->writer, member, err);
    if (rv == APR_SUCCESS)
        return APR_SUCCESS;
    if (publishing->count > publishing->expected && err->code != LTI_E_SNAPSHOT_FULL) {
        publishing->overflow = 1;
        return APR_SUCCESS;
    }
    publishing->memory_failed = 1;
    return rv;
}

/* 1 in `*again` if another node applied a run while the members were read page by page: what was read may be of two versions. */
static apr_status_t still_that_version(int *again, lti_db_t *db, const lti_course_t *course, apr_pool_t *ptemp, lti_err_t *err)
{
    lti_course_t *present;
    apr_status_t rv = lti_db_course_read(&present, db, course->key, ptemp, err);

    *again = rv == APR_SUCCESS && present->version != course->version;
    return rv == APR_NOTFOUND ? APR_SUCCESS : rv;
}

/* One pass over the members, into shared memory. Nothing is open afterwards, whatever comes of it. */
static apr_status_t pass_members(publishing_t *publishing, int *again, lti_publisher_t *publisher, lti_db_t *db,
                                 const lti_course_t *course, apr_pool_t *ptemp, lti_err_t *err)
{
    apr_status_t rv = lti_snapshot_begin(publisher->writer, course, publishing->expected, err);

    publishing->memory_failed = rv != APR_SUCCESS;
    if (rv == APR_SUCCESS)
        rv = lti_db_members_each(db, course->key, "", 0, 0, publish_member, publishing, ptemp, err);
    if (rv == APR_SUCCESS && !publishing->overflow)
        rv = still_that_version(again, db, course, ptemp, err);
    if (rv == APR_SUCCESS && !publishing->overflow && !*again) {
        rv = lti_snapshot_commit(publisher->writer, err);
        publishing->memory_failed = rv != APR_SUCCESS;
        if (rv == APR_SUCCESS)
            return APR_SUCCESS;
    }
    lti_snapshot_abort(publisher->writer, publishing->memory_failed);
    return rv;
}

/* Returns faults of the database only; shared memory that is full is an event, and readers ask the database (Invariant 6). How
 * many are inactive or left is not known beforehand: a few are expected, and if there are more the first pass has counted them.
 * */
static apr_status_t publish_roster(lti_publisher_t *publisher, lti_db_t *db, const lti_course_t *course, int *again,
                                   apr_pool_t *ptemp, lti_err_t *err)
{
    publishing_t publishing = {.writer = publisher->writer, .expected = course->active + course->active / 16 + 8};
    lti_err_t why = {0};
    apr_status_t rv = pass_members(&publishing, again, publisher, db, course, ptemp, &why);

    if (rv == APR_SUCCESS && publishing.overflow) {
        publishing = (publishing_t){.writer = publisher->writer, .expected = publishing.count};
        rv = pass_members(&publishing, again, publisher, db, course, ptemp, &why);
        *again |= publishing.overflow;
    }
    if (publishing.memory_failed) {
        report_full(publisher, &why);
        return APR_SUCCESS;
    }
    if (rv != APR_SUCCESS)
        *err = why;
    return rv;
}

static void publish_standing(lti_publisher_t *publisher, const lti_course_t *course)
{
    lti_course_t standing = *course;
    lti_err_t why = {0};

    /* A launch that waits for the first roster need not wait on. */
    if (course->version == 0 && course->failures > 0)
        standing.version = LTI_SNAPSHOT_NEVER_YET;
    if (lti_snapshot_touch(publisher->writer, &standing, &why) != APR_SUCCESS)
        report_full(publisher, &why);
}

/* Only what shared memory shows of a course is kept: at the first load there are many. */
static apr_status_t note_changed(void *baton, const lti_course_t *course, lti_err_t *err)
{
    apr_array_header_t *changed = baton;

    (void)err;
    APR_ARRAY_PUSH(changed, lti_course_t) = (lti_course_t){
        .key = apr_pstrdup(changed->pool, course->key),
        .version = course->version,
        .state = course->state,
        .succeeded_at = course->succeeded_at,
        .stale_at = course->stale_at,
        .launched_at = course->launched_at,
        .due_at = course->due_at,
        .active = course->active,
        .failures = course->failures,
    };
    return APR_SUCCESS;
}

/* Both numbers; who may is brought up to its number at once. */
static apr_status_t look_at_numbers(lti_numbers_t *numbers, lti_publisher_t *publisher, lti_db_t *db, apr_pool_t *p, lti_err_t *err)
{
    apr_status_t rv = lti_db_numbers(numbers, db, p, err);

    publisher->looked_at = publisher->options->now();
    return rv == APR_SUCCESS ? lti_admitter_follow(publisher->admitter, db, numbers->admission, p, err) : rv;
}

/* Not before rosters are published: those who wait for an event are judged by them when they hear of it. */
static void ring(const lti_publisher_t *publisher, const lti_numbers_t *numbers)
{
    if (publisher->options->bell != NULL)
        lti_bell_ring(publisher->options->bell, numbers->event);
}

static int is_listed(void *baton, const char *course_key)
{
    return apr_hash_get(baton, course_key, APR_HASH_KEY_STRING) != NULL;
}

/* What the generation before knew, or another database: `all` are the courses that there are. */
static void drop_others(lti_publisher_t *publisher, const apr_array_header_t *all, apr_pool_t *p)
{
    apr_hash_t *listed = apr_hash_make(p);
    int i;

    for (i = 0; i < all->nelts; i++) {
        const lti_course_t *course = &APR_ARRAY_IDX(all, i, lti_course_t);

        apr_hash_set(listed, course->key, APR_HASH_KEY_STRING, course);
    }
    lti_snapshot_drop_unless(publisher->writer, is_listed, listed);
}

apr_status_t lti_publisher_catch_up(lti_publisher_t *publisher, lti_db_t *db, apr_pool_t *p, lti_err_t *err)
{
    const lti_refresh_options_t *options = publisher->options;
    lti_numbers_t numbers = {0}, later;
    apr_array_header_t *changed;
    apr_pool_t *ptemp;
    apr_status_t rv;
    int i, unfinished = 0;

    rv = look_at_numbers(&numbers, publisher, db, p, err);
    if (rv != APR_SUCCESS)
        return rv;
    if (publisher->loaded && numbers.change == publisher->seen) {
        ring(publisher, &numbers);
        return APR_SUCCESS;
    }
    /* Numbers only grow: this is another database, or an older state of it. */
    if (numbers.change < publisher->seen)
        publisher->seen = 0;
    changed = apr_array_make(p, 16, sizeof(lti_course_t));
    rv = lti_db_courses_changed(db, publisher->seen, note_changed, changed, p, err);
    if (rv != APR_SUCCESS)
        return rv;
    if (publisher->seen == 0)
        drop_others(publisher, changed, p);
    forget_full(publisher);
    apr_pool_create(&ptemp, p);
    for (i = 0; i < changed->nelts && rv == APR_SUCCESS; i++) {
        const lti_course_t *course = &APR_ARRAY_IDX(changed, i, lti_course_t);
        int again = 0;

        if (options->stopping(options->baton)) {
            unfinished = 1;
            break;
        }
        if (course->version > 0 && course->version != lti_snapshot_version(options->snapshot, course->key))
            rv = publish_roster(publisher, db, course, &again, ptemp, err);
        else
            publish_standing(publisher, course);
        unfinished |= again;
        if (rv == APR_SUCCESS && options->now() - publisher->looked_at >= ADMISSION_EVERY)
            rv = look_at_numbers(&later, publisher, db, ptemp, err);
        apr_pool_clear(ptemp);
    }
    apr_pool_destroy(ptemp);
    look_at_room(publisher);
    if (rv == APR_SUCCESS && !unfinished) {
        publisher->seen = numbers.change;
        publisher->loaded = 1;
        ring(publisher, &numbers);
    }
    return rv;
}
