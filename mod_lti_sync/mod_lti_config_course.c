/* SPDX-License-Identifier: Apache-2.0 */
/* Which application an address belongs to, where addresses name the course. Needs no httpd. */
#include "mod_lti_config.h"

int mod_lti_config_is_below(const char *path, const char *prefix, apr_size_t length)
{
    return strncmp(path, prefix, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

const lti_course_path_t *mod_lti_config_course_path(const apr_array_header_t *all, const char *path)
{
    const lti_course_path_t *found = NULL;
    int i;

    for (i = 0; all != NULL && i < all->nelts; i++) {
        const lti_course_path_t *application = &APR_ARRAY_IDX(all, i, lti_course_path_t);

        if ((found == NULL || application->length > found->length) &&
            mod_lti_config_is_below(path, application->prefix, application->length))
            found = application;
    }
    return found != NULL && found->on ? found : NULL;
}
