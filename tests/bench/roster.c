/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roster URL DRIVER PARAMS: what the first sync of a course cannot do without, bare: the page is downloaded into memory, parsed by jansson, and its members are
 * written by one prepared INSERT in one transaction. Prints the seconds of both parts: [download and parse, INSERT].
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <apr_dbd.h>
#include <apr_general.h>
#include <apr_pools.h>
#include <apr_strings.h>
#include <apr_time.h>
#include <curl/curl.h>
#include <jansson.h>

typedef struct body_t {
    char *bytes;
    size_t size, room;
} body_t;

static void die(const char *what)
{
    fprintf(stderr, "roster: %s\n", what);
    exit(1);
}

static size_t take(char *data, size_t one, size_t count, void *baton)
{
    body_t *body = baton;

    (void)one;
    if (body->size + count > body->room) {
        body->room = (body->size + count) * 2;
        body->bytes = realloc(body->bytes, body->room);
        if (body->bytes == NULL)
            die("memory");
    }
    memcpy(body->bytes + body->size, data, count);
    body->size += count;
    return count;
}

static json_t *fetch(const char *url)
{
    CURL *curl = curl_easy_init();
    body_t body = {0};
    json_t *root;

    if (curl == NULL || curl_easy_setopt(curl, CURLOPT_URL, url) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L) != CURLE_OK || curl_easy_perform(curl) != CURLE_OK)
        die("no download");
    curl_easy_cleanup(curl);
    root = json_loadb(body.bytes, body.size, 0, NULL);
    if (root == NULL)
        die("no JSON");
    free(body.bytes);
    return root;
}

static const char *text_of(const json_t *member, const char *name)
{
    return json_string_value(json_object_get(member, name));
}

static void insert(const json_t *members, const char *driver_name, const char *params)
{
    const apr_dbd_driver_t *driver;
    apr_dbd_t *handle;
    apr_dbd_prepared_t *statement = NULL;
    apr_dbd_transaction_t *transaction = NULL;
    apr_pool_t *pool, *p;
    size_t i;
    int affected;

    apr_pool_create(&pool, NULL);
    apr_pool_create(&p, pool);
    if (apr_dbd_init(pool) != APR_SUCCESS || apr_dbd_get_driver(pool, driver_name, &driver) != APR_SUCCESS ||
        apr_dbd_open(driver, pool, params, &handle) != APR_SUCCESS)
        die("the database cannot be opened");
    if (strcmp(driver_name, "sqlite3") == 0) /* as the module does */
        (void)apr_dbd_query(driver, handle, &affected, "PRAGMA synchronous=NORMAL");
    (void)apr_dbd_query(driver, handle, &affected, "DROP TABLE bench_member");
    if (apr_dbd_query(
            driver, handle, &affected,
            "CREATE TABLE bench_member (course_key VARCHAR(16) NOT NULL, user_id VARCHAR(255) NOT NULL, name VARCHAR(1024), "
            "given_name VARCHAR(1024), family_name VARCHAR(1024), email VARCHAR(1024), sourcedid VARCHAR(1024), "
            "roles VARCHAR(1024), PRIMARY KEY (course_key, user_id))") != 0 ||
        apr_dbd_prepare(driver, pool, handle, "INSERT INTO bench_member VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", NULL,
                        &statement) != 0 ||
        apr_dbd_transaction_start(driver, pool, handle, &transaction) != 0)
        die("the table cannot be made");
    for (i = 0; i < json_array_size(members); i++) {
        const json_t *member = json_array_get(members, i);
        const char *values[] = {"abcdefghijklm234",
                                text_of(member, "user_id"),
                                text_of(member, "name"),
                                text_of(member, "given_name"),
                                text_of(member, "family_name"),
                                text_of(member, "email"),
                                text_of(member, "lis_person_sourcedid"),
                                json_string_value(json_array_get(json_object_get(member, "roles"), 0))};

        if (apr_dbd_pquery(driver, p, handle, &affected, statement, 8, values) != 0)
            die("INSERT fails");
        if (i % 1000 == 0)
            apr_pool_clear(p);
    }
    if (apr_dbd_transaction_end(driver, pool, transaction) != 0)
        die("COMMIT fails");
    apr_dbd_close(driver, handle);
}

int main(int argc, char **argv)
{
    apr_time_t began = apr_time_now(), parsed;
    json_t *root;

    if (argc != 4) {
        fprintf(stderr, "usage: roster URL DRIVER PARAMS\n");
        return 2;
    }
    apr_initialize();
    curl_global_init(CURL_GLOBAL_ALL);
    root = fetch(argv[1]);
    parsed = apr_time_now();
    insert(json_object_get(root, "members"), argv[2], argv[3]);
    printf("[%.4f, %.4f]\n", (double)(parsed - began) / APR_USEC_PER_SEC, (double)(apr_time_now() - parsed) / APR_USEC_PER_SEC);
    return 0;
}
