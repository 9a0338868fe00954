/* SPDX-License-Identifier: Apache-2.0 */
/* lti_pace: places, a bucket of requests, and a pause for each platform. */
#include "lti_pace.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include "lti_crypto.h"

#define SECOND apr_time_from_sec(1)
#define FIRST_PAUSE apr_time_from_sec(60)
#define PAUSE_MAX apr_time_from_sec(3600)
#define SPREAD_MIN apr_time_from_sec(10)
#define SPREAD_MAX apr_time_from_sec(300)
#define NAME_LENGTH 64
#define TEXT_LENGTH 255

/* Kept for as long as the engine: there are as many as were ever configured, and courses of. */
typedef struct platform_t {
    char name[NAME_LENGTH + 1];
    int running;
    int is_silent;
    apr_time_t full_at; /* when the bucket of requests is full again; it never is later than the time that a full one lasts */
    int refusals;       /* in a row */
    lti_pause_t pause;
    int is_news;
    char error_name[NAME_LENGTH + 1];
    char error_text[TEXT_LENGTH + 1];
} platform_t;

struct lti_pace_t {
    apr_pool_t *pool;
    apr_hash_t *platforms;
    int places, running;
    int shared;
};

lti_pace_t *lti_pace_create(int places, int shared, apr_pool_t *p)
{
    lti_pace_t *pace = apr_pcalloc(p, sizeof(*pace));

    pace->pool = p;
    pace->platforms = apr_hash_make(p);
    pace->places = places;
    pace->shared = shared;
    return pace;
}

static platform_t *find(const lti_pace_t *pace, const char *name)
{
    return apr_hash_get(pace->platforms, name, APR_HASH_KEY_STRING);
}

static platform_t *get(lti_pace_t *pace, const char *name)
{
    platform_t *platform = find(pace, name);

    if (platform == NULL) {
        platform = apr_pcalloc(pace->pool, sizeof(*platform));
        apr_cpystrn(platform->name, name, sizeof(platform->name));
        apr_hash_set(pace->platforms, platform->name, APR_HASH_KEY_STRING, platform);
    }
    return platform;
}

/* --- places ------------------------------------------------------------------------------------------------------------- */

int lti_pace_is_full(const lti_pace_t *pace)
{
    return pace->running >= pace->places;
}

int lti_pace_has_place(const lti_pace_t *pace, const char *name)
{
    const platform_t *platform = find(pace, name);
    int own = platform != NULL ? platform->running : 0;

    if (lti_pace_is_full(pace))
        return 0;
    if (!pace->shared)
        return 1;
    if (platform != NULL && platform->is_silent)
        return own == 0;
    return own < (pace->places - (pace->running - own) + 1) / 2;
}

void lti_pace_begin(lti_pace_t *pace, const char *name)
{
    get(pace, name)->running++;
    pace->running++;
}

void lti_pace_end(lti_pace_t *pace, const char *name)
{
    get(pace, name)->running--;
    pace->running--;
}

/* --- requests ----------------------------------------------------------------------------------------------------------- */

/* The bucket holds the requests of one second, at least one. Each moves the time at which it is full again on by `interval`. */
apr_interval_time_t lti_pace_take(lti_pace_t *pace, const char *name, apr_interval_time_t interval, apr_time_t now)
{
    platform_t *platform;
    apr_interval_time_t room;

    if (interval <= 0)
        return 0;
    platform = get(pace, name);
    room = interval < SECOND ? SECOND / interval * interval : interval;
    /* Also where the clock was set back. */
    if (platform->full_at < now || platform->full_at > now + room)
        platform->full_at = platform->full_at < now ? now : now + room;
    if (platform->full_at + interval > now + room)
        return platform->full_at + interval - now - room;
    platform->full_at += interval;
    return 0;
}

/* --- patience ----------------------------------------------------------------------------------------------------------- */

