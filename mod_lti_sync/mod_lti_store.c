/* SPDX-License-Identifier: Apache-2.0 */
/* Connections from mod_dbd, the breaker before look-ups, and the clock. */
#include "mod_lti_store.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <apr_atomic.h>
#include <apr_dbd.h>
#include <apr_optional.h>
#include <ap_mpm.h>
#include <http_log.h>
#include <mod_dbd.h>

#ifdef LTI_TEST_CLOCK
#include <stdio.h>
#include <stdlib.h>
#endif

APLOG_USE_MODULE(lti_sync);

#define LOOKUPS_AT_ONCE 2
#define REST_AFTER_FAILURE apr_time_from_sec(5)
#define SILENCE_MAX apr_time_from_msec(250)
#define WAIT_FOR_PLACE apr_time_from_sec(3)
#define WRITERS_SILENCE_MAX apr_time_from_sec(2)
#define SILENT_AFTER_SECONDS 5
#define REOPEN_SECONDS 2

/* Of this process: how many threads wait for the database on behalf of look-ups, how many look-ups it ended, and until when none
 * may ask (seconds, so that it fits an atomic). */
static volatile apr_uint32_t lookups_waiting;
static volatile apr_uint32_t lookups_ended;
static volatile apr_uint32_t resting_until;
/* The same for all other loans of request threads, and when the last of them began alone or ended: an atomic of seconds. */
static volatile apr_uint32_t loans_inside;
static volatile apr_uint32_t loans_ended;
static volatile apr_uint32_t loans_moved_at;
static volatile apr_uint32_t loans_probed_at;
static volatile apr_uint32_t silence_told;
static volatile apr_uint32_t reopened_at; /* seconds */
/* The tables are known to be there: the first launch may come before the watch thread's first turn. */
static volatile apr_uint32_t schema_is_there;

apr_time_t mod_lti_store_now(void)
{
#ifdef LTI_TEST_CLOCK
    const char *path = getenv("LTI_TEST_CLOCK");
    long offset = 0;
    FILE *file = path != NULL ? fopen(path, "r") : NULL;

    if (file != NULL) {
        if (fscanf(file, "%ld", &offset) != 1)
            offset = 0;
        fclose(file);
    }
    return apr_time_now() + apr_time_from_sec(offset);
#else
    return apr_time_now();
#endif
}

/* --- turns ------------------------------------------------------------------------------------------------------------- */

#define TURN_PATIENCE_MS 50

struct mod_lti_turn_t {
    pthread_mutex_t mutex;
};

apr_size_t mod_lti_store_turn_size(void)
{
    return (sizeof(mod_lti_turn_t) + 63) / 64 * 64;
}

mod_lti_turn_t *mod_lti_store_turn_format(void *block)
{
    mod_lti_turn_t *turn = block;
    pthread_mutexattr_t attributes;
    int made;

    if (pthread_mutexattr_init(&attributes) != 0)
        return NULL;
    /* Robust: a process that dies in its turn passes it on. */
    made = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
           pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0 &&
           pthread_mutex_init(&turn->mutex, &attributes) == 0;
    pthread_mutexattr_destroy(&attributes);
    return made ? turn : NULL;
}

/* The turn if it comes in time, else NULL. */
static mod_lti_turn_t *take_turn(mod_lti_turn_t *turn)
{
    struct timespec until;
    int rc = pthread_mutex_trylock(&turn->mutex);

    if (rc == EBUSY && clock_gettime(CLOCK_REALTIME, &until) == 0) {
        until.tv_nsec += TURN_PATIENCE_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        rc = pthread_mutex_timedlock(&turn->mutex, &until);
    }
    if (rc == EOWNERDEAD)
        rc = pthread_mutex_consistent(&turn->mutex);
    return rc == 0 ? turn : NULL;
}

/* --- loans --------------------------------------------------------------------------------------------------------------------- */

/* A database file that was mended is open in its old state. Not more often than each few seconds: the memory of what was opened goes with the connection only. And not where the
 * connection has statements of others, which would be lost. */
static void reopen(lti_db_t *db, ap_dbd_t *rec, apr_pool_t *p)
{
    apr_uint32_t now = (apr_uint32_t)apr_time_sec(apr_time_now()), before = apr_atomic_read32(&reopened_at);
    apr_dbd_t *fresh;

    if ((rec->prepared != NULL && apr_hash_count(rec->prepared) != 0) || now - before < REOPEN_SECONDS)
        return;
    fresh = lti_db_reopen(db, p);
    if (fresh == NULL)
        return;
    rec->handle = fresh;
    apr_atomic_set32(&reopened_at, now);
    apr_atomic_set32(&schema_is_there, 0);
}

