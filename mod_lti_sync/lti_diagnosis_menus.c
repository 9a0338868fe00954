/* SPDX-License-Identifier: Apache-2.0 */
/* lti_diagnosis: where to click, by the names of each platform family's menus. One step a line. */
#include "lti_diagnosis_parts.h"

#define FAMILIES (LTI_FAMILY_SCHOOLOGY + 1)

#define OPEN_ONCE "\nThen open the tool from the course once: the launch tells what is permitted now."

static const char *const service[FAMILIES] = {
    [LTI_FAMILY_OTHER] =
        "In the platform: administration > the settings of this tool > services: switch on Names and Role Provisioning Services "
        "(the scope contextmembership.readonly) and save." OPEN_ONCE,
    [LTI_FAMILY_CANVAS] =
        "In Canvas: Admin > the account > Developer Keys > edit the key of this tool > LTI Advantage Services: switch on \"Can "
        "retrieve user data associated with the context the tool is installed in\" and save." OPEN_ONCE,
    [LTI_FAMILY_MOODLE] =
        "In Moodle: Site administration > Plugins > Activity modules > External tool > Manage tools > the gear of this tool > "
        "Services > IMS LTI Names and Role Provisioning: choose \"Use this service to retrieve members' information as per privacy "
        "settings\" and save." OPEN_ONCE,
    [LTI_FAMILY_BLACKBOARD] =
        "In Blackboard: Administrator Panel > Integrations > LTI Tool Providers > edit this tool > Institution Policies: set "
        "Allow Membership Service Access to Yes and submit." OPEN_ONCE,
    [LTI_FAMILY_BRIGHTSPACE] =
        "In Brightspace, the first of two places: Admin Tools > Manage Extensibility > LTI Advantage > this tool > Extensions: "
        "tick Names and Roles Provisioning Services and save.\n"
        "The second place: Admin Tools > External Learning Tools > LTI Advantage > the deployment > Extensions: tick it there "
        "too." OPEN_ONCE,
    [LTI_FAMILY_SAKAI] =
        "In Sakai: Administration Workspace > External Tools > edit this tool > Services: tick Provide Roster to External Tool and "
        "save." OPEN_ONCE,
    [LTI_FAMILY_SCHOOLOGY] =
        "In Schoology: App Center > My Developer Apps (or Organization Apps) > edit this app: tick Names and Roles Services and "
        "save.\nIf Schoology asks for it, agree to the change under App Center > Organization Apps." OPEN_ONCE,
};

#define KEY_SET "this tool's key set address (it stands under Platforms on the status page, and ends in /jwks)"

static const char *const client[FAMILIES] = {
    [LTI_FAMILY_OTHER] =
        "In the platform: administration > the settings of this tool: it must be active, its client id the one in LTIClientID, its "
        "public key or keyset URL " KEY_SET ".",
    [LTI_FAMILY_CANVAS] = "In Canvas: Admin > the account > Developer Keys: the State of this tool's key must be ON.\n"
                          "The long number under Details must be the one in LTIClientID.\n"
                          "Edit the key: JWK Method must be Public JWK URL, and the URL " KEY_SET ".",
    [LTI_FAMILY_MOODLE] =
        "In Moodle: Site administration > Plugins > Activity modules > External tool > Manage tools: the tool must be Active.\n"
        "Its Client ID (behind the magnifying glass) must be the one in LTIClientID.\n"
        "Its gear > Public key type must be Keyset URL, and Public keyset " KEY_SET ".\n"
        "The Moodle server itself must be able to open that address: name, certificate and firewall.",
    [LTI_FAMILY_BLACKBOARD] =
        "In Blackboard: Administrator Panel > Integrations > LTI Tool Providers: the status of this tool must be Approved.\n"
        "Its client id (the Application ID of the developer portal) must be the one in LTIClientID.\n"
        "In the developer portal: My Applications > this application: Tool JWKS URL must be " KEY_SET ".",
    [LTI_FAMILY_BRIGHTSPACE] =
        "In Brightspace: Admin Tools > Manage Extensibility > LTI Advantage > this tool: Enabled must be ticked.\n"
        "Its Client Id must be the one in LTIClientID, its Keyset URL " KEY_SET ".\n"
        "LTITokenAudience must be what stands there as Brightspace OAuth2 Audience.",
    [LTI_FAMILY_SAKAI] =
        "In Sakai: Administration Workspace > External Tools > edit this tool: Tool Supports LTI 1.3 must be chosen.\n"
        "LTI 1.3 Client ID must be the one in LTIClientID, LTI 1.3 Tool Keyset URL " KEY_SET ".",
    [LTI_FAMILY_SCHOOLOGY] = "In Schoology: App Center > My Developer Apps (or Organization Apps) > this app > Options > API Info: "
                             "Client ID must be the "
                             "one in LTIClientID.\n"
                             "Edit the app: JWKS URL must be " KEY_SET ".\n"
                             "App Center > Organization Apps: the app must be installed.",
};

