/* SPDX-License-Identifier: Apache-2.0 */
/* Templates of SQL: what stands between braces is said in the words of SQLite, PostgreSQL or MariaDB. */
#include "lti_db_template.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <stdlib.h>
#include <string.h>

/** Where the kinds differ in words; '*' stands for what follows the word in the template. */
static const struct {
    const char *word;
    const char *text[LTI_DB_KINDS];
} words[] = {
    {"id", {"", " COLLATE \"C\"", ""}},
    {"table", {"", "", " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"}},
    {"text", {"TEXT", "TEXT", "MEDIUMTEXT"}},
    {"number", {"INTEGER", "BIGINT", "BIGINT"}}, /* SQLite: the very number of the row, with no index beside the table */
    {"unless_exists", {"IF NOT EXISTS", "IF NOT EXISTS", ""}},
    {"add_column", {"ADD COLUMN", "ADD COLUMN IF NOT EXISTS", "ADD COLUMN"}},
    {"upsert", {"ON CONFLICT (*) DO UPDATE SET", "ON CONFLICT (*) DO UPDATE SET", "ON DUPLICATE KEY UPDATE"}},
    {"new", {"excluded.*", "excluded.*", "VALUES(*)"}},
    {"keep", {"ON CONFLICT (*) DO NOTHING", "ON CONFLICT (*) DO NOTHING", "ON DUPLICATE KEY UPDATE * = VALUES(*)"}},
    {"for_update", {"", "FOR UPDATE", "FOR UPDATE"}},
};

/* `format` with each '*' replaced by `argument`. */
static const char *fill_in(const char *format, const char *argument, apr_pool_t *p)
{
    apr_array_header_t *parts = apr_array_make(p, 8, sizeof(const char *));
    const char *star;

    while ((star = strchr(format, '*')) != NULL) {
        APR_ARRAY_PUSH(parts, const char *) = apr_pstrmemdup(p, format, (apr_size_t)(star - format));
        APR_ARRAY_PUSH(parts, const char *) = argument;
        format = star + 1;
    }
    APR_ARRAY_PUSH(parts, const char *) = format;
    return apr_array_pstrcat(p, parts, 0);
}

/* What stands for the words between a pair of braces; NULL if there is no such word. */
static const char *replace_word(int kind, const char *inside, apr_pool_t *p)
{
    const char *blank = strchr(inside, ' ');
    apr_size_t length = blank ? (apr_size_t)(blank - inside) : strlen(inside);
    char *body = NULL;
    long times = strtol(inside, &body, 10);
    size_t i;

    if (times > 0 && body != NULL && *body == '*') {
        apr_array_header_t *parts = apr_array_make(p, (int)times, sizeof(const char *));

        while (times-- > 0)
            APR_ARRAY_PUSH(parts, const char *) = body + 1;
        return apr_array_pstrcat(p, parts, ',');
    }
    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i].word) == length && strncmp(words[i].word, inside, length) == 0)
            return fill_in(words[i].text[kind], blank ? blank + 1 : "", p);
    }
    return NULL;
}

/* The template in the words of a dialect; NULL if it is malformed. */
const char *lti_db_expand(int kind, const char *sql, apr_pool_t *p)
{
    apr_array_header_t *parts = apr_array_make(p, 16, sizeof(const char *));
    const char *open, *close;

    while ((open = strchr(sql, '{')) != NULL) {
        const char *text;

        close = strchr(open, '}');
        if (close == NULL)
            return NULL;
        text = replace_word(kind, apr_pstrmemdup(p, open + 1, (apr_size_t)(close - open - 1)), p);
        if (text == NULL)
            return NULL;
        APR_ARRAY_PUSH(parts, const char *) = apr_pstrmemdup(p, sql, (apr_size_t)(open - sql));
        APR_ARRAY_PUSH(parts, const char *) = text;
        sql = close + 1;
    }
    APR_ARRAY_PUSH(parts, const char *) = sql;
    return apr_array_pstrcat(p, parts, 0);
}

int lti_db_count_parameters(const char *text)
{
    int count = 0;

    for (; *text != '\0'; text++) {
        if (*text != '%')
            continue;
        text++;
        if (*text != '%')
            count++;
    }
    return count;
}