static apr_status_t borrow(mod_lti_store_t *store, server_rec *s, apr_pool_t *p, lti_err_t *err)
{
    APR_OPTIONAL_FN_TYPE(ap_dbd_open) *open_connection = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open);
    ap_dbd_t *rec = open_connection != NULL ? open_connection(p, s) : NULL;
    apr_status_t rv;

    store->db = NULL;
    store->rec = rec;
    store->server = s;
    store->turn = NULL;
    store->counted = 0;
    if (rec == NULL)
        return lti_fail(err, LTI_E_STORE, APR_EGENERAL,
                        "mod_dbd has no connection to the database; its own message stands above in the error log");
    rv = lti_db_wrap(&store->db, rec->driver, rec->handle, rec->pool, err);
    if (rv == APR_SUCCESS)
        reopen(store->db, rec, p);
    if (rv == APR_SUCCESS && apr_atomic_read32(&schema_is_there) == 0) {
        rv = lti_schema_ensure(store->db, p, err);
        if (rv == APR_SUCCESS)
            apr_atomic_set32(&schema_is_there, 1);
    }
    if (rv != APR_SUCCESS)
        mod_lti_store_close(store);
    return rv;
}

/* --- a database that is silent ------------------------------------------------------------------------------------------- */

/* Drivers know no time limit of their own: a thread whose connection hangs is lost until it breaks. So at most half of the threads may wait for the database: the others
 * go on serving those who need none. */
static apr_uint32_t places_for_loans(void)
{
    static apr_uint32_t places;
    int threads = 0;

    if (places == 0) {
        if (ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads) != APR_SUCCESS || threads < 2)
            threads = 2;
        places = (apr_uint32_t)threads / 2;
    }
    return places;
}

static apr_uint32_t seconds_now(void)
{
    return (apr_uint32_t)apr_time_sec(apr_time_now());
}

/* Those inside have been waiting for seconds. Now and then somebody has to try all the same: the next connection may be a good one. */
static int is_silent(void)
{
    apr_uint32_t now = seconds_now(), probed = apr_atomic_read32(&loans_probed_at);

    if (apr_atomic_read32(&loans_inside) == 0 || now - apr_atomic_read32(&loans_moved_at) < SILENT_AFTER_SECONDS)
        return 0;
    return now - probed < SILENT_AFTER_SECONDS || apr_atomic_cas32(&loans_probed_at, now, probed) != probed;
}

static int enter(void)
{
    apr_time_t heard = apr_time_now();
    apr_uint32_t ended = apr_atomic_read32(&loans_ended);

    while (!is_silent()) {
        apr_uint32_t inside = apr_atomic_read32(&loans_inside);

        if (inside < places_for_loans()) {
            if (inside == 0)
                apr_atomic_set32(&loans_moved_at, seconds_now());
            if (apr_atomic_cas32(&loans_inside, inside + 1, inside) == inside)
                return 1;
            continue;
        }
        if (apr_atomic_read32(&loans_ended) != ended) {
            ended = apr_atomic_read32(&loans_ended);
            heard = apr_time_now();
        } else if (apr_time_now() - heard > WRITERS_SILENCE_MAX) {
            return 0;
        }
        apr_sleep(apr_time_from_msec(1));
    }
    return 0;
}

static void depart(void)
{
    apr_atomic_set32(&loans_moved_at, seconds_now());
    apr_atomic_set32(&silence_told, 0);
    apr_atomic_inc32(&loans_ended);
    apr_atomic_dec32(&loans_inside);
}

apr_status_t mod_lti_store_open(mod_lti_store_t *store, server_rec *s, apr_pool_t *p, lti_err_t *err)
{
    apr_status_t rv;

    if (!enter()) {
        *store = (mod_lti_store_t){.server = s};
        if (apr_atomic_xchg32(&silence_told, 1) == 0)
            ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                         "LTI0590: the database is silent: %u requests of this process wait for it, others that need it are "
                         "refused until it answers. Give its "
                         "connections time limits (DBDParams)",
                         apr_atomic_read32(&loans_inside));
        return lti_fail(err, LTI_E_STORE_BUSY, APR_EAGAIN,
                        "other requests wait for the database already, and none of them is answered");
    }
    rv = borrow(store, s, p, err);
    if (rv == APR_SUCCESS)
        store->counted = 1;
    else
        depart();
    return rv;
}

/* --- giving back --------------------------------------------------------------------------------------------------------- */

