/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of error codes: name, kind, HTTP status, a sentence for the person, a sentence for the administrator. */
#include "lti_err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OPEN_AGAIN "Please open the tool again from your course."
#define TELL_ADMIN "Please tell the people who run this site, and give them the code and the request number below."
#define LATER "Please wait a moment and open the tool again from your course."

static const lti_err_info_t table[LTI_E_COUNT] = {
    [LTI_OK] = {"ok", LTI_ERR_NONE, 200, "All is well.", "Nothing to do."},

    [LTI_E_METHOD] =
        {"method", LTI_ERR_REQUEST, 405, OPEN_AGAIN,
         "This end point was called with a method it does not take; the Allow header of the answer names those it takes."},
    [LTI_E_CONTENT_TYPE] = {"content-type", LTI_ERR_REQUEST, 415, OPEN_AGAIN,
                            "A form must be sent as application/x-www-form-urlencoded."},
    [LTI_E_TOO_LARGE] =
        {"too-large", LTI_ERR_REQUEST, 413, OPEN_AGAIN,
         "The request is larger than LTIMaxLaunchSize (or, for a login, 16 KiB). If the platform sends large custom "
         "parameters, raise LTIMaxLaunchSize."},
    [LTI_E_URI_TOO_LONG] = {"uri-too-long", LTI_ERR_REQUEST, 414, OPEN_AGAIN,
                            "The query of the login request is longer than 8 KiB."},
    [LTI_E_PARAMETER_MISSING] =
        {"parameter-missing", LTI_ERR_REQUEST, 400, OPEN_AGAIN,
         "A required parameter is missing: was the address opened by hand, or is something other than the login "
         "URL registered in the platform?"},
    [LTI_E_PARAMETER_REPEATED] = {"parameter-repeated", LTI_ERR_REQUEST, 400, OPEN_AGAIN,
                                  "A parameter came twice; a proxy in between or the platform is at fault."},
    [LTI_E_PARAMETER_INVALID] = {"parameter-invalid", LTI_ERR_REQUEST, 400, OPEN_AGAIN,
                                 "A parameter is too long, is not UTF-8 or has control characters."},
    [LTI_E_FORM_INVALID] = {"form-invalid", LTI_ERR_REQUEST, 400, OPEN_AGAIN, "The form in the request's body cannot be read."},

    [LTI_E_OLD_LTI] =
        {"old-lti", LTI_ERR_REQUEST, 400,
         "This tool was added to your course in an old way that does not work here. Please show this page to the people who run "
         "your learning platform.",
         "This was a launch of LTI 1.1, which cannot carry a roster. Remove that installation of the tool from the platform and "
         "install the tool by client id (LTI 1.3), with the URLs that the page names."},

    [LTI_E_ISSUER_UNKNOWN] =
        {"issuer-unknown", LTI_ERR_DENIED, 403, "This tool does not know the learning platform that sent you. " TELL_ADMIN,
         "No <LTIPlatform> has this issuer. Compare the issuer in the log line, letter for letter, with LTIIssuer or "
         "the URL of LTIPreset."},
    [LTI_E_CLIENT_UNKNOWN] =
        {"client-unknown", LTI_ERR_DENIED, 403, "This tool is not registered in your learning platform. " TELL_ADMIN,
         "The issuer is known, this client id is not: set LTIClientID to the one the platform shows, or add an "
         "<LTIPlatform> for it."},
    [LTI_E_PLATFORM_AMBIGUOUS] =
        {"platform-ambiguous", LTI_ERR_REQUEST, 400, TELL_ADMIN,
         "Several <LTIPlatform> blocks have this issuer and the login names no client_id: list the deployment in "
         "LTIDeployment of the right one."},
    [LTI_E_TARGET_NOT_ALLOWED] =
        {"target-not-allowed", LTI_ERR_DENIED, 403, "This link leads to a page that this tool does not offer. " TELL_ADMIN,
         "target_link_uri is not below a prefix of LTIApplication on this site: correct the link in the platform "
         "or add the prefix to LTIApplication."},

    [LTI_E_STATE_INVALID] =
        {"state-invalid", LTI_ERR_REQUEST, 401, OPEN_AGAIN,
         "The state of this launch was not made by this site: was the launch URL opened directly, or do several "
         "nodes have different LTISecretFile contents?"},
    [LTI_E_STATE_EXPIRED] = {"state-expired", LTI_ERR_REQUEST, 401, "Opening the tool took too long. " OPEN_AGAIN,
                             "More than ten minutes passed between login and launch."},
    [LTI_E_STATE_BROWSER] =
        {"state-browser", LTI_ERR_REQUEST, 401,
         "Your browser did not send back the cookie that this tool set. Please allow cookies for this site, or open the "
         "tool in a new window.",
         "The launch came without the cookie of its login, and nothing else proved the browser: another browser, cookies switched "
         "off, or a login on another "
         "host name than LTIBaseURL. See \"Browsers that keep no cookies in frames\" in docs/operations.md."},
    [LTI_E_NONCE_MISMATCH] = {"nonce-mismatch", LTI_ERR_DENIED, 401, OPEN_AGAIN,
                              "The token belongs to another login than its state."},
    [LTI_E_NONCE_USED] = {"nonce-used", LTI_ERR_DENIED, 401, "This launch was used already. " OPEN_AGAIN,
                          "The same launch came twice: the back or reload button, or a replay."},
    [LTI_E_PLATFORM_ERROR] =
        {"platform-error", LTI_ERR_PLATFORM, 502, "Your learning platform could not open this tool. " TELL_ADMIN,
         "The platform answered the login with an error; the log line has its code. Compare client id and redirect "
         "URL (LTIPath/launch) with the registration."},
    [LTI_E_PLATFORM_DENIED] =
        {"platform-denied", LTI_ERR_DENIED, 403, "Your learning platform does not let you open this tool.",
         "The platform answered access_denied or unauthorized_client: is the tool switched on there for this course?"},
    [LTI_E_PLATFORM_LOGIN] = {"platform-login", LTI_ERR_DENIED, 401,
                              "Please sign in to your learning platform and open the tool again.",
                              "The platform has no session for this person (login_required and its like)."},
    [LTI_E_PLATFORM_UNAVAILABLE] = {"platform-unavailable", LTI_ERR_PLATFORM, 503, "Your learning platform is busy. " LATER,
                                    "The platform answered the login with server_error or temporarily_unavailable."},

    [LTI_E_TOKEN_MALFORMED] = {"token-malformed", LTI_ERR_DENIED, 401, OPEN_AGAIN, "The id_token is no well-formed compact JWS."},
    [LTI_E_ALGORITHM] = {"algorithm", LTI_ERR_DENIED, 401, OPEN_AGAIN,
                         "The token is signed with an algorithm that is not allowed; if the platform really uses it, name it in "
                         "LTIAlgorithms."},
    [LTI_E_KID_MISSING] = {"kid-missing", LTI_ERR_DENIED, 401, OPEN_AGAIN, "The token does not name its signing key (kid)."},
    [LTI_E_KEY_UNKNOWN] = {"key-unknown", LTI_ERR_DENIED, 401, OPEN_AGAIN,
                           "The platform's key set does not hold the key that signed the token: is LTIKeySet the right address?"},
    [LTI_E_KEY_UNUSABLE] = {"key-unusable", LTI_ERR_DENIED, 401, OPEN_AGAIN,
                            "The key that signed the token is too weak, of the wrong type or not meant for signatures."},
    [LTI_E_KEYSET_INVALID] = {"keyset-invalid", LTI_ERR_PLATFORM, 502,
                              "The keys of your learning platform cannot be read. " TELL_ADMIN,
                              "The answer of LTIKeySet is no usable key set: is it the right address?"},
    [LTI_E_KEYSET_UNAVAILABLE] =
        {"keyset-unavailable", LTI_ERR_PLATFORM, 503, "The keys of your learning platform cannot be fetched at the moment. " LATER,
         "LTIKeySet did not answer; the log line has the reason. Check name resolution, firewall, LTIProxy and "
         "LTICAFile."},
    [LTI_E_SIGNATURE] = {"signature", LTI_ERR_DENIED, 401, OPEN_AGAIN, "The token's signature is wrong."},

    [LTI_E_CLAIM_MISSING] = {"claim-missing", LTI_ERR_DENIED, 401, OPEN_AGAIN,
                             "The token lacks a required claim; the log line names it."},
    [LTI_E_CLAIM_INVALID] = {"claim-invalid", LTI_ERR_DENIED, 401, OPEN_AGAIN,
                             "A claim of the token is malformed; the log line names it."},
    [LTI_E_ISSUER] = {"issuer-mismatch", LTI_ERR_DENIED, 401, OPEN_AGAIN,
                      "The token was issued by another platform than the login named."},
    [LTI_E_AUDIENCE] = {"audience", LTI_ERR_DENIED, 401, OPEN_AGAIN, "The token is meant for another tool (aud, azp)."},
    [LTI_E_EXPIRED] =
        {"token-expired", LTI_ERR_DENIED, 401, OPEN_AGAIN,
         "The token is too old. If it happens to everybody, the clocks of this server and the platform differ: use NTP on "
         "both."},
    [LTI_E_NOT_YET_VALID] = {"token-early", LTI_ERR_DENIED, 401, OPEN_AGAIN,
                             "The token is from the future: the clocks of this server and the platform differ; use NTP on both."},
    [LTI_E_VERSION] = {"lti-version", LTI_ERR_DENIED, 401, OPEN_AGAIN, "The message is not of LTI version 1.3.0."},
    [LTI_E_MESSAGE_TYPE] = {"message-type", LTI_ERR_DENIED, 403, "This tool does not take this kind of link. " TELL_ADMIN,
                            "The message type is unknown or not named in LTIMessageTypes."},
    [LTI_E_DEPLOYMENT_UNKNOWN] = {"deployment-unknown", LTI_ERR_DENIED, 403,
                                  "This tool waits for the approval of its administrator at your institution. " TELL_ADMIN,
                                  "The deployment is not accepted: add its id, which the log line has, to LTIDeployment."},
    [LTI_E_DEPLOYMENT_WAITING] =
        {"deployment-waiting", LTI_ERR_DENIED, 403,
         "This tool waits for the approval of its administrator before your institution can use it. " TELL_ADMIN,
         "The launch is valid; its deployment is neither listed in LTIDeployment nor accepted. Accept it in the database (Who may, "
         "in "
         "docs/database.md), or list its id, which the log line has."},
    [LTI_E_DEPLOYMENT_WITHDRAWN] =
        {"deployment-withdrawn", LTI_ERR_DENIED, 403, "Your institution may not use this tool any more. " TELL_ADMIN,
         "An administrator has withdrawn this deployment; it can be accepted again (Who may, in docs/database.md)."},
    [LTI_E_DEPLOYMENT_MISMATCH] = {"deployment-mismatch", LTI_ERR_DENIED, 401, OPEN_AGAIN,
                                   "The token names another deployment than the login did."},
    [LTI_E_TARGET_MISMATCH] = {"target-mismatch", LTI_ERR_DENIED, 401, OPEN_AGAIN,
                               "The token's target_link_uri differs from that of the login."},
    [LTI_E_ANONYMOUS] = {"anonymous", LTI_ERR_DENIED, 401, "Your learning platform did not say who you are. " TELL_ADMIN,
                         "The token has no sub: let the platform send the user, or write LTIAnonymous allow."},
    [LTI_E_REMOTE_USER] =
        {"remote-user", LTI_ERR_DENIED, 403, "Your account lacks a detail that this tool needs. " TELL_ADMIN,
         "LTIRemoteUser asks for a claim that the platform does not send for this person: let it send e-mail or ids, or "
         "use {sub}."},

    [LTI_E_SESSION_NONE] = {"session-none", LTI_ERR_DENIED, 401, "Please open this tool from your course.",
                            "The request has no session; people come in by a launch from the platform."},
    [LTI_E_SESSION_INVALID] =
        {"session-invalid", LTI_ERR_DENIED, 401, OPEN_AGAIN,
         "The session cookie was not sealed by this site: was LTISecretFile replaced, or does it differ between nodes?"},
    [LTI_E_SESSION_EXPIRED] = {"session-expired", LTI_ERR_DENIED, 401, "Your session has ended. " OPEN_AGAIN,
                               "The session is older than LTISessionLifetime, or was unused for LTISessionIdle."},
    [LTI_E_SESSION_ENDED] = {"session-ended", LTI_ERR_DENIED, 401, "Your session was ended. " OPEN_AGAIN,
                             "An administrator has ended the sessions of this person, course or deployment; a new launch makes a "
                             "new one where launches are still accepted."},
    [LTI_E_SESSION_AMBIGUOUS] =
        {"session-ambiguous", LTI_ERR_DENIED, 409, "Several courses are open in this browser. " OPEN_AGAIN,
         "LTICoursePaths is On and the request came without the course's part of the path (~ and 16 characters) and without a "
         "Referer that has it: let the application use relative links, or LTI_PATH_PREFIX."},
    [LTI_E_MEMBER_LEFT] =
        {"member-left", LTI_ERR_DENIED, 403,
         "You are no longer on the list of people of this course. If that is wrong, please ask your teacher; once you are "
         "on the list again, open the tool from your course.",
         "The platform's roster no longer names this person as active."},
    [LTI_E_ROSTER_PENDING] = {"roster-pending", LTI_ERR_STORE, 503,
                              "The list of people of this course is being fetched. This page reloads by itself.",
                              "The first roster of this course was not fetched yet; if it does not come, the log says why."},
    [LTI_E_ROSTER_UNAVAILABLE] = {"roster-unavailable", LTI_ERR_STORE, 503, LATER,
                                  "Neither shared memory nor the database could tell whether this person is still in the course."},
    [LTI_E_ROLE_REQUIRED] = {"role-required", LTI_ERR_DENIED, 403, "This page is for teachers of the course.",
                             "The roster, its change and its refresh are open to instructors; others need LTIRosterAccess all."},
    [LTI_E_COURSE_UNKNOWN] = {"course-unknown", LTI_ERR_REQUEST, 404, "There is no such course here.",
                              "No launch of this course was ever seen, or the key is misspelt."},
    [LTI_E_COURSE_AMBIGUOUS] = {"course-ambiguous", LTI_ERR_REQUEST, 409, "Several courses have this id.",
                                "context= names more than one course: use course=KEY (LTI_COURSE_KEY)."},
    [LTI_E_CROSS_SITE] = {"cross-site", LTI_ERR_DENIED, 403, OPEN_AGAIN,
                          "A request that may change something came from another site (Sec-Fetch-Site, Origin): sessions work in "
                          "frames, so any page could send it in "
                          "this person's name. Where the application protects itself, LTICrossSite allow admits it."},

    [LTI_E_HTTP_CONNECT] =
        {"http-connect", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
         "The platform could not be reached: name, address, certificate or proxy. Check LTIProxy and LTICAFile."},
    [LTI_E_HTTP_TIMEOUT] = {"http-timeout", LTI_ERR_PLATFORM, 504, LATER,
                            "The platform did not answer in time; see LTISyncTimeout."},
    [LTI_E_HTTP_TOO_LARGE] = {"http-too-large", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
                              "The platform's answer is larger than its limit."},
    [LTI_E_HTTP_REDIRECT] =
        {"http-redirect", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
         "The platform answered with a redirect, which is not followed with a token in hand: configure the address it leads to."},
    [LTI_E_HTTP_STATUS] = {"http-status", LTI_ERR_PLATFORM, 502, LATER,
                           "The platform answered with an error status; it is tried again."},
    [LTI_E_HTTP_ADDRESS] = {"http-address", LTI_ERR_CONFIG, 502, TELL_ADMIN,
                            "The service's host has a private address. If that is right, add the host to LTIServiceHosts."},
    [LTI_E_HTTP_ABORTED] = {"http-aborted", LTI_ERR_PLATFORM, 502, LATER,
                            "The connection broke before the answer was complete; it is tried again."},
    [LTI_E_SERVICE_URL] = {"service-url", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
                           "The address of the roster service in the launch is unusable; it must be an https URL."},
    [LTI_E_SERVICE_NONE] = {"service-none", LTI_ERR_PLATFORM, 404, TELL_ADMIN,
                            "The launch offered no roster service: switch Names and Role Provisioning on for this tool in the "
                            "platform and launch once."},
    [LTI_E_TOKEN_REFUSED] =
        {"token-refused", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
         "The platform refused an access token: it must be able to fetch LTIPath/jwks, the client id must be right, and the "
         "clocks must agree."},
    [LTI_E_TOKEN_ANSWER] = {"token-answer", LTI_ERR_PLATFORM, 502, LATER,
                            "The token end point gave no usable answer; it is tried again. Check LTITokenEndpoint."},
    [LTI_E_SCOPE_REFUSED] =
        {"scope-refused", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
         "The platform does not grant the roster scope to this tool: switch Names and Role Provisioning on for it."},
    [LTI_E_ROSTER_FORBIDDEN] =
        {"roster-forbidden", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
         "The platform does not let this tool read the course's roster: is the service switched on for it, and the tool still "
         "placed in the course?"},
    [LTI_E_ROSTER_GONE] = {"roster-gone", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
                           "The platform does not know the course or its roster service any more; it is asked again each day."},
    [LTI_E_ROSTER_BUSY] = {"roster-busy", LTI_ERR_PLATFORM, 503, LATER,
                           "The platform asks for patience (rate limit or maintenance); it is tried again."},
    [LTI_E_ROSTER_TYPE] = {"roster-type", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
                           "The roster's answer is not a membership container (a login page, perhaps)."},
    [LTI_E_ROSTER_MALFORMED] = {"roster-malformed", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
                                "The roster's answer is damaged or incomplete; nothing of it was applied."},
    [LTI_E_ROSTER_LOOP] = {"roster-loop", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
                           "The platform's next link leads to a page that was read before; nothing of the run was applied."},
    [LTI_E_ROSTER_ORIGIN] =
        {"roster-origin", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
         "The platform's next link leads to another host, which gets no token; nothing of the run was applied."},
    [LTI_E_ROSTER_LIMIT] = {"roster-limit", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
                            "The roster exceeds a limit of members, pages, bytes or time."},
    [LTI_E_ROSTER_MEMBERS] = {"roster-members", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
                              "More than a tenth of the roster's entries had no usable user id; nothing of it was applied."},
    [LTI_E_ROSTER_EMPTY] =
        {"roster-empty", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
         "The platform suddenly names nobody; the old roster stays until an administrator accepts the empty one."},
    [LTI_E_ROSTER_HELD] = {"roster-held", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
                           "More people are missing than LTISyncDropGuard allows, or entries of the list do not say whose they are; who is "
                           "missing stays until runs over 24 hours agree or an administrator accepts."},
    [LTI_E_LEASE_LOST] = {"lease-lost", LTI_ERR_STORE, 503, LATER, "Another node works on this course; nothing to do."},

    [LTI_E_STORE] = {"store", LTI_ERR_STORE, 503, LATER,
                     "The database failed; the log line has its words. Check DBDParams and the database server; the directory of "
                     "an SQLite file must belong to the User of this server (reload after mending that)."},
    [LTI_E_STORE_BUSY] = {"store-busy", LTI_ERR_STORE, 503, LATER, "The database stayed locked for too long, or answers nobody at present."},
    [LTI_E_SCHEMA_NEWER] = {"schema-newer", LTI_ERR_CONFIG, 503, LATER,
                            "The tables were made by a newer release of this module: install that release on this node too."},
    [LTI_E_CONFIG] = {"config", LTI_ERR_CONFIG, 500, TELL_ADMIN, "The configuration is at fault; the message says what to write."},
    [LTI_E_SNAPSHOT_FULL] =
        {"snapshot-full", LTI_ERR_CONFIG, 503, LATER,
         "Shared memory is full; requests ask the database instead. Raise LTISharedMemory to the figure in the log line."},
    [LTI_E_NOT_FOUND] = {"not-found", LTI_ERR_REQUEST, 404, "There is no such page.",
                         "The end point does not exist in this release."},
    [LTI_E_INTERNAL] = {"internal", LTI_ERR_INTERNAL, 500, TELL_ADMIN,
                        "A fault of this module or of the machine; the log line has the detail."},
    [LTI_E_ROSTER_CHANGES] = {"roster-changes", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
                              "The platform's list of what changed is not of this course; the whole roster is read next."},
    [LTI_E_ROSTER_TOO_LARGE] = {"roster-too-large", LTI_ERR_PLATFORM, 502, TELL_ADMIN,
                                "The platform gives no roster of a course with so many people, whoever asks: raise its limit (Open edX: "
                                "LTI_NRPS_ACTIVE_ENROLLMENT_LIMIT), or install a release of it that gives rosters page by page."},
    [LTI_E_EVENTS_GONE] = {"events-gone", LTI_ERR_REQUEST, 410, "These changes are not kept any more.",
                           "since= is older than LTIRetain, or of another database: take next from events without since=, read the "
                           "rosters anew, and go on from there."},
    [LTI_E_EVENTS_BUSY] = {"events-busy", LTI_ERR_STORE, 503, "Too many wait here already. Please try again in a moment.",
                           "More requests wait for events than LTIEventWaiters allows: raise it, or ask without wait=."},
    [LTI_E_RATE_LIMITED] = {"rate-limited", LTI_ERR_PLATFORM, 503, LATER,
                            "The platform asked to be left in peace for a while, for whichever course; all of its courses wait until then and go on by "
                            "themselves. If it happens often, lower LTISyncRate."},
    [LTI_E_ADMIN_OFF] = {"admin-off", LTI_ERR_DENIED, 403, "This page is for administrators.",
                         "The status page and the metrics are closed. Write <Location \"/lti/status\"> LTIAdmin On and a Require that says who may, such as Require local, "
                         "and the same for /lti/metrics."},
    [LTI_E_HOST] = {"host-unknown", LTI_ERR_DENIED, 421, "This page is not to be had by this name.",
                    "The status page and the metrics answer only by a name of their virtual host (ServerName, ServerAlias, LTIBaseURL), by localhost, or by an address. Write a "
                    "ServerAlias if the name is right."},
    [LTI_E_ACTION_TOKEN] = {"action-token", LTI_ERR_DENIED, 403, "Please go back, load the page again and press the button once more.",
                            "A button of the status page came without its token, or with one that is older than twelve hours, of another user or of another site. A script takes "
                            "action_token from the JSON of the status page."},
    [LTI_E_EXAMINATION_BUSY] = {"examination-busy", LTI_ERR_REQUEST, 429, "Please wait some seconds and load the page again.",
                                "A platform is examined at most once in five seconds, and two at most at once: an examination sends requests to the platform."},
};

