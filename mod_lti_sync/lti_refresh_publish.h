/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishing, a part of lti_refresh: keeps shared memory a copy of the database. It loads everything once, then follows the
 * change number, so that what any node learns is here within a second (Invariants 5 and 6). Internal to lti_refresh; watch thread
 * only.
 */
#ifndef LTI_REFRESH_PUBLISH_H
#define LTI_REFRESH_PUBLISH_H

#include "lti_refresh.h"

typedef struct lti_publisher_t lti_publisher_t;

/** Takes the snapshot of `options` over as its writer; no database work. `options` lives as long as `p`. */
apr_status_t lti_publisher_create(lti_publisher_t **publisher, const lti_refresh_options_t *options, apr_pool_t *p, lti_err_t *err);

/**
 * Brings shared memory up to the database's change number: rosters of another version are published, standings touched. What
 * could not be finished (the server stops, another node was just writing) is done at the next call; publishing twice does no
 * harm. Fails for the database only: shared memory that is full is an event. `p` is scratch.
 */
apr_status_t lti_publisher_catch_up(lti_publisher_t *publisher, lti_db_t *db, apr_pool_t *p, lti_err_t *err);

/** 1 once everything was published. */
int lti_publisher_is_loaded(const lti_publisher_t *publisher);

/** 1 once everything was published and all nodes serve our keys: rosters may be fetched. */
int lti_publisher_is_settled(const lti_publisher_t *publisher);

#endif
