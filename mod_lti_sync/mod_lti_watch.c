/* SPDX-License-Identifier: Apache-2.0 */
/* The timer: mod_watchdog's thread, the engine on it, and how it ends. */
#include "mod_lti_watch.h"

#include <unistd.h>
#include <apr_atomic.h>
#include <apr_optional.h>
#include <apr_strings.h>
#include <http_log.h>
#include <mod_watchdog.h>

#include "lti_crypto.h"
#include "lti_http.h"
#include "lti_mailbox.h"
#include "lti_refresh.h"
#include "lti_visit.h"
#include "mod_lti_store.h"
#include "mod_lti_watch_log.h"

APLOG_USE_MODULE(lti_sync);

#define WATCHDOG_NAME "_lti_sync_"
#define TICK apr_time_from_msec(200)
#define WAIT_FOR_NETWORK apr_time_from_msec(100)
#define WAIT_FOR_LEAVING apr_time_from_sec(10)
/* At a stop the parent complains after three seconds and kills after nine. */
#define WAIT_IN_HURRY apr_time_from_msec(2500)
#define VISITS_PAUSE apr_time_from_sec(1)
#define MAIL_PAUSE apr_time_from_sec(1) /* what strangers can cause is written this often at the most */

/* Of this process. The callback's baton lives in pconf; what it makes lives in `pool`, of the watch thread alone. */
typedef struct watch_t {
    lti_runtime_t *runtime;
    const apr_array_header_t *platforms;
    lti_server_config_t *conf;
    volatile apr_uint32_t stopping;
    volatile apr_uint32_t in_hurry; /* not a graceful end */
    volatile apr_uint32_t inside; /* the callback is running */
    apr_pool_t *pool;
    lti_http_options_t http_options;
    lti_http_client_t *client;
    lti_refresh_t *engine;
    apr_time_t mail_taken_at;
    lti_visit_t *visits; /* room for all that the ring holds */
    apr_time_t visits_taken_at;
    int failed; /* the engine could not be made: said once */
} watch_t;

static watch_t *the_watch; /* set in post_config, before any child */

/* --- what the engine asks ---------------------------------------------------------------------------------------------- */

static int stopping(void *baton)
{
    watch_t *watch = baton;

    return apr_atomic_read32(&watch->stopping) != 0;
}

static int kicked(void *baton)
{
    watch_t *watch = baton;

    return apr_atomic_xchg32(watch->runtime->kick, 0) != 0;
}

static int admits_private(void *baton, const lti_platform_t *platform, const char *url)
{
    watch_t *watch = baton;
    apr_pool_t *p;
    int admitted;

    apr_pool_create(&p, watch->pool);
    admitted = mod_lti_config_admits_private(watch->conf, platform, url, p);
    apr_pool_destroy(p);
    return admitted;
}

static void on_event(void *baton, const lti_event_t *event)
{
    const watch_t *watch = baton;

    mod_lti_watch_log(watch->runtime, event);
}

/* --- the engine ------------------------------------------------------------------------------------------------------------- */

/* The owner of leases. Behind a load balancer all nodes have the same name, and in containers the same process ids too. */
static const char *name_of_process(const watch_t *watch)
{
    const char *random = lti_crypto_random_text(12, watch->pool);

    return apr_psprintf(watch->pool, "%.160s:%" APR_PID_T_FMT ":%s", watch->runtime->node, getpid(), random != NULL ? random : "");
}

/* What decides, beside the platforms' own lines, whether they are reached. */
static const char *ways(const lti_server_config_t *conf, apr_pool_t *p)
{
    const char *hosts = conf->service_hosts != NULL ? apr_array_pstrcat(p, conf->service_hosts, ' ') : "";

    return apr_pstrcat(p, conf->proxy != NULL ? conf->proxy : "", "\n", conf->ca_file != NULL ? conf->ca_file : "", "\n", hosts, NULL);
}

static void configure(lti_refresh_options_t *options, watch_t *watch)
{
    const lti_server_config_t *conf = watch->conf;

    *options = (lti_refresh_options_t){
        .platforms = watch->platforms,
        .toolkeys = watch->runtime->toolkeys,
        .snapshot = watch->runtime->snapshot,
        .admission = watch->runtime->admission,
        .bell = watch->runtime->bell,
        .keycache = watch->runtime->keycache,
        .meter = watch->runtime->meter,
        .node_name = watch->runtime->node_name,
        .fingerprint = watch->runtime->fingerprint,
        .sealer = watch->runtime->token_sealer,
        .transport = lti_http_transport(watch->client),
        .store = mod_lti_store_engine(conf->db_server, watch->pool),
        .now = mod_lti_store_now,
        .stopping = stopping,
        .kicked = kicked,
        .on_event = on_event,
        .admits_private = admits_private,
        .baton = watch,
        .ways = ways(conf, watch->pool),
        .node = name_of_process(watch),
        .named = conf->named_courses,
        .enabled = conf->sync,
        .interval = conf->sync_interval,
        .stall = conf->sync_timeout,
        .stale_after_min = conf->sync_stale_time,
        .stale_after_intervals = conf->sync_stale_time != 0 ? 0 : (int)conf->sync_stale_after,
        .retain = conf->retain,
        .dormant_after = conf->dormant_after,
        .concurrency = (int)conf->sync_concurrency,
        .drop_guard_percent = (int)conf->sync_drop_guard,
        .role_options = conf->strict_roles ? LTI_ROLE_STRICT : 0,
    };
}

