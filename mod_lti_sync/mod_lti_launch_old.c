/* SPDX-License-Identifier: Apache-2.0 */
/* Launches of LTI 1.1: nothing of them is proven or used, but an administrator is told what to do instead. */
#include "mod_lti_launch_parts.h"

#include <apr_strings.h>

#include "lti_mailbox.h"
#include "mod_lti_page.h"
#include "mod_lti_store.h"

static const char *value_of(const mod_lti_form_t *form, const char *name)
{
    const char *value = apr_table_get(form->values, name);

    return value != NULL ? value : "";
}

int mod_lti_launch_is_old(const mod_lti_form_t *form)
{
    return form != NULL && apr_table_get(form->values, "oauth_consumer_key") != NULL;
}

apr_status_t mod_lti_launch_fail_old(const mod_lti_form_t *form, lti_err_t *err)
{
    return lti_fail(err, LTI_E_OLD_LTI, APR_ENOTIMPL, "a launch of LTI 1.1 with the consumer key \"%.60s\" from \"%.80s\"",
                    value_of(form, "oauth_consumer_key"), value_of(form, "tool_consumer_instance_guid"));
}

/* Not written here: whoever posts such forms all day must neither wait for the database nor make others wait. */
static void remember(request_rec *r, const mod_lti_form_t *form)
{
    const char *guid = value_of(form, "tool_consumer_instance_guid"), *name = value_of(form, "tool_consumer_instance_name");
    const char *instance = *guid != '\0' ? guid : name;
    const char *const texts[LTI_MAILBOX_TEXTS] = {
        value_of(form, "oauth_consumer_key"),
        instance != name && *name != '\0' ? apr_pstrcat(r->pool, guid, " (", name, ")", NULL) : instance,
        value_of(form, "tool_consumer_info_product_family_code"),
        apr_table_get(form->values, "context_title"),
    };

    (void)lti_mailbox_put(mod_lti_config_of(r->server)->runtime->mailbox, texts, mod_lti_store_now());
}

int mod_lti_launch_refuse_old(request_rec *r, const mod_lti_form_t *form, const lti_err_t *err)
{
    const lti_server_config_t *conf = mod_lti_config_of(r->server);
    const char *base = mod_lti_page_escape(apr_pstrcat(r->pool, conf->base_url, conf->path, NULL), r->pool);
    mod_lti_page_aside_t aside = {.content = NULL};

    aside.content = apr_pstrcat(
        r->pool,
        "<p><b>For the administrator of the learning platform:</b> this tool is installed there the old way (LTI 1.1, with key "
        "and secret). The old way cannot carry a roster, so it does not work here. Remove that installation and install the "
        "tool by client id (LTI 1.3), with these addresses:</p>\n<dl>\n<dt>Login URL (OpenID Connect initiation)</dt><dd><code>",
        base, "/login</code></dd>\n<dt>Redirect URI (launch URL)</dt><dd><code>", base,
        "/launch</code></dd>\n<dt>Key set URL (JWKS)</dt><dd><code>", base,
        "/jwks</code></dd>\n</dl>\n<p>Switch the roster service (Names and Role Provisioning) on for it, and give the people who "
        "run "
        "this site the client id that the platform then shows.</p>\n",
        NULL);
    remember(r, form);
    return mod_lti_launch_refuse(r, "LTI0220", err, &aside);
}
