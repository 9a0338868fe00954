/* SPDX-License-Identifier: Apache-2.0 */
/* Roles: the vocabulary and its numbers, the aliases, what is refused, and the primary role of the lists that platforms send. */
#include "test.h"
#include "lti_role.h"

#define LIS "http://purl.imsglobal.org/vocab/lis/v2/"
#define C(name) LIS "membership#" name
#define SUB(principal, name) LIS "membership/" principal "#" name
#define I(name) LIS "institution/person#" name
#define S(name) LIS "system/person#" name
#define TEST_USER "http://purl.imsglobal.org/vocab/lti/system/person#TestUser"

/* Numbers stand in session cookies: whoever moves one breaks sessions across an upgrade. */
static void numbers_are_stable(void **state)
{
    static const struct {
        int number;
        const char *uri;
    } rows[] = {
        {1, S("AccountAdmin")},
        {7, S("User")},
        {8, I("Administrator")},
        {21, I("Student")},
        {22, C("Administrator")},
        {24, C("Instructor")},
        {25, C("Learner")},
        {29, C("Officer")},
        {30, SUB("Administrator", "Administrator")},
        {36, SUB("Administrator", "SystemAdministrator")},
        {40, SUB("ContentDeveloper", "Librarian")},
        {41, SUB("Instructor", "ExternalInstructor")},
        {47, SUB("Instructor", "TeachingAssistant")},
        {52, SUB("Instructor", "TeachingAssistantTemplate")},
        {57, SUB("Learner", "NonCreditLearner")},
        {62, SUB("Manager", "Observer")},
        {63, SUB("Member", "Member")},
        {75, SUB("Mentor", "Tutor")},
        {80, SUB("Officer", "Vice-Chair")},
        {81, TEST_USER},
    };

    (void)state;
    assert_int_equal(lti_role_vocabulary_size(), 81);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(lti_role_uri(rows[i].number), rows[i].uri);
    assert_null(lti_role_uri(0));
    assert_null(lti_role_uri(-1));
    assert_null(lti_role_uri(82));
}

static void every_uri_finds_its_own_number(void **state)
{
    apr_pool_t *p = *state;

    for (int i = 1; i <= lti_role_vocabulary_size(); i++) {
        int number = 0;
        const char *copy = apr_pstrdup(p, lti_role_uri(i));
        assert_ptr_equal(lti_role_canonical(copy, LTI_ROLE_STRICT, &number), lti_role_uri(i));
        assert_int_equal(number, i);
        /* SPEC R-02: https for http, unless strict. */
        copy = apr_pstrcat(p, "https", lti_role_uri(i) + 4, NULL);
        assert_ptr_equal(lti_role_canonical(copy, 0, &number), lti_role_uri(i));
        assert_ptr_equal(lti_role_canonical(copy, LTI_ROLE_STRICT, &number), copy);
        assert_int_equal(number, 0);
        /* Neither shorter nor longer texts match. */
        copy = apr_pstrmemdup(p, lti_role_uri(i), strlen(lti_role_uri(i)) - 1);
        lti_role_canonical(copy, LTI_ROLE_STRICT, &number);
        assert_int_equal(number, 0);
        copy = apr_pstrcat(p, lti_role_uri(i), "x", NULL);
        lti_role_canonical(copy, 0, &number);
        assert_int_equal(number, 0);
    }
}