static const char *const course[FAMILIES] = {
    [LTI_FAMILY_OTHER] =
        "In the platform: the course > its tools: make this tool available there.\nOpen the tool from the course once.",
    [LTI_FAMILY_CANVAS] = "In Canvas: the course (or its account) > Settings > Apps > View App Configurations > + App > "
                          "Configuration Type: By Client "
                          "ID, with the number in LTIClientID.\nOpen the tool from the course once.",
    [LTI_FAMILY_MOODLE] = "In Moodle: the course > More > LTI External tools: is the tool shown in the activity chooser there? Add "
                          "it to the course.\n"
                          "Site administration > Plugins > Activity modules > External tool > Manage tools > its gear > Restrict "
                          "to categories: is the "
                          "course's category among them?\nOpen the tool from the course once.",
    [LTI_FAMILY_BLACKBOARD] =
        "In Blackboard: Administrator Panel > Integrations > LTI Tool Providers > this tool > Manage Placements: is there a "
        "placement that this course may use?\nOpen the tool from the course once.",
    [LTI_FAMILY_BRIGHTSPACE] =
        "In Brightspace: Admin Tools > External Learning Tools > LTI Advantage > the deployment > Add Org Units: the course, or a "
        "unit above it with its descendants, must be there.\n"
        "In the same place > Security Settings: Org Unit Information must be ticked.\nOpen the tool from the course once.",
    [LTI_FAMILY_SAKAI] =
        "In Sakai: the site > Site Info > Manage Tools > External Tools: is the tool ticked?\nOpen the tool from the site once.",
    [LTI_FAMILY_SCHOOLOGY] =
        "In Schoology: App Center > Organization Apps > this app > Configure: is it installed for this course?\n"
        "Open the app from the course once.",
};

#define UPDATE "\nThen press Update now."

static const char *const everybody[FAMILIES] = {
    [LTI_FAMILY_OTHER] = "In the platform: administration > the settings of this tool: let its roster hold everybody of the "
                         "course, and not only people "
                         "who have opened the tool." UPDATE,
    [LTI_FAMILY_CANVAS] =
        "In Canvas: the course > People: are those who are missing active there (not pending, not inactive, the course "
        "published)?" UPDATE,
    [LTI_FAMILY_MOODLE] =
        "In Moodle: the course > Participants: are those who are missing enrolled there, active, and not past the end of their "
        "enrolment?" UPDATE,
    [LTI_FAMILY_BLACKBOARD] =
        "In Blackboard: the course > Roster (or Users and Groups > Users): are those who are missing there, and available?" UPDATE,
    [LTI_FAMILY_BRIGHTSPACE] =
        "In Brightspace: Admin Tools > External Learning Tools > LTI Advantage > the deployment > Security Settings: tick "
        "\"Classlist including users not known to this deployment\" and save." UPDATE,
    [LTI_FAMILY_SAKAI] =
        "In Sakai: the site > Site Info > Manage Participants: are those who are missing there, and Active?" UPDATE,
    [LTI_FAMILY_SCHOOLOGY] = "In Schoology: the course > Members: are those who are missing enrolled in this very section?" UPDATE,
};

const char *lti_diagnosis_menu(lti_diagnosis_menu_t menu, const lti_platform_t *platform)
{
    static const char *const *const menus[LTI_MENUS] = {
        [LTI_MENU_SERVICE] = service, [LTI_MENU_CLIENT] = client, [LTI_MENU_COURSE] = course, [LTI_MENU_EVERYBODY] = everybody};
    lti_family_t family = platform != NULL && (unsigned)platform->family < FAMILIES ? platform->family : LTI_FAMILY_OTHER;

    return menus[menu][family];
}
