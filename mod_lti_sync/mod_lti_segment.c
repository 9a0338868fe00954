/* SPDX-License-Identifier: Apache-2.0 */
/* Shared memory of a generation: laid out, filled from the generation before, kept for the next. */
#include "mod_lti_segment.h"

#include <apr_shm.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_log.h>

#include "lti_admission.h"
#include "lti_bell.h"
#include "lti_crypto.h"
#include "lti_keys.h"
#include "lti_mailbox.h"
#include "lti_meter.h"
#include "lti_snapshot.h"
#include "lti_surplus.h"
#include "lti_visit.h"
#include "mod_lti_store.h"

APLOG_USE_MODULE(lti_sync);

/* More than fit are never lost (lti_admission.h). */
#define DEPLOYMENTS_MAX 8192
#define ENDED_MAX 8192

#define LINE 64       /* bytes of a cache line; memory that is shared begins behind a word of APR's */
#define KICK_BYTES LINE /* of its own: every launch writes it */

/* Counts up with every change of what lies in the kept segment or in the handles of its parts: a reload may bring a new module. */
#define LAYOUT "5 " LTI_VERSION
#define KEPT "lti_sync_segment"

/* What the parent keeps from reload to reload, where no code of ours stays loaded: data only. All versions of the module understand the first two fields. */
typedef struct kept_t {
    apr_pool_t *pool; /* of the process, not of the configuration: the segment and its handles; NULL: nothing is kept */
    unsigned char database[LTI_SHA256_SIZE];  /* and the module's layout; if they differ, what follows may be anything */
    unsigned char platforms[LTI_SHA256_SIZE]; /* names in their order */
    const lti_snapshot_t *snapshot;
    const lti_admission_t *admission;
    const lti_meter_t *meter;
    const lti_visit_ring_t *visits;
} kept_t;

#define KEPT_BYTES 256 /* for ever */
_Static_assert(sizeof(kept_t) <= KEPT_BYTES, "what another version has made is large enough for this one");

static void let_go(kept_t *kept)
{
    if (kept->pool != NULL)
        apr_pool_destroy(kept->pool);
    memset(kept, 0, sizeof(*kept));
}

static apr_status_t digest(unsigned char *out, const char *text)
{
    const lti_bytes_t piece = {text, strlen(text)};

    return lti_sha256_pieces(out, &piece, 1);
}

/* What the segment's content depends on. */
static apr_status_t describe(kept_t *fresh, const lti_server_config_t *conf, const apr_array_header_t *platforms, apr_pool_t *ptemp)
{
    const char *names = "";
    apr_status_t rv;
    int i;

    for (i = 0; i < platforms->nelts; i++)
        names = apr_pstrcat(ptemp, names, APR_ARRAY_IDX(platforms, i, const lti_platform_t *)->name, "\n", NULL);
    rv = digest(fresh->platforms, names);
    return rv == APR_SUCCESS ? digest(fresh->database, apr_pstrcat(ptemp, LAYOUT, "\n", conf->db_text, NULL)) : rv;
}

/* In the order in which they lie in memory. */
static apr_status_t format(lti_runtime_t *runtime, const lti_server_config_t *conf, int platforms, apr_pool_t *p, lti_err_t *err)
{
    apr_size_t key_bytes = lti_keycache_size(platforms), surplus_bytes = lti_surplus_size(LTI_SURPLUS_SLOTS);
    apr_size_t visit_bytes = lti_visit_ring_size(), mail_bytes = lti_mailbox_size(), admission_bytes = lti_admission_size(platforms, DEPLOYMENTS_MAX, ENDED_MAX);
    apr_size_t roster_bytes = (apr_size_t)conf->shared_memory, bell_bytes = lti_bell_size((int)conf->event_waiters);
    apr_size_t turn_bytes = mod_lti_store_turn_size(), meter_bytes = lti_meter_size(platforms);
    apr_size_t all = LINE + KICK_BYTES + meter_bytes + turn_bytes + bell_bytes + mail_bytes + visit_bytes + key_bytes + surplus_bytes + admission_bytes + roster_bytes;
    apr_shm_t *segment = NULL;
    char *at;
    apr_status_t rv = apr_shm_create(&segment, all, NULL, p);

    if (rv != APR_SUCCESS)
        return lti_fail(err, LTI_E_CONFIG, rv,
                        "%" APR_INT64_T_FMT " bytes of shared memory are not to be had: lower LTISharedMemory",
                        conf->shared_memory);
    at = apr_shm_baseaddr_get(segment);
    at += (LINE - (apr_uintptr_t)at % LINE) % LINE;
    runtime->kick = (volatile apr_uint32_t *)(void *)at;
    *runtime->kick = 0;
    at += KICK_BYTES;
    rv = lti_meter_format(&runtime->meter, at, meter_bytes, platforms, p, err);
    at += meter_bytes;
    runtime->turn = conf->db_is_sqlite ? mod_lti_store_turn_format(at) : NULL;
    at += turn_bytes;
    if (rv == APR_SUCCESS)
        rv = lti_bell_format(&runtime->bell, at, bell_bytes, (int)conf->event_waiters, p, err);
    at += bell_bytes;
    if (rv == APR_SUCCESS)
        rv = lti_mailbox_format(&runtime->mailbox, at, mail_bytes, p, err);
    at += mail_bytes;
    if (rv == APR_SUCCESS)
        rv = lti_visit_ring_format(&runtime->visits, at, visit_bytes, p, err);
    at += visit_bytes;
    if (rv == APR_SUCCESS)
        rv = lti_keycache_create(&runtime->keycache, at, key_bytes, platforms, p, err);
    at += key_bytes;
    if (rv == APR_SUCCESS)
        rv = lti_surplus_format(&runtime->surplus, at, surplus_bytes, p, err);
    at += surplus_bytes;
    if (rv == APR_SUCCESS)
        rv = lti_admission_format(&runtime->admission, at, admission_bytes, platforms, DEPLOYMENTS_MAX, ENDED_MAX, p, err);
    at += admission_bytes;
    if (rv == APR_SUCCESS)
        rv = lti_snapshot_format(&runtime->snapshot, at, roster_bytes, p, err);
    return rv;
}