static void aliases_lead_to_the_current_uri(void **state) /* SPEC R-02 to R-04 */
{
    static const struct {
        const char *alias;
        const char *uri;
    } rows[] = {
        {"Instructor", C("Instructor")},
        {"Learner", C("Learner")},
        {"Administrator", C("Administrator")},
        {"Officer", C("Officer")},
        {"Instructor#TeachingAssistant", SUB("Instructor", "TeachingAssistant")},
        {"Instructor/TeachingAssistant", SUB("Instructor", "TeachingAssistant")},
        {"Learner/Instructor", SUB("Learner", "Instructor")},
        {"TeachingAssistant", SUB("Instructor", "TeachingAssistant")},
        {C("TeachingAssistant"), SUB("Instructor", "TeachingAssistant")},
        {LIS "membership/instructor#TeachingAssistant", SUB("Instructor", "TeachingAssistant")},
        {"https://purl.imsglobal.org/vocab/lis/v2/membership/instructor#Grader", SUB("Instructor", "Grader")},
        {"urn:lti:role:ims/lis/Instructor", C("Instructor")},
        {"urn:lti:role:ims/lis/TeachingAssistant", SUB("Instructor", "TeachingAssistant")},
        {"urn:lti:role:ims/lis/Mentor/Tutor", SUB("Mentor", "Tutor")},
        {"urn:lti:role:ims/lis/Officer/Vice-Chair", SUB("Officer", "Vice-Chair")},
        {"urn:lti:instrole:ims/lis/Student", I("Student")},
        {"urn:lti:instrole:ims/lis/Administrator", I("Administrator")},
        {"urn:lti:sysrole:ims/lis/SysAdmin", S("SysAdmin")},
        {"urn:lti:sysrole:ims/lis/Administrator", S("Administrator")},
        {LIS "person#SysAdmin", S("SysAdmin")},
        {LIS "person#User", S("User")},
        {LIS "person#AccountAdmin", S("AccountAdmin")},
        {LIS "person#Administrator", I("Administrator")},
        {LIS "person#None", I("None")},
        {LIS "person#Student", I("Student")},
        {"https://purl.imsglobal.org/vocab/lis/v2/person#Administrator", I("Administrator")}, /* Moodle's roster */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int number = 0;
        assert_string_equal(lti_role_canonical(rows[i].alias, 0, &number), rows[i].uri);
        assert_string_equal(lti_role_uri(number), rows[i].uri);
        assert_ptr_equal(lti_role_canonical(rows[i].alias, LTI_ROLE_STRICT, &number), rows[i].alias);
        assert_int_equal(number, 0);
    }
}

static void everything_else_is_unknown_and_kept_as_it_is(void **state) /* SPEC R-01, R-05, R-06 */
{
    static const char *const rows[] = {
        "",
        "#",
        "/",
        "Student",
        "Faculty",
        "Staff",
        "Guest",
        "instructor",
        "INSTRUCTOR",
        " Instructor",
        "Instructor ",
        "Instructor#",
        "#Instructor",
        "Instructor#TeachingAssistant#",
        "Instructor/Tutor",
        "Nobody/Instructor",
        "Instructor%20",
        "NotInstructor",
        C("Instructor") "#",
        C("Instructor%20"),
        C(""),
        C("Student"),
        LIS "membership/Instructor#",
        LIS "membership/Learner#TeachingAssistant",
        LIS "membership/mentor#Tutor",
        LIS "person#",
        LIS "person#Teacher",
        LIS "institution/person#SysAdmin",
        "http://purl.imsglobal.org/vocab/lis/V2/membership#Instructor",
        "http://purl.imsglobal.org.evil.example/vocab/lis/v2/membership#Instructor",
        "HTTP://purl.imsglobal.org/vocab/lis/v2/membership#Instructor",
        "urn:lti:role:ims/lis/",
        "urn:lti:role:ims/lis/Instructor/",
        "urn:lti:role:ims/lis/Student",
        "urn:lti:sysrole:ims/lis/Student",
        "urn:lti:otherrole:ims/lis/Instructor",
        "https://vendor.example/roles#Instructor",
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int number = -1;
        assert_ptr_equal(lti_role_canonical(rows[i], 0, &number), rows[i]);
        assert_int_equal(number, 0);
    }
}

typedef struct primary_row_t {
    const char *roles;
    lti_role_t role;
    unsigned flags;
} primary_row_t;

