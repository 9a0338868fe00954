/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of a roster (SPEC section 6). The first byte says how long the pieces are in which the rest arrives: whole or in pieces, the outcome
 * is the same.
 */
#include "fuzz.h"

#include "lti_nrps.h"

typedef struct outcome_t {
    apr_status_t rv;
    lti_err_t err;
    lti_nrps_summary_t summary;
    int seen;
} outcome_t;

static apr_status_t take_member(void *baton, const lti_member_t *member, lti_err_t *err)
{
    outcome_t *outcome = baton;

    (void)err;
    outcome->seen++;
    FUZZ_MUST(member->user_id != NULL && member->user_id[0] != '\0' && fuzz_is_clean(member->user_id, 255));
    FUZZ_MUST(fuzz_is_clean(member->name, LTI_NRPS_MEMBER_MAX) && fuzz_is_clean(member->email, LTI_NRPS_MEMBER_MAX));
    FUZZ_MUST(fuzz_is_clean(member->roles, LTI_NRPS_MEMBER_MAX));
    FUZZ_MUST(fuzz_is_clean(member->sections, LTI_NRPS_MEMBER_MAX) && fuzz_is_clean(member->groups, LTI_NRPS_MEMBER_MAX));
    return APR_SUCCESS;
}

static void read_page(outcome_t *outcome, const uint8_t *data, size_t size, size_t piece, apr_pool_t *p)
{
    static const lti_nrps_names_t names = {.section_claim = "sections", .group_claim = "groups"};
    lti_nrps_page_t *page;

    memset(outcome, 0, sizeof(*outcome));
    page = lti_nrps_page_create(0, take_member, outcome, p);
    lti_nrps_page_names(page, &names);
    while (size > 0 && outcome->rv == APR_SUCCESS) {
        size_t now = size < piece ? size : piece;
        char *copy = apr_pmemdup(p, data, now);

        outcome->rv = lti_nrps_page_feed(page, copy, now, &outcome->err);
        data += now;
        size -= now;
    }
    if (outcome->rv == APR_SUCCESS)
        outcome->rv = lti_nrps_page_end(page, &outcome->summary, &outcome->err);
    FUZZ_MUST_TELL(outcome->rv, outcome->err);
    if (outcome->rv == APR_SUCCESS)
        FUZZ_MUST(outcome->summary.members == outcome->seen && outcome->summary.dropped >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    apr_pool_t *p;
    outcome_t whole, pieces;

    if (size < 2)
        return 0;
    p = fuzz_begin();
    read_page(&whole, data + 1, size - 1, size - 1, p);
    read_page(&pieces, data + 1, size - 1, (size_t)data[0] % 64 + 1, p);
    FUZZ_MUST(whole.rv == pieces.rv && whole.err.code == pieces.err.code);
    FUZZ_MUST(whole.rv != APR_SUCCESS || whole.seen == pieces.seen);
    FUZZ_MUST(whole.rv != APR_SUCCESS || whole.summary.dropped == pieces.summary.dropped);
    fuzz_end(p);
    return 0;
}
