/* SPDX-License-Identifier: Apache-2.0 */
/* The script of the status page: without it everything works, by pressing "Search" and loading the page again. */
#include "mod_lti_admin_page.h"

/* clang-format off */
const char mod_lti_admin_script[] =
    "'use strict';\n"
    "const form = document.getElementById('filter');\n"
    "let turn = 0, timer;\n"

    /* A part of the page as the server writes it, without its style, which has another nonce. A slow answer to an older question is dropped. */
    "async function part(name, query) {\n"
    "  const url = new URL(form.action);\n"
    "  url.search = query;\n"
    "  url.searchParams.set('part', name);\n"
    "  const answer = await fetch(url, {headers: {Accept: 'text/html'}, cache: 'no-store'});\n"
    "  if (!answer.ok) throw new Error(answer.status);\n"
    "  const text = (await answer.text()).replace(/<style[^]*?<.style>/, '');\n"
    "  return new DOMParser().parseFromString(text, 'text/html');\n"
    "}\n"

    "async function find(query) {\n"
    "  const mine = ++turn;\n"
    "  const page = await part('courses', query);\n"
    "  if (mine !== turn) return;\n"
    "  document.getElementById('found').replaceWith(document.adoptNode(page.getElementById('found')));\n"
    "  history.replaceState(null, '', form.action + (query ? '?' + query : '') + location.hash);\n"
    "}\n"

    "function search() {\n"
    "  const query = new URLSearchParams();\n"
    "  for (const [name, value] of new FormData(form)) if (value) query.set(name, value);\n"
    "  find(query.toString()).catch(() => form.submit());\n"
    "}\n"
    "form.addEventListener('input', () => {\n"
    "  clearTimeout(timer);\n"
    "  timer = setTimeout(search, 250);\n"
    "});\n"
    "form.addEventListener('submit', (event) => {\n"
    "  event.preventDefault();\n"
    "  clearTimeout(timer);\n"
    "  search();\n"
    "});\n"

    /* Nothing moves under the hands of who reads: only what differs is replaced. */
    "setInterval(async () => {\n"
    "  if (document.hidden) return;\n"
    "  try {\n"
    "    const page = await part('health', '');\n"
    "    const old = document.getElementById('health'), fresh = page.getElementById('health');\n"
    "    if (fresh && fresh.innerHTML !== old.innerHTML) old.replaceChildren(...document.adoptNode(fresh).childNodes);\n"
    "    document.getElementById('made').textContent = page.getElementById('made').textContent;\n"
    "  } catch (error) {}\n"
    "}, 10000);\n";
/* clang-format on */
