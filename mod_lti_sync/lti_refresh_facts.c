/* SPDX-License-Identifier: Apache-2.0 */
/* What runs find out for an administrator. */
#include "lti_refresh_facts.h"

#include <apr_date.h>
#include <apr_strings.h>
#include <string.h>
#include "lti_diagnosis.h"
#include "lti_groups.h"

#define NEWS_MAX 64 /* of tokens, until the database takes them */
#define CLOCK_WRITE_STEP apr_time_from_sec(600)
#define CLOCK_STEP apr_time_from_sec(1)
#define CLOCK_GRAIN apr_time_from_msec(500)     /* a Date is of some moment of its second */
#define CLOCK_REQUEST_MAX apr_time_from_sec(10) /* of a longer request a Date says too little */

/** How it went with a token. */
typedef struct token_news_t {
    const char *platform, *scope;
    const char *granted;  /* NULL: none was given, */
    const lti_err_t *why; /* for this reason */
    apr_time_t at;
} token_news_t;

typedef struct seen_clock_t {
    const char *platform;
    apr_interval_time_t offset;
    apr_time_t seen_at;
    apr_interval_time_t told_offset; /* to the database */
    apr_time_t told_at;              /* 0: not yet */
    int is_news;
} seen_clock_t;

struct lti_facts_t {
    apr_hash_t *clocks;       /* platform -> seen_clock_t */
    apr_pool_t *news_pool;    /* cleared when all is told */
    apr_array_header_t *news; /* of token_news_t, in news_pool */
};

lti_facts_t *lti_facts_create(apr_pool_t *p)
{
    lti_facts_t *facts = apr_pcalloc(p, sizeof(*facts));

    facts->clocks = apr_hash_make(p);
    apr_pool_create(&facts->news_pool, p);
    facts->news = apr_array_make(facts->news_pool, 4, sizeof(token_news_t));
    return facts;
}

/* --- tokens ------------------------------------------------------------------------------------------------------------- */

/* What an answer of the platform can mean, and not what became of this process. */
static int is_of_platform(const lti_err_t *why)
{
    lti_err_kind_t kind = lti_err_info(why->code)->kind;

    return why->code != LTI_E_HTTP_ABORTED && kind != LTI_ERR_STORE && kind != LTI_ERR_INTERNAL;
}

/* Of each platform and scope the last news counts. */
static token_news_t *news_place(lti_facts_t *facts, const char *platform, const char *scope)
{
    int i;

    for (i = 0; i < facts->news->nelts; i++) {
        token_news_t *news = &APR_ARRAY_IDX(facts->news, i, token_news_t);

        if (strcmp(news->platform, platform) == 0 && strcmp(news->scope, scope) == 0)
            return news;
    }
    return facts->news->nelts < NEWS_MAX ? apr_array_push(facts->news) : NULL;
}

static void note_token(lti_facts_t *facts, const lti_run_t *run, const lti_err_t *why, apr_time_t now)
{
    const char *granted = NULL;
    token_news_t *news;

    if (why->code != LTI_OK && !is_of_platform(why))
        return;
    news = news_place(facts, run->platform->name, run->scope);
    if (news == NULL)
        return;
    if (why->code == LTI_OK) {
        granted = lti_tokens_granted(run->tokens, run->platform, run->course->deployment_id, run->scope);
        granted = granted != NULL ? granted : run->scope;
    }
    *news = (token_news_t){
        .platform = apr_pstrdup(facts->news_pool, run->platform->name),
        .scope = apr_pstrdup(facts->news_pool, run->scope),
        .granted = apr_pstrdup(facts->news_pool, granted),
        .why = apr_pmemdup(facts->news_pool, why, sizeof(*why)),
        .at = now,
    };
}

static apr_status_t write_token(const token_news_t *news, lti_db_t *db, apr_pool_t *ptemp, lti_err_t *err)
{
    const char *dropped = news->why->code == LTI_E_SCOPE_REFUSED ? news->scope : NULL, *name = lti_err_info(news->why->code)->name;

    if (news->granted != NULL)
        return lti_db_platform_token(db, news->platform, news->scope, news->granted, news->at, ptemp, err);
    /* A platform that gives rosters and no groups does nothing wrong. */
    if (dropped != NULL && strcmp(dropped, LTI_SCOPE_GROUPS) == 0)
        name = NULL;
    return lti_db_platform_refused(db, news->platform, dropped, name, news->why->text, news->at, ptemp, err);
}

/* --- clocks ------------------------------------------------------------------------------------------------------------- */