#define UNKNOWN LTI_ROLE_FLAG_UNKNOWN
#define MENTOR LTI_ROLE_FLAG_MENTOR

static const primary_row_t primary_rows[] = {
    {"", LTI_ROLE_NONE, 0},
    {C("Instructor"), LTI_ROLE_INSTRUCTOR, 0},
    {C("Learner"), LTI_ROLE_LEARNER, 0},
    {C("Administrator"), LTI_ROLE_ADMINISTRATOR, 0},
    {C("ContentDeveloper"), LTI_ROLE_CONTENT_DEVELOPER, 0},
    {C("Manager"), LTI_ROLE_MANAGER, 0},
    {C("Mentor"), LTI_ROLE_MENTOR, MENTOR},
    {C("Member"), LTI_ROLE_MEMBER, 0},
    {C("Officer"), LTI_ROLE_MEMBER, 0},
    /* What platforms send (SPEC 4.7). */
    {C("Instructor") " " I("Instructor") " " S("User"), LTI_ROLE_INSTRUCTOR, 0},
    {SUB("Instructor", "TeachingAssistant") " " C("Instructor"), LTI_ROLE_TEACHING_ASSISTANT, 0},
    {C("Learner") " " TEST_USER, LTI_ROLE_LEARNER, LTI_ROLE_FLAG_TEST_USER},
    {I("Administrator") " " S("SysAdmin"), LTI_ROLE_ADMINISTRATOR, 0},
    {C("Learner") " " I("Instructor"), LTI_ROLE_LEARNER, 0},
    {C("Member") " " C("Manager"), LTI_ROLE_MANAGER, 0},
    {S("None"), LTI_ROLE_NONE, 0},
    {S("User"), LTI_ROLE_NONE, 0},
    {I("Administrator") " " C("Instructor") " " S("Administrator"), LTI_ROLE_ADMINISTRATOR, 0},
    {C("Instructor") " " C("Administrator") " " S("Administrator") " " I("Staff"), LTI_ROLE_ADMINISTRATOR, 0},
    /* Sub-roles replace their principal (SPEC 4.9 step 1, R-07). */
    {SUB("Instructor", "TeachingAssistant"), LTI_ROLE_TEACHING_ASSISTANT, 0},
    {C("Instructor") " " SUB("Instructor", "PrimaryInstructor") " " SUB("Instructor", "TeachingAssistant"), LTI_ROLE_INSTRUCTOR, 0},
    {C("Manager") " " SUB("Manager", "Observer"), LTI_ROLE_OBSERVER, 0},
    {SUB("Manager", "ExternalObserver"), LTI_ROLE_OBSERVER, 0},
    {SUB("Manager", "AreaManager") " " SUB("Manager", "Observer"), LTI_ROLE_MANAGER, 0},
    {C("Administrator") " " SUB("Administrator", "Support"), LTI_ROLE_MANAGER, 0},
    {SUB("Administrator", "ExternalSupport"), LTI_ROLE_MANAGER, 0},
    {SUB("Administrator", "Developer"), LTI_ROLE_CONTENT_DEVELOPER, 0},
    {SUB("Administrator", "ExternalSystemAdministrator"), LTI_ROLE_ADMINISTRATOR, 0},
    {SUB("Instructor", "Grader"), LTI_ROLE_TEACHING_ASSISTANT, 0},
    {SUB("Instructor", "Lecturer"), LTI_ROLE_INSTRUCTOR, 0},
    {SUB("Instructor", "TeachingAssistantSectionAssociation"), LTI_ROLE_TEACHING_ASSISTANT, 0},
    {SUB("ContentDeveloper", "Librarian"), LTI_ROLE_CONTENT_DEVELOPER, 0},
    {SUB("Learner", "Instructor"), LTI_ROLE_LEARNER, 0}, /* a learner who instructs, not a teacher */
    {SUB("Learner", "GuestLearner"), LTI_ROLE_LEARNER, 0},
    {SUB("Mentor", "Tutor"), LTI_ROLE_MENTOR, MENTOR},
    {SUB("Officer", "Chair"), LTI_ROLE_MEMBER, 0},
    {C("Learner") " " SUB("Instructor", "TeachingAssistant"), LTI_ROLE_TEACHING_ASSISTANT, 0},
    {C("Learner") " " C("Mentor"), LTI_ROLE_MENTOR, MENTOR},
    /* System roles (step 3). */
    {S("Administrator"), LTI_ROLE_ADMINISTRATOR, 0},
    {S("AccountAdmin") " " C("Learner"), LTI_ROLE_ADMINISTRATOR, 0},
    {S("SysSupport") " " S("Creator"), LTI_ROLE_NONE, 0},
    /* Institution roles (steps 4, 5). */
    {I("Administrator"), LTI_ROLE_ADMINISTRATOR, 0},
    {I("Administrator") " " C("Learner"), LTI_ROLE_LEARNER, 0},
    {I("Administrator") " " C("Instructor"), LTI_ROLE_INSTRUCTOR, 0},
    {I("Administrator") " " C("Nobody"), LTI_ROLE_GUEST, UNKNOWN},
    {I("Instructor"), LTI_ROLE_GUEST, 0},
    {I("Faculty") " " I("Staff"), LTI_ROLE_GUEST, 0},
    {I("Student"), LTI_ROLE_LEARNER, 0},
    {I("Learner") " " I("Staff"), LTI_ROLE_LEARNER, 0},
    {I("Mentor"), LTI_ROLE_MENTOR, 0},
    {I("Observer"), LTI_ROLE_OBSERVER, 0},
    {I("Member"), LTI_ROLE_MEMBER, 0},
    {I("Guest"), LTI_ROLE_GUEST, 0},
    {I("Alumni") " " I("Other") " " I("ProspectiveStudent"), LTI_ROLE_GUEST, 0},
    {I("None"), LTI_ROLE_NONE, 0},
    {I("Student") " " C("Officer"), LTI_ROLE_MEMBER, 0},
    /* Unknown roles give nothing (R-01). */
    {"https://vendor.example/roles#Instructor", LTI_ROLE_NONE, UNKNOWN},
    {"https://vendor.example/x " C("Learner"), LTI_ROLE_LEARNER, UNKNOWN},
    {"Instructor", LTI_ROLE_NONE, UNKNOWN}, /* the list is canonical already: an alias in it was refused before */
    {TEST_USER, LTI_ROLE_NONE, LTI_ROLE_FLAG_TEST_USER},
};