void mod_lti_store_close(mod_lti_store_t *store)
{
    APR_OPTIONAL_FN_TYPE(ap_dbd_close) *close_connection = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close);

    if (store->rec != NULL && close_connection != NULL)
        close_connection(store->server, store->rec);
    store->rec = NULL;
    store->db = NULL;
    if (store->turn != NULL)
        pthread_mutex_unlock(&store->turn->mutex);
    store->turn = NULL;
    if (store->counted)
        depart();
    store->counted = 0;
}

/* The turn comes first: mod_dbd then lends the connection that the last one gave back, whose cache still knows what it wrote. */
apr_status_t mod_lti_store_open_to_write(mod_lti_store_t *store, mod_lti_turn_t *turn, server_rec *s, apr_pool_t *p, lti_err_t *err)
{
    mod_lti_turn_t *held = turn != NULL ? take_turn(turn) : NULL;
    apr_status_t rv = mod_lti_store_open(store, s, p, err);

    if (rv == APR_SUCCESS)
        store->turn = held;
    else if (held != NULL)
        pthread_mutex_unlock(&held->mutex);
    return rv;
}

/* --- look-ups ------------------------------------------------------------------------------------------------------------ */

static int is_resting(apr_time_t now)
{
    return apr_atomic_read32(&resting_until) > (apr_uint32_t)apr_time_sec(now);
}

/* A database that answers frees places all the time: after a reload, or for a course that shared memory has no room for, all
 * threads come here at once and none is to be refused. One that is silent must not hold more threads than there are places. */
static int take_place(void)
{
    apr_time_t now = apr_time_now(), until = now + WAIT_FOR_PLACE, heard = now;
    apr_uint32_t ended = apr_atomic_read32(&lookups_ended);

    for (;;) {
        apr_uint32_t taken = apr_atomic_read32(&lookups_waiting);

        if (taken < LOOKUPS_AT_ONCE) {
            if (apr_atomic_cas32(&lookups_waiting, taken + 1, taken) == taken)
                return 1;
            continue;
        }
        if (apr_atomic_read32(&lookups_ended) != ended) {
            ended = apr_atomic_read32(&lookups_ended);
            heard = now;
        }
        if (now - heard > SILENCE_MAX || now > until || is_resting(now))
            return 0;
        apr_sleep(apr_time_from_msec(1));
        now = apr_time_now();
    }
}

apr_status_t mod_lti_store_lookup_open(mod_lti_store_t *store, server_rec *s, apr_pool_t *p, lti_err_t *err)
{
    apr_status_t rv;

    if (is_resting(apr_time_now()))
        return lti_fail(err, LTI_E_ROSTER_UNAVAILABLE, APR_EAGAIN, "the database failed within the last seconds");
    if (!take_place())
        return lti_fail(err, LTI_E_ROSTER_UNAVAILABLE, APR_EAGAIN, "other requests wait for the database already");
    rv = borrow(store, s, p, err);
    if (rv != APR_SUCCESS)
        mod_lti_store_lookup_done(store, 1);
    return rv;
}

void mod_lti_store_lookup_done(mod_lti_store_t *store, int failed)
{
    mod_lti_store_close(store);
    if (failed)
        apr_atomic_set32(&resting_until, (apr_uint32_t)apr_time_sec(apr_time_now() + REST_AFTER_FAILURE));
    apr_atomic_inc32(&lookups_ended);
    apr_atomic_dec32(&lookups_waiting);
}

/* --- the engine's store: one connection at a time, watch thread only -------------------------------------------------- */

typedef struct engine_store_t {
    server_rec *server;
    apr_pool_t *pool; /* cleared between loans */
    mod_lti_store_t loan;
} engine_store_t;

static lti_db_t *engine_acquire(void *baton, lti_err_t *err)
{
    engine_store_t *engine = baton;

    apr_pool_clear(engine->pool);
    return borrow(&engine->loan, engine->server, engine->pool, err) == APR_SUCCESS ? engine->loan.db : NULL;
}

static void engine_release(void *baton, lti_db_t *db)
{
    engine_store_t *engine = baton;

    (void)db;
    mod_lti_store_close(&engine->loan);
}

lti_store_t mod_lti_store_engine(server_rec *s, apr_pool_t *p)
{
    engine_store_t *engine = apr_pcalloc(p, sizeof(*engine));
    lti_store_t store = {.acquire = engine_acquire, .release = engine_release, .baton = engine};

    engine->server = s;
    apr_pool_create(&engine->pool, p);
    return store;
}
