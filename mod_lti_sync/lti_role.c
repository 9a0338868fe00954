/* SPDX-License-Identifier: Apache-2.0 */
/* The role vocabularies with their stable numbers, the aliases of older texts, and the rank that makes one role out of many. */
#include "lti_role.h"

#include <stdlib.h>
#include <string.h>
#include <apr_strings.h>

#define HTTP_VOCAB "http://purl.imsglobal.org/vocab/"
#define HTTPS_VOCAB "https://purl.imsglobal.org/vocab/"
#define SYSTEM_PREFIX HTTP_VOCAB "lis/v2/system/person#"
#define INSTITUTION_PREFIX HTTP_VOCAB "lis/v2/institution/person#"
#define MEMBERSHIP HTTP_VOCAB "lis/v2/membership"
#define MARKER_PREFIX HTTP_VOCAB "lti/system/person#"

#define S(name) SYSTEM_PREFIX name
#define I(name) INSTITUTION_PREFIX name
#define M(name) MEMBERSHIP "#" name
#define SUB(principal, name) MEMBERSHIP "/" principal "#" name

/* A role and what it makes of the person by itself. For institution roles: where no context role is in the list. */
typedef struct entry_t {
    const char *uri;
    lti_role_t role;
} entry_t;

/*
 * The position is the number that stands in session cookies. Segments (below) are sorted within themselves so that they can be searched; a
 * role that is added one day goes to the end, into a new segment with the same prefix.
 */
