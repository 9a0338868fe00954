/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_lti_store: database connections from mod_dbd, and the clock. Request threads borrow a connection for one step and give it back; look-ups that stand in for
 * shared memory go through a breaker (Invariant 6): at most two threads of a process wait for the database at once, and after a failure none does for
 * five seconds. Children only: mod_dbd has no connections in the parent.
 */
#ifndef MOD_LTI_STORE_H
#define MOD_LTI_STORE_H

#include <httpd.h>
#include "lti_db.h"
#include "lti_refresh.h"

/** Whose turn it is to write to SQLite, among all processes of this httpd. */
typedef struct mod_lti_turn_t mod_lti_turn_t;

/** A borrowed connection. */
typedef struct mod_lti_store_t {
    lti_db_t *db;
    void *rec; /* ap_dbd_t */
    server_rec *server;
    mod_lti_turn_t *turn; /* held */
    int counted;          /* among those who may wait */
} mod_lti_store_t;

/**
 * Borrows one for a launch or an administrator's request: it waits its turn. LTI_E_STORE when mod_dbd has none, LTI_E_STORE_BUSY when half of the threads wait for a database
 * that answers none of them. `p` is for what lives as long as the loan.
 */
apr_status_t mod_lti_store_open(mod_lti_store_t *store, server_rec *s, apr_pool_t *p, lti_err_t *err);

/** Gives it back. */
void mod_lti_store_close(mod_lti_store_t *store);

/** Bytes of shared memory for a turn. */
apr_size_t mod_lti_store_turn_size(void);

/** Parent, before fork: makes it in `block`, which is 8-aligned; NULL if this system has no such thing. */
mod_lti_turn_t *mod_lti_store_turn_format(void *block);

/**
 * Borrows one for a short write. SQLite has room for one writer: two that meet make one sleep a hundred times longer than a write takes. So who writes waits for its
 * turn, 50 ms at most, and keeps it until mod_lti_store_close(). It saves time, nothing rests on it. `turn` is NULL with other databases.
 */
apr_status_t mod_lti_store_open_to_write(mod_lti_store_t *store, mod_lti_turn_t *turn, server_rec *s, apr_pool_t *p, lti_err_t *err);

/** One for a look-up, through the breaker; LTI_E_ROSTER_UNAVAILABLE while it is open. Ends with mod_lti_store_lookup_done(). */
apr_status_t mod_lti_store_lookup_open(mod_lti_store_t *store, server_rec *s, apr_pool_t *p, lti_err_t *err);

/** `failed`: the database did not answer; the breaker opens. */
void mod_lti_store_lookup_done(mod_lti_store_t *store, int failed);

/** The store of the refresh engine, over the database of `s`. */
lti_store_t mod_lti_store_engine(server_rec *s, apr_pool_t *p);

/** The current time; in builds with --enable-test-clock moved by the seconds in the file that the environment variable LTI_TEST_CLOCK names. */
apr_time_t mod_lti_store_now(void);

#endif
