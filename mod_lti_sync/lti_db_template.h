/* SPDX-License-Identifier: Apache-2.0 */
/* Templates of SQL, a part of lti_db: one text for all databases, with words between braces where they differ. */
#ifndef LTI_DB_TEMPLATE_H
#define LTI_DB_TEMPLATE_H

#include <apr_pools.h>

enum { LTI_DB_SQLITE, LTI_DB_PGSQL, LTI_DB_MYSQL, LTI_DB_KINDS };

/** The template in the words of a kind, in `p`; NULL if it is malformed. */
const char *lti_db_expand(int kind, const char *sql, apr_pool_t *p);

/** How many values a text takes. */
int lti_db_count_parameters(const char *text);

#endif
