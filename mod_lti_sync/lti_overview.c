/* SPDX-License-Identifier: Apache-2.0 */
/* lti_overview: what the answers are made of; what is wrong first; health. */
#include "lti_overview_parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <apr_strings.h>
#include "lti_json.h"

/* --- pieces ----------------------------------------------------------------------------------------------------------- */

void lti_overview_set(json_t *object, const char *member, const char *text)
{
    json_object_set_new(object, member, text != NULL ? json_string(text) : json_null());
}

void lti_overview_set_age(json_t *object, const char *member, const lti_overview_t *overview, apr_time_t time)
{
    apr_int64_t age = apr_time_sec(overview->now - time);

    json_object_set_new(object, member, time > 0 ? json_integer(age > 0 ? age : 0) : json_null());
}

static lti_overview_platform_t *find_platform(const lti_overview_answer_t *answer, const char *name)
{
    int i;

    for (i = 0; i < answer->platforms->nelts; i++) {
        lti_overview_platform_t *platform = &APR_ARRAY_IDX(answer->platforms, i, lti_overview_platform_t);

        if (strcmp(platform->platform->name, name) == 0)
            return platform;
    }
    return NULL;
}

const apr_array_header_t *lti_overview_shown(const lti_overview_t *overview, apr_pool_t *p)
{
    apr_array_header_t *names = apr_array_make(p, overview->platforms->nelts, sizeof(const char *));
    int i;

    for (i = 0; i < overview->platforms->nelts; i++)
        APR_ARRAY_PUSH(names, const char *) = APR_ARRAY_IDX(overview->platforms, i, const lti_platform_t *)->name;
    return names;
}

const lti_overview_platform_t *lti_overview_platform_of(const lti_overview_answer_t *answer, const char *name)
{
    return find_platform(answer, name);
}

static apr_status_t take_pause(void *baton, const char *name, apr_time_t until, const char *error_name, const char *error_text)
{
    lti_overview_platform_t *platform = find_platform(baton, name);

    (void)error_name;
    (void)error_text;
    if (platform != NULL)
        platform->paused_until = until;
    return APR_SUCCESS;
}

static void take_waiting(void *baton, const char *name, apr_int64_t count)
{
    lti_overview_platform_t *platform = find_platform(baton, name);

    if (platform != NULL)
        platform->deployments_waiting = (int)count;
}