static void one_primary_role_by_rank(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof primary_rows / sizeof *primary_rows; i++) {
        unsigned flags = 99;
        lti_role_t role = lti_role_primary(primary_rows[i].roles, &flags);
        if (role != primary_rows[i].role || flags != primary_rows[i].flags)
            fail_msg("%s: %s, flags %x", primary_rows[i].roles, lti_role_word(role), flags);
        assert_int_equal(lti_role_primary(primary_rows[i].roles, NULL), role);
    }
}

/* Each of the 51 sub-roles by itself, and beside its principal: it counts for what it is (SPEC 4.5, R-07, 4.9 step 1). */
static void every_sub_role_has_its_rank(void **state)
{
    static const struct {
        const char *principal, *subs;
        lti_role_t role;
    } rows[] = {
        {"Administrator", "Administrator ExternalSystemAdministrator SystemAdministrator", LTI_ROLE_ADMINISTRATOR},
        {"Administrator", "Developer ExternalDeveloper", LTI_ROLE_CONTENT_DEVELOPER},
        {"Administrator", "Support ExternalSupport", LTI_ROLE_MANAGER},
        {"ContentDeveloper", "ContentDeveloper ContentExpert ExternalContentExpert Librarian", LTI_ROLE_CONTENT_DEVELOPER},
        {"Instructor", "ExternalInstructor GuestInstructor Lecturer PrimaryInstructor SecondaryInstructor", LTI_ROLE_INSTRUCTOR},
        {"Instructor",
         "Grader TeachingAssistant TeachingAssistantGroup TeachingAssistantOffering TeachingAssistantSection "
         "TeachingAssistantSectionAssociation TeachingAssistantTemplate",
         LTI_ROLE_TEACHING_ASSISTANT},
        {"Learner", "ExternalLearner GuestLearner Instructor Learner NonCreditLearner", LTI_ROLE_LEARNER},
        {"Manager", "AreaManager CourseCoordinator Manager", LTI_ROLE_MANAGER},
        {"Manager", "Observer ExternalObserver", LTI_ROLE_OBSERVER},
        {"Member", "Member", LTI_ROLE_MEMBER},
        {"Mentor",
         "Advisor Auditor ExternalAdvisor ExternalAuditor ExternalLearningFacilitator ExternalMentor ExternalReviewer "
         "ExternalTutor "
         "LearningFacilitator Mentor Reviewer Tutor",
         LTI_ROLE_MENTOR},
        {"Officer", "Chair Communications Secretary Treasurer Vice-Chair", LTI_ROLE_MEMBER},
    };
    apr_pool_t *p = *state;
    int count = 0;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *rest = apr_pstrdup(p, rows[i].subs), *sub;

        while ((sub = apr_strtok(rest, " ", &rest)) != NULL) {
            const char *uri = apr_pstrcat(p, LIS "membership/", rows[i].principal, "#", sub, NULL);
            const char *beside = apr_pstrcat(p, LIS "membership#", rows[i].principal, " ", uri, NULL);
            const char *short_form = apr_pstrcat(p, rows[i].principal, "#", sub, NULL);
            int number = 0;

            count++;
            if (lti_role_primary(uri, NULL) != rows[i].role || lti_role_primary(beside, NULL) != rows[i].role)
                fail_msg("%s: %s", uri, lti_role_word(lti_role_primary(uri, NULL)));
            assert_string_equal(lti_role_canonical(short_form, 0, &number), uri);
            assert_int_not_equal(number, 0);
        }
    }
    assert_int_equal(count, 51);
}

