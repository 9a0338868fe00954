/* SPDX-License-Identifier: Apache-2.0 */
/* Is a roster smaller than its launches? Then most likely the platform lists only those who have opened the tool. */
#include "lti_diagnosis.h"

#define FROM 3 /* people; fewer prove nothing: an administrator, a guest, somebody's test account */
#define ONE_IN 10

int lti_diagnosis_is_suspect(const lti_platform_t *platform, int active, int active_launched, int outsiders)
{
    if (outsiders >= FROM && (apr_int64_t)outsiders * ONE_IN > active)
        return 1;
    /* Brightspace's switch is off by itself, and then everybody on the list has launched. */
    return platform != NULL && platform->family == LTI_FAMILY_BRIGHTSPACE && active >= FROM && active_launched >= active;
}