static const entry_t vocabulary[] = {
    {S("AccountAdmin"), LTI_ROLE_ADMINISTRATOR},
    {S("Administrator"), LTI_ROLE_ADMINISTRATOR},
    {S("Creator"), LTI_ROLE_NONE},
    {S("None"), LTI_ROLE_NONE},
    {S("SysAdmin"), LTI_ROLE_ADMINISTRATOR},
    {S("SysSupport"), LTI_ROLE_NONE},
    {S("User"), LTI_ROLE_NONE},

    {I("Administrator"), LTI_ROLE_ADMINISTRATOR},
    {I("Alumni"), LTI_ROLE_GUEST},
    {I("Faculty"), LTI_ROLE_GUEST},
    {I("Guest"), LTI_ROLE_GUEST},
    {I("Instructor"), LTI_ROLE_GUEST},
    {I("Learner"), LTI_ROLE_LEARNER},
    {I("Member"), LTI_ROLE_MEMBER},
    {I("Mentor"), LTI_ROLE_MENTOR},
    {I("None"), LTI_ROLE_NONE},
    {I("Observer"), LTI_ROLE_OBSERVER},
    {I("Other"), LTI_ROLE_GUEST},
    {I("ProspectiveStudent"), LTI_ROLE_GUEST},
    {I("Staff"), LTI_ROLE_GUEST},
    {I("Student"), LTI_ROLE_LEARNER},

    {M("Administrator"), LTI_ROLE_ADMINISTRATOR},
    {M("ContentDeveloper"), LTI_ROLE_CONTENT_DEVELOPER},
    {M("Instructor"), LTI_ROLE_INSTRUCTOR},
    {M("Learner"), LTI_ROLE_LEARNER},
    {M("Manager"), LTI_ROLE_MANAGER},
    {M("Member"), LTI_ROLE_MEMBER},
    {M("Mentor"), LTI_ROLE_MENTOR},
    {M("Officer"), LTI_ROLE_MEMBER},

    {SUB("Administrator", "Administrator"), LTI_ROLE_ADMINISTRATOR},
    {SUB("Administrator", "Developer"), LTI_ROLE_CONTENT_DEVELOPER},
    {SUB("Administrator", "ExternalDeveloper"), LTI_ROLE_CONTENT_DEVELOPER},
    {SUB("Administrator", "ExternalSupport"), LTI_ROLE_MANAGER},
    {SUB("Administrator", "ExternalSystemAdministrator"), LTI_ROLE_ADMINISTRATOR},
    {SUB("Administrator", "Support"), LTI_ROLE_MANAGER},
    {SUB("Administrator", "SystemAdministrator"), LTI_ROLE_ADMINISTRATOR},

    {SUB("ContentDeveloper", "ContentDeveloper"), LTI_ROLE_CONTENT_DEVELOPER},
    {SUB("ContentDeveloper", "ContentExpert"), LTI_ROLE_CONTENT_DEVELOPER},
    {SUB("ContentDeveloper", "ExternalContentExpert"), LTI_ROLE_CONTENT_DEVELOPER},
    {SUB("ContentDeveloper", "Librarian"), LTI_ROLE_CONTENT_DEVELOPER},

    {SUB("Instructor", "ExternalInstructor"), LTI_ROLE_INSTRUCTOR},
    {SUB("Instructor", "Grader"), LTI_ROLE_TEACHING_ASSISTANT},
    {SUB("Instructor", "GuestInstructor"), LTI_ROLE_INSTRUCTOR},
    {SUB("Instructor", "Lecturer"), LTI_ROLE_INSTRUCTOR},
    {SUB("Instructor", "PrimaryInstructor"), LTI_ROLE_INSTRUCTOR},
    {SUB("Instructor", "SecondaryInstructor"), LTI_ROLE_INSTRUCTOR},
    {SUB("Instructor", "TeachingAssistant"), LTI_ROLE_TEACHING_ASSISTANT},
    {SUB("Instructor", "TeachingAssistantGroup"), LTI_ROLE_TEACHING_ASSISTANT},
    {SUB("Instructor", "TeachingAssistantOffering"), LTI_ROLE_TEACHING_ASSISTANT},
    {SUB("Instructor", "TeachingAssistantSection"), LTI_ROLE_TEACHING_ASSISTANT},
    {SUB("Instructor", "TeachingAssistantSectionAssociation"), LTI_ROLE_TEACHING_ASSISTANT},
    {SUB("Instructor", "TeachingAssistantTemplate"), LTI_ROLE_TEACHING_ASSISTANT},

    {SUB("Learner", "ExternalLearner"), LTI_ROLE_LEARNER},
    {SUB("Learner", "GuestLearner"), LTI_ROLE_LEARNER},
    {SUB("Learner", "Instructor"), LTI_ROLE_LEARNER},
    {SUB("Learner", "Learner"), LTI_ROLE_LEARNER},
    {SUB("Learner", "NonCreditLearner"), LTI_ROLE_LEARNER},

    {SUB("Manager", "AreaManager"), LTI_ROLE_MANAGER},
    {SUB("Manager", "CourseCoordinator"), LTI_ROLE_MANAGER},
    {SUB("Manager", "ExternalObserver"), LTI_ROLE_OBSERVER},
    {SUB("Manager", "Manager"), LTI_ROLE_MANAGER},
    {SUB("Manager", "Observer"), LTI_ROLE_OBSERVER},

    {SUB("Member", "Member"), LTI_ROLE_MEMBER},

    {SUB("Mentor", "Advisor"), LTI_ROLE_MENTOR},
    {SUB("Mentor", "Auditor"), LTI_ROLE_MENTOR},
    {SUB("Mentor", "ExternalAdvisor"), LTI_ROLE_MENTOR},
    {SUB("Mentor", "ExternalAuditor"), LTI_ROLE_MENTOR},
    {SUB("Mentor", "ExternalLearningFacilitator"), LTI_ROLE_MENTOR},
    {SUB("Mentor", "ExternalMentor"), LTI_ROLE_MENTOR},
    {SUB("Mentor", "ExternalReviewer"), LTI_ROLE_MENTOR},
    {SUB("Mentor", "ExternalTutor"), LTI_ROLE_MENTOR},
    {SUB("Mentor", "LearningFacilitator"), LTI_ROLE_MENTOR},
    {SUB("Mentor", "Mentor"), LTI_ROLE_MENTOR},
    {SUB("Mentor", "Reviewer"), LTI_ROLE_MENTOR},
    {SUB("Mentor", "Tutor"), LTI_ROLE_MENTOR},

    {SUB("Officer", "Chair"), LTI_ROLE_MEMBER},
    {SUB("Officer", "Communications"), LTI_ROLE_MEMBER},
    {SUB("Officer", "Secretary"), LTI_ROLE_MEMBER},
    {SUB("Officer", "Treasurer"), LTI_ROLE_MEMBER},
    {SUB("Officer", "Vice-Chair"), LTI_ROLE_MEMBER},

    {MARKER_PREFIX "TestUser", LTI_ROLE_NONE},
};