static apr_array_header_t *list(apr_pool_t *p, const char *const *roles)
{
    apr_array_header_t *array = apr_array_make(p, 4, sizeof(const char *));
    for (; *roles != NULL; roles++)
        APR_ARRAY_PUSH(array, const char *) = *roles;
    return array;
}

/* Lists letter by letter as they were seen, through all that happens to a launch's or a roster's list (SPEC 4.7). */
static void what_platforms_send(void **state)
{
    static const struct {
        const char *who;
        const char *roles[5];
        lti_role_t role, strict;
        unsigned flags, strict_flags;
    } rows[] = {
        {"Canvas teacher", {C("Instructor"), I("Instructor"), S("User")}, LTI_ROLE_INSTRUCTOR, LTI_ROLE_INSTRUCTOR, 0, 0},
        {"Canvas TA",
         {SUB("Instructor", "TeachingAssistant"), C("Instructor")},
         LTI_ROLE_TEACHING_ASSISTANT,
         LTI_ROLE_TEACHING_ASSISTANT,
         0,
         0},
        {"Canvas Student View",
         {C("Learner"), TEST_USER},
         LTI_ROLE_LEARNER,
         LTI_ROLE_LEARNER,
         LTI_ROLE_FLAG_TEST_USER,
         LTI_ROLE_FLAG_TEST_USER},
        {"Canvas observer", {C("Mentor")}, LTI_ROLE_MENTOR, LTI_ROLE_MENTOR, MENTOR, MENTOR},
        {"Canvas designer", {C("ContentDeveloper")}, LTI_ROLE_CONTENT_DEVELOPER, LTI_ROLE_CONTENT_DEVELOPER, 0, 0},
        {"Canvas site administrator", {I("Administrator"), S("SysAdmin")}, LTI_ROLE_ADMINISTRATOR, LTI_ROLE_ADMINISTRATOR, 0, 0},
        {"Canvas account administrator in a course",
         {I("Administrator"), C("Instructor")},
         LTI_ROLE_INSTRUCTOR,
         LTI_ROLE_INSTRUCTOR,
         0,
         0},
        {"Canvas group member", {C("Member")}, LTI_ROLE_MEMBER, LTI_ROLE_MEMBER, 0, 0},
        {"Canvas group leader", {C("Member"), C("Manager")}, LTI_ROLE_MANAGER, LTI_ROLE_MANAGER, 0, 0},
        {"Canvas, none of these", {S("None")}, LTI_ROLE_NONE, LTI_ROLE_NONE, 0, 0},
        {"Canvas learner who teaches elsewhere",
         {C("Learner"), I("Instructor"), S("User")},
         LTI_ROLE_LEARNER,
         LTI_ROLE_LEARNER,
         0,
         0},
        {"Moodle site administrator",
         {C("Instructor"), S("Administrator"), I("Administrator")},
         LTI_ROLE_ADMINISTRATOR,
         LTI_ROLE_ADMINISTRATOR,
         0,
         0},
        {"Moodle roster, teacher", {"Instructor"}, LTI_ROLE_INSTRUCTOR, LTI_ROLE_NONE, 0, UNKNOWN},
        {"Moodle roster, student", {"Learner"}, LTI_ROLE_LEARNER, LTI_ROLE_NONE, 0, UNKNOWN},
        {"Moodle roster, teacher who is site administrator",
         {"Instructor", LIS "person#Administrator"}, /* R-03: the weaker reading, no rank beside a course role */
         LTI_ROLE_INSTRUCTOR,
         LTI_ROLE_NONE,
         0,
         UNKNOWN},
        {"Blackboard administrator",
         {C("Instructor"), C("Administrator"), S("Administrator"), I("Staff")},
         LTI_ROLE_ADMINISTRATOR,
         LTI_ROLE_ADMINISTRATOR,
         0,
         0},
        {"old maps, TA", {LIS "membership/instructor#TeachingAssistant"}, LTI_ROLE_TEACHING_ASSISTANT, LTI_ROLE_NONE, 0, UNKNOWN},
        {"a launch of LTI 1.1's words",
         {"urn:lti:role:ims/lis/Learner", "urn:lti:instrole:ims/lis/Student"},
         LTI_ROLE_LEARNER,
         LTI_ROLE_NONE,
         0,
         UNKNOWN},
        {"no roles", {NULL}, LTI_ROLE_NONE, LTI_ROLE_NONE, 0, 0},
    };
    apr_pool_t *p = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned flags, strict_flags;
        lti_role_t role = lti_role_primary(lti_role_join(list(p, rows[i].roles), 0, p), &flags);
        lti_role_t strict = lti_role_primary(lti_role_join(list(p, rows[i].roles), LTI_ROLE_STRICT, p), &strict_flags);

        if (role != rows[i].role || flags != rows[i].flags || strict != rows[i].strict || strict_flags != rows[i].strict_flags)
            fail_msg("%s: %s (%x), strictly %s (%x)", rows[i].who, lti_role_word(role), flags, lti_role_word(strict), strict_flags);
    }
}