static void make_engine(watch_t *watch)
{
    lti_refresh_options_t options;
    apr_allocator_t *allocator = NULL;
    lti_err_t err;

    if (apr_allocator_create(&allocator) != APR_SUCCESS || apr_pool_create_ex(&watch->pool, NULL, NULL, allocator) != APR_SUCCESS) {
        watch->failed = 1;
        return;
    }
    apr_allocator_owner_set(allocator, watch->pool);
    apr_pool_tag(watch->pool, "lti_sync watch");
    if (lti_http_client_create(&watch->client, &watch->http_options, watch->pool, &err) == APR_SUCCESS) {
        configure(&options, watch);
        if (lti_refresh_create(&watch->engine, &options, watch->pool, &err) == APR_SUCCESS)
            return;
    }
    watch->failed = 1;
    ap_log_error(APLOG_MARK, APLOG_ERR, err.status, watch->runtime->server, "LTI0307: rosters cannot be refreshed: %s", err.text);
}

static const char *or_null(const char *text)
{
    return *text != '\0' ? text : NULL;
}

/* Somebody tried a launch of LTI 1.1: for the administrator to see. What cannot be written is not worth trying again: such launches repeat. */
static void take_mail(watch_t *watch)
{
    lti_message_t message;
    mod_lti_store_t store;
    apr_pool_t *p;
    lti_err_t err;
    apr_time_t now = apr_time_now();

    if ((now - watch->mail_taken_at < MAIL_PAUSE && now >= watch->mail_taken_at) ||
        !lti_mailbox_take(&message, watch->runtime->mailbox))
        return;
    watch->mail_taken_at = now;
    apr_pool_create(&p, watch->pool);
    if (mod_lti_store_open(&store, watch->conf->db_server, p, &err) == APR_SUCCESS) {
        lti_db_hurry(store.db, stopping, watch);
        if (lti_db_old_launch_seen(store.db, message.texts[0], message.texts[1], or_null(message.texts[2]),
                                   or_null(message.texts[3]), mod_lti_store_now(), p, &err) == APR_SUCCESS)
            err.code = LTI_OK;
        lti_db_hurry(store.db, NULL, NULL);
        mod_lti_store_close(&store);
    }
    if (err.code != LTI_OK)
        ap_log_error(APLOG_MARK, APLOG_INFO, err.status, watch->runtime->server,
                     "LTI0221: a launch of LTI 1.1 was not remembered: %s", err.text);
    apr_pool_destroy(p);
}

static apr_status_t write_visits(watch_t *watch, int count, apr_pool_t *p, lti_err_t *err)
{
    apr_array_header_t *list = apr_array_make(p, count, sizeof(lti_db_visit_t));
    mod_lti_store_t store;
    apr_status_t rv;
    int i;

    for (i = 0; i < count; i++) {
        const lti_visit_t *visit = &watch->visits[i];

        APR_ARRAY_PUSH(list, lti_db_visit_t) = (lti_db_visit_t){.course_key = visit->course_key,
                                                                .platform = visit->platform,
                                                                .user_id = visit->user_id,
                                                                .launched_at = visit->launched_at};
    }
    rv = mod_lti_store_open_to_write(&store, watch->runtime->turn, watch->conf->db_server, p, err);
    if (rv != APR_SUCCESS)
        return rv;
    lti_db_hurry(store.db, stopping, watch);
    rv = lti_db_visits_write(store.db, list, p, err);
    lti_db_hurry(store.db, NULL, NULL);
    mod_lti_store_close(&store);
    return rv;
}