#define VOCABULARY_SIZE ((int)(sizeof vocabulary / sizeof *vocabulary))

typedef enum tier_t { TIER_SYSTEM, TIER_INSTITUTION, TIER_CONTEXT, TIER_SUB, TIER_MARKER } tier_t;

/* Principals index the two arrays of a ranking; the order is that of the vocabulary's principals. */
enum { ADMINISTRATOR, CONTENT_DEVELOPER, INSTRUCTOR, LEARNER, MANAGER, MEMBER, MENTOR, OFFICER, PRINCIPALS };

typedef struct segment_t {
    const char *prefix;
    apr_size_t prefix_length;
    tier_t tier;
    int principal; /* of sub-roles */
    int first;     /* index in the vocabulary */
    int count;
} segment_t;

#define SEGMENT(prefix, tier, principal, first, count)            \
    {                                                             \
        prefix, sizeof(prefix) - 1, tier, principal, first, count \
    }
#define SUB_SEGMENT(name, principal, first, count) SEGMENT(MEMBERSHIP "/" name "#", TIER_SUB, principal, first, count)

enum { SEGMENT_SYSTEM, SEGMENT_INSTITUTION, SEGMENT_CONTEXT, SEGMENT_FIRST_SUB };

#define FIRST_PRINCIPAL 21

static const segment_t segments[] = {
    [SEGMENT_SYSTEM] = SEGMENT(SYSTEM_PREFIX, TIER_SYSTEM, 0, 0, 7),
    [SEGMENT_INSTITUTION] = SEGMENT(INSTITUTION_PREFIX, TIER_INSTITUTION, 0, 7, 14),
    [SEGMENT_CONTEXT] = SEGMENT(MEMBERSHIP "#", TIER_CONTEXT, 0, FIRST_PRINCIPAL, 8),
    SUB_SEGMENT("Administrator", ADMINISTRATOR, 29, 7),
    SUB_SEGMENT("ContentDeveloper", CONTENT_DEVELOPER, 36, 4),
    SUB_SEGMENT("Instructor", INSTRUCTOR, 40, 12),
    SUB_SEGMENT("Learner", LEARNER, 52, 5),
    SUB_SEGMENT("Manager", MANAGER, 57, 5),
    SUB_SEGMENT("Member", MEMBER, 62, 1),
    SUB_SEGMENT("Mentor", MENTOR, 63, 12),
    SUB_SEGMENT("Officer", OFFICER, 75, 5),
    SEGMENT(MARKER_PREFIX, TIER_MARKER, 0, 80, 1),
};

#define SEGMENTS ((int)(sizeof segments / sizeof *segments))

_Static_assert(sizeof vocabulary / sizeof *vocabulary == 81, "the segments' borders follow the vocabulary");
_Static_assert(sizeof vocabulary / sizeof *vocabulary < 128, "a number fits into seven bits of a session record");

/* A piece of text that need not end with NUL. */
typedef struct slice_t {
    const char *text;
    apr_size_t length;
} slice_t;

static int cut_prefix(slice_t *slice, const char *prefix, apr_size_t length)
{
    if (slice->length < length || memcmp(slice->text, prefix, length) != 0)
        return 0;
    slice->text += length;
    slice->length -= length;
    return 1;
}

#define CUT(slice, prefix) cut_prefix((slice), (prefix), sizeof(prefix) - 1)

static int is_text(slice_t slice, const char *text)
{
    return strlen(text) == slice.length && memcmp(slice.text, text, slice.length) == 0;
}

