/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_pace: how much one platform may be asked: how many runs of its courses at once, how many requests in a time, and not at all while it asks for patience. Knows
 * platforms by name, and neither network nor database: the refresh engine asks before it sends, and tells what came back.
 *
 * Watch thread only.
 */
#ifndef LTI_PACE_H
#define LTI_PACE_H

#include <apr_pools.h>
#include <apr_time.h>

typedef struct lti_pace_t lti_pace_t;

/** Why a platform pauses, and until when. */
typedef struct lti_pause_t {
    apr_time_t until;
    const char *error_name; /* the reason's, and its text; hold until the next pause of this platform */
    const char *error_text;
} lti_pause_t;

/** `shared`: there are several platforms, so that none may have all places. Lives in `p`. */
lti_pace_t *lti_pace_create(int places, int shared, apr_pool_t *p);

/* --- places: runs at once ------------------------------------------------------------------------------------------- */

/** 1 if one more run of this platform may begin: there is a free place, and this platform has less than half of those that the others leave. So one that hangs
 * never has all, nor do two. A platform that did not answer last has one place until it does. */
int lti_pace_has_place(const lti_pace_t *pace, const char *platform);

/** All places are taken. */
int lti_pace_is_full(const lti_pace_t *pace);

void lti_pace_begin(lti_pace_t *pace, const char *platform);
void lti_pace_end(lti_pace_t *pace, const char *platform);

/* --- requests in a time ----------------------------------------------------------------------------------------------- */

/** 0 if a request may be sent now, which then counts; else how long to wait. `interval` is the mean time between two requests, 0 for no limit; those of one second
 * may come at once. */
apr_interval_time_t lti_pace_take(lti_pace_t *pace, const char *platform, apr_interval_time_t interval, apr_time_t now);

/* --- patience ----------------------------------------------------------------------------------------------------------- */

/** The platform answered, whatever: it is there. `well`: with what was asked for, so that its patience is not at an end. */
void lti_pace_answered(lti_pace_t *pace, const char *platform, int well);

/** It did not: no connection, or silence. */
void lti_pace_silent(lti_pace_t *pace, const char *platform);

/** It wants to be asked less (SPEC 6.6): pauses it for `retry_after`, or where it named no time for a minute, twice that the next time, up to an hour. To be
 * told to all nodes: see lti_pace_next_news(). */
void lti_pace_refused(lti_pace_t *pace, const char *platform, apr_interval_time_t retry_after, const char *error_name,
                      const char *error_text, apr_time_t now);

/** As another node found; until 0: the pause is over. */
void lti_pace_told(lti_pace_t *pace, const char *platform, const lti_pause_t *pause);

/** All pauses that were told are over, but for those that are told again: between this and lti_pace_told() for each. Own news stays. */
void lti_pace_forget_told(lti_pace_t *pace);

/** 1 if it is not to be asked now; `*pause` (may be NULL) tells. */
int lti_pace_is_paused(lti_pause_t *pause, const lti_pace_t *pace, const char *platform, apr_time_t now);

/** A pause that other nodes do not know yet, NULL if there is none; and that they know it now. */
const char *lti_pace_next_news(lti_pause_t *pause, const lti_pace_t *pace);
void lti_pace_news_told(lti_pace_t *pace, const char *platform);

/** When a course of a paused platform is due again: soon after the pause, each at a moment of its own, so that they do not come all at once. `now` is when it was put off. */
apr_time_t lti_pace_resumption(const lti_pause_t *pause, apr_time_t now);

#endif