/* Who launched. What cannot be written is dropped: the person's next launch tells of it again. */
static void take_visits(watch_t *watch)
{
    apr_time_t now = apr_time_now();
    apr_pool_t *p;
    lti_err_t err;
    int count;

    if (now - watch->visits_taken_at < VISITS_PAUSE && now >= watch->visits_taken_at)
        return;
    watch->visits_taken_at = now;
    if (watch->visits == NULL)
        watch->visits = apr_palloc(watch->pool, LTI_VISIT_PLACES * sizeof(*watch->visits));
    count = lti_visit_take(watch->visits, LTI_VISIT_PLACES, watch->runtime->visits);
    if (count == 0)
        return;
    apr_pool_create(&p, watch->pool);
    if (write_visits(watch, count, p, &err) != APR_SUCCESS)
        ap_log_error(APLOG_MARK, APLOG_INFO, err.status, watch->runtime->server,
                     "LTI0720: %d launches are not told to the status page: %s", count, err.text);
    apr_pool_destroy(p);
}

static apr_status_t callback(int state, void *data, apr_pool_t *p)
{
    watch_t *watch = data;

    (void)p;
    /* STARTING may come before our child_init or mod_dbd's; STOPPING does not come at all when a child exits. Only RUNNING counts. */
    if (state != AP_WATCHDOG_STATE_RUNNING)
        return APR_SUCCESS;
    /* An exchange, not a store: whoever leaves sees it, or we see that it leaves. */
    (void)apr_atomic_xchg32(&watch->inside, 1);
    if (!stopping(watch) && watch->engine == NULL && !watch->failed)
        make_engine(watch);
    /* Stay while transfers move, so that a download is not cut into slices by the timer. */
    while (!stopping(watch) && watch->engine != NULL) {
        int busy = lti_refresh_turn(watch->engine, WAIT_FOR_NETWORK);

        take_mail(watch);
        take_visits(watch);
        if (busy == 0)
            break;
    }
    if (stopping(watch) && watch->engine != NULL)
        lti_refresh_stop(watch->engine);
    apr_atomic_set32(&watch->inside, 0);
    return APR_SUCCESS;
}

/* --- the life of a child ---------------------------------------------------------------------------------------------------- */

/* Before mod_dbd's connections go, which are of pchild: wait until the callback has left, then end what it made. */
static apr_status_t leave(void *data)
{
    watch_t *watch = data;
    apr_time_t until = apr_time_now() + (apr_atomic_read32(&watch->in_hurry) ? WAIT_IN_HURRY : WAIT_FOR_LEAVING);

    (void)apr_atomic_xchg32(&watch->stopping, 1);
    while (apr_atomic_read32(&watch->inside) != 0 && apr_time_now() < until)
        apr_sleep(apr_time_from_msec(5));
    if (apr_atomic_read32(&watch->inside) != 0) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, watch->runtime->server,
                     "LTI0680: the database does not answer: process %" APR_PID_T_FMT " ends in the middle of a question to it. "
                     "Give its connections time limits (DBDParams)",
                     getpid());
        /* No driver can be called back, and to go on would free its connection under it: sooner or later the parent would have to kill us. */
        _exit(0);
    }
    if (watch->pool != NULL) {
        apr_pool_destroy(watch->pool);
        watch->pool = NULL;
        watch->engine = NULL;
    }
    return APR_SUCCESS;
}

void mod_lti_watch_child_init(apr_pool_t *pchild)
{
    if (the_watch != NULL)
        apr_pool_pre_cleanup_register(pchild, the_watch, leave);
}

void mod_lti_watch_child_stopping(int graceful)
{
    if (the_watch == NULL)
        return;
    if (!graceful)
        apr_atomic_set32(&the_watch->in_hurry, 1);
    apr_atomic_set32(&the_watch->stopping, 1);
}

apr_status_t mod_lti_watch_setup(lti_runtime_t *runtime, const apr_array_header_t *platforms, apr_pool_t *pconf, lti_err_t *err)
{
    APR_OPTIONAL_FN_TYPE(ap_watchdog_get_instance) *get_instance = APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance);
    APR_OPTIONAL_FN_TYPE(ap_watchdog_register_callback) *register_callback =
        APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback);
    ap_watchdog_t *instance = NULL;
    watch_t *watch;
    apr_status_t rv;

    if (get_instance == NULL || register_callback == NULL)
        return lti_fail(err, LTI_E_CONFIG, APR_ENOTIMPL, "mod_watchdog is needed: LoadModule watchdog_module .../mod_watchdog.so");
    watch = apr_pcalloc(pconf, sizeof(*watch));
    watch->runtime = runtime;
    watch->platforms = platforms;
    watch->conf = mod_lti_config_of(runtime->server);
    watch->http_options.user_agent = "mod_lti_sync/" LTI_VERSION;
    watch->http_options.ca_file = watch->conf->ca_file;
    watch->http_options.proxy = watch->conf->proxy;
    rv = get_instance(&instance, WATCHDOG_NAME, 0, 1, pconf);
    if (rv == APR_SUCCESS)
        rv = register_callback(instance, TICK, watch, callback);
    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, rv, "mod_watchdog does not take the callback");
    the_watch = watch;
    return APR_SUCCESS;
}
