/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lti_role: the role vocabularies of LTI, and the one primary role that a person has in a course (SPEC section 4).
 *
 * Roles are compared as exact text after a fixed list of aliases; nothing is ever found by substring. An unknown role gives no
 * rights. Any thread, any process; tables are constant.
 */
#ifndef LTI_ROLE_H
#define LTI_ROLE_H

#include <apr_pools.h>
#include <apr_tables.h>

/** The words of LTI_ROLE, by rising power in the course (SPEC 4.9; the words are those of docs/environment.md). */
typedef enum lti_role_t {
    LTI_ROLE_NONE = 0,
    LTI_ROLE_GUEST,
    LTI_ROLE_MEMBER,
    LTI_ROLE_LEARNER,
    LTI_ROLE_MENTOR,
    LTI_ROLE_OBSERVER,
    LTI_ROLE_MANAGER,
    LTI_ROLE_CONTENT_DEVELOPER,
    LTI_ROLE_TEACHING_ASSISTANT,
    LTI_ROLE_INSTRUCTOR,
    LTI_ROLE_ADMINISTRATOR
} lti_role_t;

#define LTI_ROLES_MAX 128     /* SPEC K-12 */
#define LTI_ROLE_TEXT_MAX 512 /* bytes of one role */

/** What else a list of roles says. */
#define LTI_ROLE_FLAG_TEST_USER 0x01u
#define LTI_ROLE_FLAG_MENTOR 0x02u
#define LTI_ROLE_FLAG_UNKNOWN 0x04u /* at least one role is not in any vocabulary */

/** LTIStrictRoles On: aliases (short names, URNs, misspellings) are not taken (SPEC R-02). */
#define LTI_ROLE_STRICT 0x01u

/**
 * The full URI of `role` after the aliases of SPEC R-02, a constant; `role` itself (the pointer given) if it is in no vocabulary.
 * `number`, if not NULL, receives its place in the vocabulary, 1 to lti_role_vocabulary_size(), or 0 if unknown. Numbers are
 * stable across releases: they stand in session cookies.
 */
const char *lti_role_canonical(const char *role, unsigned options, int *number);

/** The URI at `number`, NULL if there is none. */
const char *lti_role_uri(int number);
int lti_role_vocabulary_size(void);

/** The primary role of a list (SPEC 4.9) given as canonical URIs separated by single blanks; `flags` may be NULL. */
lti_role_t lti_role_primary(const char *roles, unsigned *flags);

/** Canonical, sorted, duplicates removed, joined by single blanks: how roles are stored and exported. Limits of SPEC K-12 apply,
 * roles with white space or control characters are left out. "" for an empty list. */
const char *lti_role_join(const apr_array_header_t *roles, unsigned options, apr_pool_t *p);

/** "instructor", "teaching-assistant", ... Never NULL. */
const char *lti_role_word(lti_role_t role);

/** 0 if `word` is no role word, else 1 and `*role`. */
int lti_role_by_word(const char *word, lti_role_t *role);

/** administrator, instructor, teaching-assistant or content-developer: what `Require lti-role staff` means. */
int lti_role_is_staff(lti_role_t role);

#endif
