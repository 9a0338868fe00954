/* SPDX-License-Identifier: Apache-2.0 */
/* mod_lti_environment, inside: what telling (mod_lti_environment.c) and scrubbing (mod_lti_environment_scrub.c) take from each other. */
#ifndef MOD_LTI_ENVIRONMENT_PARTS_H
#define MOD_LTI_ENVIRONMENT_PARTS_H

#include <httpd.h>

/** The letter in lower case, the digit, else '_': how backends read the characters of names. */
static inline char mod_lti_environment_fold(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ? c : '_';
}

/** 1 if `name`, which begins with "LTI_", is a variable by which applications are told who is there. */
int mod_lti_environment_is_told(const char *name);

/**
 * In fixups, before anything is told: takes away what was told to the request from which this one was made, and what came under our names after the first
 * scrubbing (trailers, where MergeTrailers is On). `remote_user`: spellings of Remote-User too, since AuthType LTI holds here.
 */
void mod_lti_environment_scrub_again(request_rec *r, int remote_user);

/** mod_proxy leaves out what the Connection header names (RFC 9110 section 7.6.1): a client must not make it leave out what we say. */
void mod_lti_environment_keep_headers(request_rec *r);

#endif