void lti_pace_answered(lti_pace_t *pace, const char *name, int well)
{
    platform_t *platform = get(pace, name);

    platform->is_silent = 0;
    if (well)
        platform->refusals = 0;
}

void lti_pace_silent(lti_pace_t *pace, const char *name)
{
    get(pace, name)->is_silent = 1;
}

static void set_pause(platform_t *platform, apr_time_t until, const char *error_name, const char *error_text)
{
    apr_cpystrn(platform->error_name, error_name != NULL ? error_name : "", sizeof(platform->error_name));
    apr_cpystrn(platform->error_text, error_text != NULL ? error_text : "", sizeof(platform->error_text));
    platform->pause = (lti_pause_t){.until = until, .error_name = platform->error_name, .error_text = platform->error_text};
}

/* A clock that was set back must not make a pause of it that nobody asked for, nor hide the next one. */
static int is_of_another_clock(const lti_pause_t *pause, apr_time_t now)
{
    return pause->until - now > PAUSE_MAX + SECOND;
}

void lti_pace_refused(lti_pace_t *pace, const char *name, apr_interval_time_t retry_after, const char *error_name,
                      const char *error_text, apr_time_t now)
{
    platform_t *platform = get(pace, name);
    apr_interval_time_t delay = FIRST_PAUSE;
    int i;

    platform->is_silent = 0;
    if (is_of_another_clock(&platform->pause, now))
        platform->pause.until = 0;
    /* Several runs are refused at once: that is one refusal. */
    if (now >= platform->pause.until)
        platform->refusals++;
    for (i = 1; i < platform->refusals && delay < PAUSE_MAX; i++)
        delay *= 2;
    if (retry_after > 0)
        delay = retry_after;
    if (delay > PAUSE_MAX)
        delay = PAUSE_MAX;
    if (now + delay <= platform->pause.until)
        return;
    set_pause(platform, now + delay, error_name, error_text);
    platform->is_news = 1;
}

void lti_pace_told(lti_pace_t *pace, const char *name, const lti_pause_t *pause)
{
    platform_t *platform = get(pace, name);

    if (!platform->is_news)
        set_pause(platform, pause->until, pause->error_name, pause->error_text);
}

void lti_pace_forget_told(lti_pace_t *pace)
{
    apr_hash_index_t *place;

    for (place = apr_hash_first(NULL, pace->platforms); place != NULL; place = apr_hash_next(place)) {
        platform_t *platform = apr_hash_this_val(place);

        if (!platform->is_news)
            platform->pause.until = 0;
    }
}

int lti_pace_is_paused(lti_pause_t *pause, const lti_pace_t *pace, const char *name, apr_time_t now)
{
    const platform_t *platform = find(pace, name);

    if (platform == NULL || now >= platform->pause.until || is_of_another_clock(&platform->pause, now))
        return 0;
    if (pause != NULL)
        *pause = platform->pause;
    return 1;
}

const char *lti_pace_next_news(lti_pause_t *pause, const lti_pace_t *pace)
{
    apr_hash_index_t *place;

    for (place = apr_hash_first(NULL, pace->platforms); place != NULL; place = apr_hash_next(place)) {
        const platform_t *platform = apr_hash_this_val(place);

        if (platform->is_news) {
            *pause = platform->pause;
            return platform->name;
        }
    }
    return NULL;
}

void lti_pace_news_told(lti_pace_t *pace, const char *name)
{
    get(pace, name)->is_news = 0;
}

apr_time_t lti_pace_resumption(const lti_pause_t *pause, apr_time_t now)
{
    apr_interval_time_t spread = pause->until - now;
    unsigned char bytes[2] = {128, 0};

    if (spread < SPREAD_MIN)
        spread = SPREAD_MIN;
    if (spread > SPREAD_MAX)
        spread = SPREAD_MAX;
    /* Without randomness all come in the middle. */
    (void)lti_crypto_random(bytes, sizeof(bytes), NULL);
    return pause->until + spread * (bytes[0] * 256 + bytes[1]) / 65535;
}