/* The children of the generation before may still serve, and their watch thread write. */
static void take_over(lti_runtime_t *runtime, const kept_t *fresh, const kept_t *kept)
{
    lti_snapshot_usage_t usage;
    apr_uint32_t left_out;

    if (kept->pool == NULL || memcmp(kept->database, fresh->database, sizeof(fresh->database)) != 0)
        return;
    lti_visit_ring_copy(runtime->visits, kept->visits);
    left_out = lti_snapshot_copy(runtime->snapshot, kept->snapshot);
    if (memcmp(kept->platforms, fresh->platforms, sizeof(fresh->platforms)) == 0) {
        (void)lti_admission_copy(runtime->admission, kept->admission);
        lti_meter_copy(runtime->meter, kept->meter);
    }
    lti_snapshot_usage(runtime->snapshot, &usage);
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, runtime->server,
                 "LTI0631: %u courses with %" APR_UINT64_T_FMT
                 " people were taken over in shared memory, %u are read from the database",
                 usage.slots_used, usage.members, left_out);
}

static void tell_room(const lti_runtime_t *runtime, const lti_server_config_t *conf)
{
    lti_snapshot_capacity_t capacity;
    lti_snapshot_usage_t usage;

    lti_snapshot_usage(runtime->snapshot, &usage);
    lti_snapshot_capacity(&capacity, &usage);
    ap_log_error(APLOG_MARK, APLOG_INFO, 0, runtime->server,
                 "LTI0630: shared memory (LTISharedMemory %" APR_INT64_T_FMT "M) has room for some %u people in up to %u courses",
                 conf->shared_memory / (1024 * 1024), capacity.people, capacity.courses);
}

apr_status_t mod_lti_segment_make(lti_runtime_t *runtime, const lti_server_config_t *conf, const apr_array_header_t *platforms,
                                  apr_pool_t *ptemp, lti_err_t *err)
{
    kept_t *kept = ap_retained_data_get(KEPT), fresh = {0};
    apr_status_t rv;

    if (kept == NULL)
        kept = ap_retained_data_create(KEPT, KEPT_BYTES);
    if (describe(&fresh, conf, platforms, ptemp) != APR_SUCCESS)
        return lti_fail(err, LTI_E_INTERNAL, APR_EGENERAL, "the configuration cannot be hashed");
    apr_pool_create(&fresh.pool, runtime->server->process->pool);
    rv = format(runtime, conf, platforms->nelts, fresh.pool, err);
    if (rv != APR_SUCCESS) {
        apr_pool_destroy(fresh.pool);
        return rv;
    }
    take_over(runtime, &fresh, kept);
    let_go(kept);
    fresh.snapshot = runtime->snapshot;
    fresh.admission = runtime->admission;
    fresh.meter = runtime->meter;
    fresh.visits = runtime->visits;
    *kept = fresh;
    tell_room(runtime, conf);
    return APR_SUCCESS;
}

void mod_lti_segment_give_up(void)
{
    kept_t *kept = ap_retained_data_get(KEPT);

    if (kept != NULL)
        let_go(kept);
}