const lti_err_info_t *lti_err_info(lti_code_t code)
{
    if ((unsigned)code >= LTI_E_COUNT || table[code].name == NULL)
        return &table[LTI_E_INTERNAL];
    return &table[code];
}

lti_code_t lti_err_by_name(const char *name)
{
    int i;

    for (i = 0; i < LTI_E_COUNT; i++) {
        if (table[i].name != NULL && strcmp(table[i].name, name) == 0)
            return (lti_code_t)i;
    }
    return LTI_E_COUNT;
}

/* Takes the last character off if vsnprintf cut it in the middle, so that the text stays UTF-8. */
static void trim_cut_character(char *text, size_t length)
{
    size_t start = length, need;

    while (start > 0 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return;
    start--;
    need = ((unsigned char)text[start] & 0x80) == 0      ? 1
           : ((unsigned char)text[start] & 0xE0) == 0xC0 ? 2
           : ((unsigned char)text[start] & 0xF0) == 0xE0 ? 3
                                                         : 4;
    if (length - start < need)
        text[start] = '\0';
}

const char *lti_err_advice(const char *name)
{
    lti_code_t code = lti_err_by_name(name);

    return code < LTI_E_COUNT ? lti_err_info(code)->admin : "";
}

apr_status_t lti_err_set(lti_err_t *err, const char *func, lti_code_t code, apr_status_t status, const char *format, ...)
{
    va_list args;
    int length;

    if (err == NULL)
        return status;
    err->code = code;
    err->status = status;
    err->func = func;
    err->detail = 0;
    va_start(args, format);
    length = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (length >= (int)sizeof(err->text))
        trim_cut_character(err->text, sizeof(err->text) - 1);
    return status;
}