static void join_sorts_and_removes_duplicates(void **state)
{
    apr_pool_t *p = *state;
    const char *const roles[] = {"Learner", C("Instructor"), "https://v.example/r", C("Learner"), "Instructor", NULL};
    const char *const one[] = {"Learner", NULL};
    const char *const own[] = {"https://v.example/r", NULL};

    assert_string_equal(lti_role_join(list(p, roles), 0, p), C("Instructor") " " C("Learner") " https://v.example/r");
    assert_string_equal(lti_role_join(list(p, roles), LTI_ROLE_STRICT, p),
                        "Instructor Learner " C("Instructor") " " C("Learner") " https://v.example/r");
    assert_string_equal(lti_role_join(list(p, one), 0, p), C("Learner"));
    assert_string_equal(lti_role_join(list(p, own), 0, p), own[0]);
    assert_ptr_not_equal(lti_role_join(list(p, own), 0, p), own[0]);
    assert_string_equal(lti_role_join(NULL, 0, p), "");
    assert_string_equal(lti_role_join(apr_array_make(p, 1, sizeof(const char *)), 0, p), "");
}

static void join_leaves_out_what_could_break_the_text(void **state)
{
    apr_pool_t *p = *state;
    char *longest = apr_pcalloc(p, LTI_ROLE_TEXT_MAX + 2);
    const char *const roles[] = {"a b", "a\tb", "a\nb", "a\x7f", "a\xc2\x85z", "a\xc2\xa0z", "", " Learner", "gr\xc3\xbc\xc3\x9f",
                                 NULL};
    const char *const over[] = {longest, NULL};

    assert_string_equal(lti_role_join(list(p, roles), 0, p), "gr\xc3\xbc\xc3\x9f");
    memset(longest, 'x', LTI_ROLE_TEXT_MAX);
    assert_int_equal(strlen(lti_role_join(list(p, over), 0, p)), LTI_ROLE_TEXT_MAX);
    longest[LTI_ROLE_TEXT_MAX] = 'x';
    assert_string_equal(lti_role_join(list(p, over), 0, p), "");
}

