/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run and its access token: one for all nodes (SPEC T-06). It lies sealed in the database; whoever finds none takes a lease and asks the platform, the others look again each second.
 * A node that dies meanwhile leaves a lease that ends by time. Where the database does not answer, or what it has cannot be opened, a run asks for itself.
 */
#include "lti_refresh_run.h"

#include <string.h>
#include <apr_strings.h>

#define LOOK_AGAIN apr_time_from_sec(1)
#define LEASE_TIME apr_time_from_sec(90) /* longer than a request for a token may take */
#define SEALED_MAX (48 * 1024)

static const char *key_of(const lti_run_t *run, const char *scope, apr_pool_t *p)
{
    char key[LTI_TOKEN_KEY_SIZE];

    if (run->options->sealer == NULL || lti_tokens_key(key, run->platform, run->course->deployment_id, scope) != APR_SUCCESS)
        return NULL;
    return apr_pstrdup(p, key);
}

int lti_run_token_is_coming(const lti_run_t *run)
{
    const char *key = key_of(run, run->scope, run->page_pool);
    const lti_run_t *other;

    for (other = *run->all; other != NULL; other = other->next) {
        if (other == run)
            continue;
        if (key != NULL && other->leased != NULL && strcmp(other->leased, key) == 0)
            return 1;
        if (other->token_coming && other->platform == run->platform &&
            strcmp(other->course->deployment_id, run->course->deployment_id) == 0 && strcmp(other->scope, run->scope) == 0)
            return 1;
    }
    return 0;
}

/* 1 if the token could be opened, and is kept now. */
static int adopt(lti_run_t *run, const char *key, const lti_db_token_t *stored)
{
    apr_size_t length = stored->sealed != NULL ? strlen(stored->sealed) : 0, size = 0, plain_size = 0;
    unsigned char *sealed, *plain;

    if (length == 0 || length > SEALED_MAX)
        return 0;
    sealed = apr_palloc(run->page_pool, length);
    if (lti_base64url_decode(sealed, &size, stored->sealed, length) != APR_SUCCESS || size <= LTI_SEAL_OVERHEAD)
        return 0;
    plain = apr_palloc(run->page_pool, size);
    if (lti_unseal(plain, &plain_size, run->options->sealer, (lti_bytes_t){key, strlen(key)}, (lti_bytes_t){sealed, size}) !=
        APR_SUCCESS)
        return 0;
    plain[plain_size] = '\0'; /* there is room: the seal is gone */
    return lti_tokens_adopt(run->tokens, run->platform, run->course->deployment_id, run->scope, (const char *)plain,
                            stored->expires_at, stored->sealed, NULL) == APR_SUCCESS;
}

/* Looks, and takes the lease if there is nothing. The platform refused what is forgotten here. */
static apr_status_t look(int *wait, lti_run_t *run, lti_db_t *db, const char *key, apr_time_t now)
{
    const char *node = run->options->node;
    apr_pool_t *ptemp = run->page_pool;
    lti_db_token_t stored = {0};
    apr_status_t rv = APR_SUCCESS;

    if (run->refused != NULL)
        rv = lti_db_token_forget(db, run->refused, run->refused_sealed, ptemp, NULL);
    if (rv == APR_SUCCESS) {
        run->refused = NULL;
        rv = lti_db_token_read(&stored, db, key, node, now, ptemp, NULL);
    }
    if (rv != APR_SUCCESS || adopt(run, key, &stored))
        return rv;
    *wait = stored.leased;
    if (stored.leased)
        return APR_SUCCESS;
    rv = lti_db_token_lease(db, key, node, now, now + LEASE_TIME, ptemp, NULL);
    if (APR_STATUS_IS_EBUSY(rv)) {
        *wait = 1;
        return APR_SUCCESS;
    }
    if (rv != APR_SUCCESS)
        return rv;
    run->leased = apr_pstrdup(run->pool, key);
    /* Perhaps one came while we looked. */
    rv = lti_db_token_read(&stored, db, key, node, now, ptemp, NULL);
    if (rv == APR_SUCCESS && adopt(run, key, &stored))
        lti_run_token_release(run, db, ptemp);
    return rv;
}