apr_status_t lti_overview_begin(lti_overview_answer_t *answer, const lti_overview_t *overview, apr_pool_t *p, lti_err_t *err)
{
    apr_status_t rv = APR_SUCCESS;
    int i;

    answer->overview = overview;
    answer->pool = p;
    answer->platforms = apr_array_make(p, overview->platforms->nelts, sizeof(lti_overview_platform_t));
    for (i = 0; i < overview->platforms->nelts && rv == APR_SUCCESS; i++) {
        lti_overview_platform_t *platform = apr_array_push(answer->platforms);

        memset(platform, 0, sizeof(*platform));
        platform->platform = APR_ARRAY_IDX(overview->platforms, i, const lti_platform_t *);
        rv = lti_db_platform_read(&platform->facts, overview->db, platform->platform->name, p, err);
    }
    if (rv == APR_SUCCESS)
        rv = lti_db_pauses_each(overview->db, overview->now, take_pause, answer, p, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_waiting_each(overview->db, take_waiting, answer, p, err);
    return rv == APR_SUCCESS ? lti_db_old_launches(&answer->old, overview->db, p, err) : rv;
}

int lti_overview_old_is_of(const lti_overview_answer_t *answer, const lti_db_old_launch_t *launch, const lti_platform_t *platform)
{
    if (answer->platforms->nelts == 1 || launch->product == NULL)
        return answer->platforms->nelts == 1;
    return platform->family != LTI_FAMILY_OTHER && strcasestr(launch->product, lti_family_name(platform->family)) != NULL;
}

/* --- judging ---------------------------------------------------------------------------------------------------------- */

static void add_platform(lti_evidence_t *evidence, const lti_overview_platform_t *platform)
{
    evidence->platform = platform->platform;
    evidence->paused_until = platform->paused_until;
    evidence->clock_offset = platform->facts.clock_offset;
    evidence->clock_known = platform->facts.clock_at != 0;
}

void lti_overview_judge_course(lti_diagnosis_t *diagnosis, const lti_overview_answer_t *answer, const lti_db_standing_t *standing)
{
    const lti_overview_platform_t *platform = lti_overview_platform_of(answer, standing->course.platform);
    lti_evidence_t evidence = {
        .course = &standing->course,
        .now = answer->overview->now,
        .launched_at = standing->course.launched_at,
        .suspect = standing->suspect,
        .held_missing = standing->held_missing,
    };

    if (platform != NULL)
        add_platform(&evidence, platform);
    lti_diagnose(diagnosis, &evidence, answer->pool);
}

void lti_overview_judge_platform(lti_diagnosis_t *diagnosis, const lti_overview_answer_t *answer,
                                 const lti_overview_platform_t *platform)
{
    lti_evidence_t evidence = {.now = answer->overview->now, .launched_at = platform->facts.launched_at};
    int i;

    add_platform(&evidence, platform);
    evidence.token_error_name = platform->facts.error_name;
    evidence.token_error_text = platform->facts.error_text;
    evidence.token_error_at = platform->facts.error_at;
    evidence.deployments_waiting = platform->deployments_waiting;
    for (i = 0; i < answer->old->nelts; i++) {
        const lti_db_old_launch_t *launch = &APR_ARRAY_IDX(answer->old, i, lti_db_old_launch_t);

        if (launch->seen_at > evidence.old_launch_at && lti_overview_old_is_of(answer, launch, platform->platform))
            evidence.old_launch_at = launch->seen_at;
    }
    lti_diagnose(diagnosis, &evidence, answer->pool);
}

json_t *lti_overview_diagnosis(const lti_diagnosis_t *diagnosis, apr_pool_t *p)
{
    json_t *object = json_object(), *steps = json_array();
    char *left = diagnosis->remedy != NULL ? apr_pstrdup(p, diagnosis->remedy) : NULL, *step;

    lti_overview_set(object, "state", lti_diagnosis_word(diagnosis->state));
    json_object_set_new(object, "severity", json_integer(diagnosis->severity));
    lti_overview_set(object, "sentence", diagnosis->sentence);
    lti_overview_set(object, "evidence", diagnosis->evidence);
    for (step = left != NULL ? strtok_r(left, "\n", &left) : NULL; step != NULL; step = strtok_r(NULL, "\n", &left))
        json_array_append_new(steps, json_string(step));
    json_object_set_new(object, "remedy", steps);
    return object;
}

/* --- a course --------------------------------------------------------------------------------------------------------- */

/* NULL: the course's roster is not in shared memory. */
static json_t *roles_object(const lti_snapshot_t *snapshot, const char *course_key)
{
    apr_uint32_t counts[LTI_SNAPSHOT_ROLES];
    json_t *object;
    int role;

    if (snapshot == NULL || !lti_snapshot_roles(counts, snapshot, course_key))
        return json_null();
    object = json_object();
    for (role = LTI_SNAPSHOT_ROLES - 1; role >= 0; role--) {
        if (counts[role] > 0)
            json_object_set_new(object, lti_role_word((lti_role_t)role), json_integer(counts[role]));
    }
    return object;
}

static lti_roster_state_t state_of(const lti_course_t *course, apr_time_t now)
{
    return course->succeeded_at != 0 && course->stale_at != 0 && now >= course->stale_at ? LTI_ROSTER_STALE : course->state;
}

json_t *lti_overview_standing(const lti_overview_answer_t *answer, const lti_db_standing_t *standing)
{
    const lti_overview_t *overview = answer->overview;
    const lti_course_t *course = &standing->course;
    apr_time_t active_at = course->launched_at > course->used_at ? course->launched_at : course->used_at;
    json_t *made = json_object();
    lti_diagnosis_t diagnosis;

    lti_overview_judge_course(&diagnosis, answer, standing);
    lti_overview_set(made, "course", course->key);
    lti_overview_set(made, "platform", course->platform);
    lti_overview_set(made, "label", course->label);
    lti_overview_set(made, "title", course->title);
    lti_overview_set(made, "context_id", course->context_id);
    lti_overview_set(made, "deployment", course->deployment_id);
    lti_overview_set(made, "state", lti_roster_state_word(state_of(course, overview->now)));
    json_object_set_new(made, "active", json_integer(course->active));
    json_object_set_new(made, "roles", roles_object(overview->snapshot, course->key));
    json_object_set_new(made, "version", json_integer(course->version));
    lti_json_set_time(made, "succeeded_at", course->succeeded_at);
    lti_overview_set_age(made, "age", overview, course->succeeded_at);
    lti_json_set_time(made, "due_at", course->nrps_url != NULL ? course->due_at : 0);
    json_object_set_new(made, "due_in",
                        course->nrps_url != NULL ? json_integer(apr_time_sec(course->due_at - overview->now)) : json_null());
    lti_json_set_time(made, "launched_at", course->launched_at);
    json_object_set_new(
        made, "dormant",
        json_boolean(active_at != 0 && overview->dormant_after > 0 && overview->now - active_at > overview->dormant_after));
    json_object_set_new(made, "failures", json_integer(course->failures));
    lti_overview_set(made, "error", course->error_name);
    lti_overview_set(made, "error_text", course->error_text);
    json_object_set_new(made, "diagnosis", lti_overview_diagnosis(&diagnosis, answer->pool));
    return made;
}

/* --- what is wrong ---------------------------------------------------------------------------------------------------- */

/** A thing that is wrong. */
typedef struct problem_t {
    const lti_platform_t *platform;
    const lti_course_t *course; /* NULL: the platform itself */
    lti_diagnosis_t diagnosis;
} problem_t;

/* The worst first; a platform before its courses, which suffer from it; then what was used last. */
static int compare_problems(const void *a, const void *b)
{
    const problem_t *one = a, *other = b;

    if (one->diagnosis.severity != other->diagnosis.severity)
        return one->diagnosis.severity > other->diagnosis.severity ? -1 : 1;
    if ((one->course == NULL) != (other->course == NULL))
        return one->course == NULL ? -1 : 1;
    if (one->course == NULL)
        return strcmp(one->platform->name, other->platform->name);
    if (one->course->launched_at != other->course->launched_at)
        return one->course->launched_at > other->course->launched_at ? -1 : 1;
    return strcmp(one->course->key, other->course->key);
}

static void add_problem(apr_array_header_t *problems, const lti_platform_t *platform, const lti_course_t *course,
                        const lti_diagnosis_t *diagnosis)
{
    if (diagnosis->severity > 0)
        *(problem_t *)apr_array_push(problems) = (problem_t){platform, course, *diagnosis};
}

/* A course may have several troubles; it is judged once. */
static int is_listed(const apr_array_header_t *problems, const char *course_key)
{
    int i;

    for (i = 0; i < problems->nelts; i++) {
        const problem_t *problem = &APR_ARRAY_IDX(problems, i, problem_t);

        if (problem->course != NULL && strcmp(problem->course->key, course_key) == 0)
            return 1;
    }
    return 0;
}

static apr_status_t find_problems(apr_array_header_t **problems, const lti_overview_answer_t *answer, lti_err_t *err)
{
    const apr_array_header_t *shown = lti_overview_shown(answer->overview, answer->pool);
    lti_diagnosis_t diagnosis;
    int i, trouble;

    *problems = apr_array_make(answer->pool, 32, sizeof(problem_t));
    for (i = 0; i < answer->platforms->nelts; i++) {
        const lti_overview_platform_t *platform = &APR_ARRAY_IDX(answer->platforms, i, lti_overview_platform_t);

        lti_overview_judge_platform(&diagnosis, answer, platform);
        add_problem(*problems, platform->platform, NULL, &diagnosis);
    }
    for (trouble = 0; trouble < LTI_DB_TROUBLES; trouble++) {
        apr_array_header_t *standings;
        apr_status_t rv = lti_db_troubled(&standings, answer->overview->db, (lti_db_trouble_t)trouble, shown, answer->overview->now,
                                          LTI_OVERVIEW_PROBLEMS_MAX, answer->pool, err);

        if (rv != APR_SUCCESS)
            return rv;
        for (i = 0; i < standings->nelts; i++) {
            const lti_db_standing_t *standing = &APR_ARRAY_IDX(standings, i, lti_db_standing_t);
            const lti_overview_platform_t *platform = lti_overview_platform_of(answer, standing->course.platform);

            if (platform == NULL || is_listed(*problems, standing->course.key))
                continue;
            lti_overview_judge_course(&diagnosis, answer, standing);
            add_problem(*problems, platform->platform, &standing->course, &diagnosis);
        }
    }
    qsort((*problems)->elts, (size_t)(*problems)->nelts, sizeof(problem_t), compare_problems);
    return APR_SUCCESS;
}

apr_status_t lti_overview_problems(json_t **problems, const lti_overview_t *overview, apr_pool_t *p, lti_err_t *err)
{
    lti_overview_answer_t answer;
    apr_array_header_t *found = NULL;
    apr_status_t rv = lti_overview_begin(&answer, overview, p, err);
    int i;

    *problems = lti_json_own(json_array(), p);
    if (rv == APR_SUCCESS)
        rv = find_problems(&found, &answer, err);
    for (i = 0; rv == APR_SUCCESS && i < found->nelts && i < LTI_OVERVIEW_PROBLEMS_MAX; i++) {
        const problem_t *problem = &APR_ARRAY_IDX(found, i, problem_t);
        const lti_course_t *course = problem->course;
        json_t *object = json_object();

        lti_overview_set(object, "kind", course != NULL ? "course" : "platform");
        lti_overview_set(object, "platform", problem->platform->name);
        lti_overview_set(object, "course", course != NULL ? course->key : NULL);
        lti_overview_set(object, "title",
                         course == NULL          ? problem->platform->name
                         : course->title != NULL ? course->title
                         : course->label != NULL ? course->label
                                                 : course->context_id);
        json_object_set_new(object, "diagnosis", lti_overview_diagnosis(&problem->diagnosis, p));
        json_array_append_new(*problems, object);
    }
    return rv;
}

/* --- health ----------------------------------------------------------------------------------------------------------- */

static json_t *memory_object(const lti_overview_t *overview)
{
    lti_snapshot_capacity_t capacity;
    lti_snapshot_usage_t usage;
    json_t *object = json_object();
    int percent;

    lti_snapshot_usage(overview->snapshot, &usage);
    lti_snapshot_capacity(&capacity, &usage);
    percent = lti_snapshot_percent(&usage);
    json_object_set_new(object, "bytes", json_integer((json_int_t)usage.chunks * LTI_CHUNK_SIZE));
    json_object_set_new(object, "percent", json_integer(percent));
    json_object_set_new(object, "people", json_integer((json_int_t)usage.members));
    json_object_set_new(object, "courses", json_integer(usage.slots_used));
    json_object_set_new(object, "room_for_people", json_integer(capacity.people));
    json_object_set_new(object, "room_for_courses", json_integer(capacity.courses));
    json_object_set_new(object, "advice", percent >= 80 ? json_integer((json_int_t)lti_snapshot_advice(&usage)) : json_null());
    return object;
}

/** Nodes in the making. */
typedef struct nodes_t {
    const lti_overview_t *overview;
    json_t *list;
    int strangers; /* whose secret is another one */
} nodes_t;

static apr_status_t take_node(void *baton, const char *node, const char *jwks, const char *fingerprint, apr_time_t seen_at,
                              lti_err_t *err)
{
    nodes_t *nodes = baton;
    const char *own = nodes->overview->fingerprint;
    json_t *object = json_object();
    int agrees;

    (void)jwks;
    (void)err;
    lti_overview_set(object, "node", node);
    json_object_set_new(object, "here",
                        json_boolean(nodes->overview->node_name != NULL && strcmp(node, nodes->overview->node_name) == 0));
    lti_json_set_time(object, "seen_at", seen_at);
    lti_overview_set_age(object, "age", nodes->overview, seen_at);
    /* The first one seals; a node that rotates has the other's somewhere behind. */
    agrees = own == NULL || fingerprint == NULL || strstr(own, fingerprint) != NULL || strstr(fingerprint, own) != NULL;
    nodes->strangers += !agrees;
    json_object_set_new(object, "secret_agrees", json_boolean(agrees));
    json_array_append_new(nodes->list, object);
    return APR_SUCCESS;
}

static json_t *states_object(const lti_db_tally_t *tally)
{
    static const lti_roster_state_t shown[] = {LTI_ROSTER_CURRENT, LTI_ROSTER_PENDING, LTI_ROSTER_FAILING,
                                               LTI_ROSTER_HELD,    LTI_ROSTER_STALE,   LTI_ROSTER_NONE};
    json_t *object = json_object();
    size_t i;

    for (i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
        json_object_set_new(object, lti_roster_state_word(shown[i]), json_integer(tally->states[shown[i]]));
    return object;
}

static const char *sentence_of(const lti_db_tally_t *tally, const apr_array_header_t *problems, int strangers, apr_pool_t *p)
{
    apr_int64_t troubled = tally->states[LTI_ROSTER_FAILING] + tally->states[LTI_ROSTER_HELD] + tally->states[LTI_ROSTER_STALE] +
                           tally->states[LTI_ROSTER_NONE] + tally->suspects;
    const char *waiting = tally->waiting == 1 ? " One deployment waits to be accepted."
                          : tally->waiting > 1
                              ? apr_psprintf(p, " %" APR_INT64_T_FMT " deployments wait to be accepted.", tally->waiting)
                              : "";

    if (strangers > 0)
        return apr_pstrcat(
            p, "A node has another secret: sessions that it makes are void elsewhere. Copy one LTISecretFile to all nodes.",
            waiting, NULL);
    if (tally->courses == 0)
        return apr_pstrcat(p, "Nobody has opened the tool from a course yet.", waiting, NULL);
    if (problems->nelts == 0)
        return apr_psprintf(p, "All is well: %" APR_INT64_T_FMT " course%s, %" APR_INT64_T_FMT " %s.%s", tally->courses,
                            tally->courses == 1 ? "" : "s", tally->people, tally->people == 1 ? "person" : "people", waiting);
    if (troubled == 0)
        return apr_pstrcat(p, "Something needs a look.", waiting, NULL);
    return apr_psprintf(p, "%" APR_INT64_T_FMT " of %" APR_INT64_T_FMT " course%s need%s a look.%s", troubled, tally->courses,
                        tally->courses == 1 ? "" : "s", troubled == 1 ? "s" : "", waiting);
}

apr_status_t lti_overview_health(json_t **health, const lti_overview_t *overview, apr_pool_t *p, lti_err_t *err)
{
    static const char *const words[] = {"well", "note", "warning", "error"};
    nodes_t nodes = {.overview = overview, .list = json_array()};
    lti_overview_answer_t answer;
    apr_array_header_t *problems = NULL;
    json_t *object = lti_json_own(json_object(), p);
    lti_db_tally_t tally;
    int worst;
    apr_status_t rv;

    *health = object;
    json_object_set_new(object, "nodes", nodes.list);
    rv = lti_overview_begin(&answer, overview, p, err);
    if (rv == APR_SUCCESS)
        rv = find_problems(&problems, &answer, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_tally(&tally, overview->db, overview->now, p, err);
    if (rv == APR_SUCCESS)
        rv = lti_db_nodes_each(overview->db, overview->now - LTI_NODE_KEYS_FOR, take_node, &nodes, p, err);
    if (rv != APR_SUCCESS)
        return rv;
    worst = problems->nelts > 0 ? APR_ARRAY_IDX(problems, 0, problem_t).diagnosis.severity : 0;
    if (nodes.strangers > 0)
        worst = 3;
    if (overview->known != NULL)
        *overview->known = tally.courses;
    lti_overview_set(object, "state", words[worst]);
    lti_overview_set(object, "sentence", sentence_of(&tally, problems, nodes.strangers, p));
    json_object_set_new(object, "courses", json_integer(tally.courses));
    json_object_set_new(object, "people", json_integer(tally.people));
    json_object_set_new(object, "states", states_object(&tally));
    json_object_set_new(object, "due", json_integer(tally.due));
    json_object_set_new(object, "deployments_waiting", json_integer(tally.waiting));
    json_object_set_new(object, "shared_memory", overview->snapshot != NULL ? memory_object(overview) : json_null());
    return APR_SUCCESS;
}