static void join_takes_no_more_than_the_limit(void **state) /* SPEC K-12 */
{
    apr_pool_t *p = *state;
    apr_array_header_t *array = apr_array_make(p, 5000, sizeof(const char *));
    const char *joined;
    int blanks = 0;

    for (int i = 0; i < 5000; i++)
        APR_ARRAY_PUSH(array, const char *) = apr_psprintf(p, "r%d", i);
    joined = lti_role_join(array, 0, p);
    for (const char *c = joined; *c != '\0'; c++)
        blanks += *c == ' ';
    assert_int_equal(blanks, LTI_ROLES_MAX - 1);
}

static void words_and_staff(void **state)
{
    static const char *const words[] = {"none",
                                        "guest",
                                        "member",
                                        "learner",
                                        "mentor",
                                        "observer",
                                        "manager",
                                        "content-developer",
                                        "teaching-assistant",
                                        "instructor",
                                        "administrator"};
    lti_role_t role = LTI_ROLE_NONE;

    (void)state;
    for (int i = 0; i < (int)(sizeof words / sizeof *words); i++) {
        assert_string_equal(lti_role_word((lti_role_t)i), words[i]);
        assert_int_equal(lti_role_by_word(words[i], &role), 1);
        assert_int_equal(role, i);
        assert_int_equal(lti_role_is_staff((lti_role_t)i), i >= LTI_ROLE_CONTENT_DEVELOPER);
    }
    assert_int_equal(lti_role_by_word("teacher", &role), 0);
    assert_int_equal(lti_role_by_word("", &role), 0);
    assert_int_equal(lti_role_by_word("Instructor", &role), 0);
    assert_string_equal(lti_role_word((lti_role_t)99), "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(numbers_are_stable),
        POOL_TEST(every_uri_finds_its_own_number),
        POOL_TEST(aliases_lead_to_the_current_uri),
        POOL_TEST(everything_else_is_unknown_and_kept_as_it_is),
        POOL_TEST(one_primary_role_by_rank),
        POOL_TEST(every_sub_role_has_its_rank),
        POOL_TEST(what_platforms_send),
        POOL_TEST(join_sorts_and_removes_duplicates),
        POOL_TEST(join_leaves_out_what_could_break_the_text),
        POOL_TEST(join_takes_no_more_than_the_limit),
        POOL_TEST(words_and_staff),
    };
    return cmocka_run_group_tests_name("role", tests, NULL, NULL);
}