/* `*doubt` is how much of it the request itself may explain. */
static int measure(apr_interval_time_t *offset, apr_interval_time_t *doubt, const lti_http_response_t *response, apr_time_t sent_at,
                   apr_time_t now)
{
    const char *text = response->headers != NULL ? apr_table_get(response->headers, "Date") : NULL;
    apr_time_t date = text != NULL ? apr_date_parse_http(text) : APR_DATE_BAD;

    /* What comes out of a cache has the time at which it went in. */
    if (date == APR_DATE_BAD || apr_table_get(response->headers, "Age") != NULL || now < sent_at ||
        now - sent_at > CLOCK_REQUEST_MAX)
        return 0;
    *doubt = (now - sent_at) / 2 + CLOCK_GRAIN;
    *offset = date + CLOCK_GRAIN - (sent_at + (now - sent_at) / 2);
    return 1;
}

static int is_near(apr_interval_time_t a, apr_interval_time_t b, apr_interval_time_t allowance)
{
    return a - b <= allowance && b - a <= allowance;
}

static void note_clock(lti_facts_t *facts, const lti_run_t *run, const lti_http_response_t *response, apr_time_t now)
{
    apr_interval_time_t offset, doubt;
    seen_clock_t *seen;

    if (response == NULL || response->status == 0 || !measure(&offset, &doubt, response, run->sent_at, now))
        return;
    seen = apr_hash_get(facts->clocks, run->platform->name, APR_HASH_KEY_STRING);
    if (seen == NULL) {
        seen = apr_pcalloc(apr_hash_pool_get(facts->clocks), sizeof(*seen));
        seen->platform = apr_pstrdup(apr_hash_pool_get(facts->clocks), run->platform->name);
        apr_hash_set(facts->clocks, seen->platform, APR_HASH_KEY_STRING, seen);
    }
    if (seen->told_at != 0 && is_near(offset, seen->told_offset, CLOCK_STEP + doubt) &&
        is_near(now, seen->told_at, CLOCK_WRITE_STEP))
        return;
    seen->offset = is_near(offset, 0, doubt) ? 0 : offset;
    seen->seen_at = now;
    seen->is_news = 1;
}

/* --- together ----------------------------------------------------------------------------------------------------------- */

void lti_facts_note(lti_facts_t *facts, const lti_run_t *run, int is_token, const lti_http_response_t *response,
                    const lti_err_t *why, apr_time_t now)
{
    if (facts == NULL || run->platform == NULL)
        return;
    note_clock(facts, run, response, now);
    if (is_token)
        note_token(facts, run, why, now);
}

apr_status_t lti_facts_write(lti_facts_t *facts, lti_db_t *db, apr_time_t now, apr_pool_t *ptemp, lti_err_t *err)
{
    apr_hash_index_t *index;
    apr_status_t rv = APR_SUCCESS;
    int i;

    for (i = 0; rv == APR_SUCCESS && i < facts->news->nelts; i++)
        rv = write_token(&APR_ARRAY_IDX(facts->news, i, token_news_t), db, ptemp, err);
    if (rv == APR_SUCCESS && facts->news->nelts > 0) {
        apr_pool_clear(facts->news_pool);
        facts->news = apr_array_make(facts->news_pool, 4, sizeof(token_news_t));
    }
    for (index = apr_hash_first(ptemp, facts->clocks); rv == APR_SUCCESS && index != NULL; index = apr_hash_next(index)) {
        seen_clock_t *seen = apr_hash_this_val(index);

        if (!seen->is_news)
            continue;
        rv = lti_db_platform_clock(db, seen->platform, seen->offset, seen->seen_at, ptemp, err);
        if (rv != APR_SUCCESS)
            return rv;
        seen->told_offset = seen->offset;
        seen->told_at = now;
        seen->is_news = 0;
    }
    return rv;
}

/* --- a roster and its launches ------------------------------------------------------------------------------------------ */

void lti_facts_judge_roster(const lti_run_t *run, lti_db_t *db, const lti_applied_t *applied, apr_pool_t *ptemp)
{
    const char *key = run->course->key;
    lti_db_match_t match;
    int suspect;

    if (lti_db_visits_match(&match, db, key, run->requested_at - run->options->retain, run->requested_at, ptemp, NULL) !=
        APR_SUCCESS)
        return;
    suspect = lti_diagnosis_is_suspect(run->platform, applied->active, match.launched, match.outsiders);
    if (suspect != match.suspect)
        (void)lti_db_suspect_write(db, key, suspect, ptemp, NULL);
}
