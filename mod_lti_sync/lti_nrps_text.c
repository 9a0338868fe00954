/* SPDX-License-Identifier: Apache-2.0 */
/* lti_nrps: names as people write them, from a platform that sends them as markup. */
#include "lti_nrps.h"

#include <string.h>
#include <apr_strings.h>

/* The five characters that PHP's escaping knows; the last in both its spellings. */
static const struct {
    const char *entity;
    apr_size_t length;
    char character;
} entities[] = {
    {"&amp;", 5, '&'}, {"&lt;", 4, '<'}, {"&gt;", 4, '>'}, {"&quot;", 6, '"'}, {"&#039;", 6, '\''}, {"&#39;", 5, '\''},
};

const char *lti_nrps_unescape(const char *text, apr_pool_t *p)
{
    char *copy, *out;

    if (strchr(text, '&') == NULL)
        return text;
    copy = out = apr_palloc(p, strlen(text) + 1);
    /* Once through: what comes out is not looked at again, so that "&amp;lt;" is "&lt;", as it was typed. */
    while (*text != '\0') {
        apr_size_t i, known = sizeof(entities) / sizeof(entities[0]);

        for (i = 0; *text == '&' && i < known; i++) {
            if (strncmp(text, entities[i].entity, entities[i].length) == 0)
                break;
        }
        if (*text == '&' && i < known) {
            *out++ = entities[i].character;
            text += entities[i].length;
        } else {
            *out++ = *text++;
        }
    }
    *out = '\0';
    return copy;
}