/* The number of `name` in a segment, 0 if it is not there. */
static int find_in_segment(const segment_t *segment, slice_t name)
{
    int low = segment->first;
    int high = segment->first + segment->count;

    while (low < high) {
        int middle = (low + high) / 2;
        const char *candidate = vocabulary[middle].uri + segment->prefix_length;
        int order = strncmp(name.text, candidate, name.length);

        if (order == 0 && candidate[name.length] == '\0')
            return middle + 1;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

/* The number of a current, complete URI. */
static int find_uri(slice_t uri)
{
    for (int i = 0; i < SEGMENTS; i++) {
        slice_t name = uri;
        if (cut_prefix(&name, segments[i].prefix, segments[i].prefix_length)) {
            int number = find_in_segment(&segments[i], name);
            if (number != 0)
                return number;
        }
    }
    return 0;
}

/* "Instructor": one of the context roles, or the one sub-role that older texts called a role. */
static int find_context_name(slice_t name)
{
    slice_t assistant = {"TeachingAssistant", sizeof("TeachingAssistant") - 1};

    if (is_text(name, assistant.text)) {
        name.text = SUB("Instructor", "TeachingAssistant");
        name.length = sizeof(SUB("Instructor", "TeachingAssistant")) - 1;
        return find_uri(name);
    }
    return find_in_segment(&segments[SEGMENT_CONTEXT], name);
}

/* "Instructor#Grader" or "Instructor/Grader", by the separators given; without a separator a context role. */
static int find_context_path(slice_t path, const char *separators)
{
    for (apr_size_t i = 0; i < path.length; i++) {
        if (path.text[i] != '\0' && strchr(separators, path.text[i]) != NULL) {
            slice_t principal = {path.text, i};
            slice_t name = {path.text + i + 1, path.length - i - 1};
            int number = find_in_segment(&segments[SEGMENT_CONTEXT], principal);

            for (int s = 0; number != 0 && s < SEGMENTS; s++) {
                if (segments[s].tier == TIER_SUB && segments[s].principal == number - 1 - FIRST_PRINCIPAL)
                    return find_in_segment(&segments[s], name);
            }
            return 0;
        }
    }
    return find_context_name(path);
}

/* "v2/person#X" once served two tiers; where both have the name, the weaker reading holds (SPEC R-03). */
static int find_old_person(slice_t name)
{
    static const char *const system_names[] = {"SysAdmin", "SysSupport", "Creator", "AccountAdmin", "User"};

    for (apr_size_t i = 0; i < sizeof system_names / sizeof *system_names; i++) {
        if (is_text(name, system_names[i]))
            return find_in_segment(&segments[SEGMENT_SYSTEM], name);
    }
    return find_in_segment(&segments[SEGMENT_INSTITUTION], name);
}

/* What comes after ".../vocab/", in current or older spelling. */
static int find_vocab_tail(slice_t tail)
{
    char uri[sizeof(HTTP_VOCAB) + 128];
    slice_t rest = tail;

    if (CUT(&rest, "lis/v2/person#"))
        return find_old_person(rest);
    if (CUT(&rest, "lis/v2/membership#"))
        return find_context_name(rest);
    if (CUT(&rest, "lis/v2/membership/instructor#"))
        return find_in_segment(&segments[SEGMENT_FIRST_SUB + INSTRUCTOR], rest);
    if (tail.length > 128)
        return 0;
    memcpy(uri, HTTP_VOCAB, sizeof(HTTP_VOCAB) - 1);
    memcpy(uri + sizeof(HTTP_VOCAB) - 1, tail.text, tail.length);
    return find_uri((slice_t){uri, sizeof(HTTP_VOCAB) - 1 + tail.length});
}

static int find_alias(slice_t role)
{
    slice_t rest = role;

    if (CUT(&rest, HTTPS_VOCAB) || CUT(&rest, HTTP_VOCAB))
        return find_vocab_tail(rest);
    if (CUT(&rest, "urn:lti:")) {
        if (CUT(&rest, "role:ims/lis/"))
            return find_context_path(rest, "/");
        if (CUT(&rest, "instrole:ims/lis/"))
            return find_in_segment(&segments[SEGMENT_INSTITUTION], rest);
        if (CUT(&rest, "sysrole:ims/lis/"))
            return find_in_segment(&segments[SEGMENT_SYSTEM], rest);
        return 0;
    }
    return find_context_path(role, "#/");
}

static int find(slice_t role, unsigned options)
{
    int number = find_uri(role);

    return number != 0 || (options & LTI_ROLE_STRICT) != 0 ? number : find_alias(role);
}

const char *lti_role_canonical(const char *role, unsigned options, int *number)
{
    int found = find((slice_t){role, strlen(role)}, options);

    if (number != NULL)
        *number = found;
    return found != 0 ? vocabulary[found - 1].uri : role;
}

const char *lti_role_uri(int number)
{
    return number >= 1 && number <= VOCABULARY_SIZE ? vocabulary[number - 1].uri : NULL;
}

int lti_role_vocabulary_size(void)
{
    return VOCABULARY_SIZE;
}

/* What a list adds up to while it is read. */
typedef struct ranking_t {
    unsigned flags;
    int has_plain[PRINCIPALS];
    int has_sub[PRINCIPALS];
    lti_role_t sub[PRINCIPALS]; /* highest of the sub-roles of a principal */
    int has_context;
    int has_unknown_context;
    int is_system_administrator;
    int is_institution_administrator;
    lti_role_t institution; /* highest of the other institution roles */
} ranking_t;

static lti_role_t higher(lti_role_t a, lti_role_t b)
{
    return a > b ? a : b;
}

static void rank_context(ranking_t *ranking, const segment_t *segment, int index)
{
    int principal = segment->tier == TIER_SUB ? segment->principal : index - FIRST_PRINCIPAL;

    ranking->has_context = 1;
    if (segment->tier == TIER_SUB) {
        ranking->has_sub[principal] = 1;
        ranking->sub[principal] = higher(ranking->sub[principal], vocabulary[index].role);
    } else {
        ranking->has_plain[principal] = 1;
    }
    if (principal == MENTOR)
        ranking->flags |= LTI_ROLE_FLAG_MENTOR;
}

static void rank_one(ranking_t *ranking, slice_t role)
{
    int index = find_uri(role) - 1;
    const segment_t *segment = segments;

    if (index < 0) {
        ranking->flags |= LTI_ROLE_FLAG_UNKNOWN;
        ranking->has_unknown_context |= CUT(&role, MEMBERSHIP);
        return;
    }
    while (index >= segment->first + segment->count)
        segment++;
    switch (segment->tier) {
    case TIER_SYSTEM:
        ranking->is_system_administrator |= vocabulary[index].role == LTI_ROLE_ADMINISTRATOR;
        break;
    case TIER_INSTITUTION:
        if (vocabulary[index].role == LTI_ROLE_ADMINISTRATOR)
            ranking->is_institution_administrator = 1;
        else
            ranking->institution = higher(ranking->institution, vocabulary[index].role);
        break;
    case TIER_CONTEXT:
    case TIER_SUB:
        rank_context(ranking, segment, index);
        break;
    case TIER_MARKER:
        ranking->flags |= LTI_ROLE_FLAG_TEST_USER;
        break;
    }
}

static lti_role_t rank_result(const ranking_t *ranking)
{
    lti_role_t role = LTI_ROLE_NONE;

    if (ranking->is_system_administrator)
        return LTI_ROLE_ADMINISTRATOR;
    if (!ranking->has_context && ranking->is_institution_administrator) {
        /* Who holds a course role, be it one that nobody knows, is not raised by what they are elsewhere (SPEC 4.9 step 4). */
        return ranking->has_unknown_context ? higher(ranking->institution, LTI_ROLE_GUEST) : LTI_ROLE_ADMINISTRATOR;
    }
    if (!ranking->has_context)
        return ranking->institution;
    for (int i = 0; i < PRINCIPALS; i++) {
        if (ranking->has_sub[i])
            role = higher(role, ranking->sub[i]);
        else if (ranking->has_plain[i])
            role = higher(role, vocabulary[FIRST_PRINCIPAL + i].role);
    }
    return role;
}

lti_role_t lti_role_primary(const char *roles, unsigned *flags)
{
    ranking_t ranking = {.flags = 0};

    while (*roles != '\0') {
        apr_size_t length = strcspn(roles, " ");
        if (length > 0)
            rank_one(&ranking, (slice_t){roles, length});
        roles += length;
        while (*roles == ' ')
            roles++;
    }
    if (flags != NULL)
        *flags = ranking.flags;
    return rank_result(&ranking);
}

/* White space and control characters (C1 too, in UTF-8) would break the joined text and whatever it is written into. */
static int is_storable(const char *role)
{
    const unsigned char *c = (const unsigned char *)role;
    apr_size_t length = 0;

    for (; c[length] != '\0'; length++) {
        if (c[length] <= 0x20 || c[length] == 0x7f || length >= LTI_ROLE_TEXT_MAX)
            return 0;
        if (c[length] == 0xc2 && c[length + 1] >= 0x80 && c[length + 1] <= 0xa0)
            return 0;
    }
    return length > 0;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *lti_role_join(const apr_array_header_t *roles, unsigned options, apr_pool_t *p)
{
    const char *texts[LTI_ROLES_MAX];
    int count = 0;
    int is_known = 0;
    apr_size_t size = 0;
    char *joined, *end;

    for (int i = 0; roles != NULL && i < roles->nelts && i < LTI_ROLES_MAX; i++) {
        const char *role = APR_ARRAY_IDX(roles, i, const char *);
        if (role != NULL && is_storable(role))
            texts[count++] = lti_role_canonical(role, options, &is_known);
    }
    if (count == 0)
        return "";
    if (count == 1)
        return is_known ? texts[0] : apr_pstrdup(p, texts[0]);
    qsort(texts, (apr_size_t)count, sizeof *texts, compare_texts);
    for (int i = 0; i < count; i++)
        size += strlen(texts[i]) + 1;
    end = joined = apr_palloc(p, size);
    for (int i = 0; i < count; i++) {
        apr_size_t length = strlen(texts[i]);
        if (i > 0 && strcmp(texts[i], texts[i - 1]) == 0)
            continue;
        if (end != joined)
            *end++ = ' ';
        memcpy(end, texts[i], length);
        end += length;
    }
    *end = '\0';
    return joined;
}

static const char *const words[] = {
    [LTI_ROLE_NONE] = "none",
    [LTI_ROLE_GUEST] = "guest",
    [LTI_ROLE_MEMBER] = "member",
    [LTI_ROLE_LEARNER] = "learner",
    [LTI_ROLE_MENTOR] = "mentor",
    [LTI_ROLE_OBSERVER] = "observer",
    [LTI_ROLE_MANAGER] = "manager",
    [LTI_ROLE_CONTENT_DEVELOPER] = "content-developer",
    [LTI_ROLE_TEACHING_ASSISTANT] = "teaching-assistant",
    [LTI_ROLE_INSTRUCTOR] = "instructor",
    [LTI_ROLE_ADMINISTRATOR] = "administrator",
};

#define WORDS (sizeof words / sizeof *words)

const char *lti_role_word(lti_role_t role)
{
    return (unsigned)role < WORDS ? words[role] : words[LTI_ROLE_NONE];
}

int lti_role_by_word(const char *word, lti_role_t *role)
{
    for (unsigned i = 0; i < WORDS; i++) {
        if (strcmp(word, words[i]) == 0) {
            *role = (lti_role_t)i;
            return 1;
        }
    }
    return 0;
}

int lti_role_is_staff(lti_role_t role)
{
    return role == LTI_ROLE_ADMINISTRATOR || role == LTI_ROLE_INSTRUCTOR || role == LTI_ROLE_TEACHING_ASSISTANT ||
           role == LTI_ROLE_CONTENT_DEVELOPER;
}