int lti_run_token_find(lti_run_t *run, apr_time_t now)
{
    const lti_store_t *store = &run->options->store;
    const char *key = key_of(run, run->scope, run->page_pool);
    int wait = 0;
    lti_db_t *db;

    if (key == NULL || (run->leased != NULL && strcmp(run->leased, key) == 0))
        return 1;
    db = store->acquire(store->baton, NULL);
    if (db == NULL)
        return 1;
    lti_db_hurry(db, run->options->stopping, run->options->baton);
    lti_run_token_release(run, db, run->page_pool); /* of another scope */
    (void)look(&wait, run, db, key, now);           /* a database that fails is no reason to ask for nothing */
    lti_db_hurry(db, NULL, NULL);
    store->release(store->baton, db);
    if (wait)
        run->ask_at = now + LOOK_AGAIN;
    return !wait;
}

static const char *seal(lti_run_t *run, const char *key, const char *token)
{
    apr_size_t length = strlen(token), size = 0;
    unsigned char *sealed = apr_palloc(run->page_pool, length + LTI_SEAL_OVERHEAD);

    if (lti_seal(sealed, &size, run->options->sealer, (lti_bytes_t){key, strlen(key)}, (lti_bytes_t){token, length}, NULL) !=
        APR_SUCCESS)
        return NULL;
    return lti_base64url_encode(sealed, size, run->page_pool);
}

void lti_run_token_share(lti_run_t *run)
{
    const lti_store_t *store = &run->options->store;
    const char *deployment = run->course->deployment_id, *sealed, *token;
    const char *key = key_of(run, run->scope, run->page_pool);
    apr_time_t until = lti_tokens_until(NULL, run->tokens, run->platform, deployment, run->scope);
    lti_db_t *db;

    db = store->acquire(store->baton, NULL);
    if (db == NULL)
        return; /* at the next page */
    /* Of another scope, asked for in vain: others must not wait for it as long as this run reads pages. */
    if (key == NULL || strcmp(run->leased, key) != 0) {
        lti_db_hurry(db, run->options->stopping, run->options->baton);
        lti_run_token_release(run, db, run->page_pool);
        lti_db_hurry(db, NULL, NULL);
        store->release(store->baton, db);
        return;
    }
    token = apr_pstrdup(run->page_pool, lti_tokens_get(run->tokens, run->platform, deployment, run->scope, 0));
    sealed = token != NULL ? seal(run, key, token) : NULL;
    lti_db_hurry(db, run->options->stopping, run->options->baton);
    if (sealed != NULL && lti_db_token_write(db, key, sealed, until, run->page_pool, NULL) == APR_SUCCESS) {
        run->leased = NULL;
        (void)lti_tokens_adopt(run->tokens, run->platform, deployment, run->scope, token, until, sealed, NULL);
    } else {
        lti_run_token_release(run, db, run->page_pool);
    }
    lti_db_hurry(db, NULL, NULL);
    store->release(store->baton, db);
}

void lti_run_token_forget(lti_run_t *run, const char *scope)
{
    const char *sealed = NULL;

    (void)lti_tokens_until(&sealed, run->tokens, run->platform, run->course->deployment_id, scope);
    if (sealed != NULL && run->refused == NULL) {
        run->refused = key_of(run, scope, run->pool);
        run->refused_sealed = apr_pstrdup(run->pool, sealed);
    }
    lti_tokens_forget(run->tokens, run->platform, run->course->deployment_id, scope);
}

void lti_run_token_release(lti_run_t *run, lti_db_t *db, apr_pool_t *ptemp)
{
    /* Should it fail, the lease ends by time. */
    if (run->leased != NULL)
        (void)lti_db_token_release(db, run->leased, run->options->node, ptemp, NULL);
    run->leased = NULL;
}
