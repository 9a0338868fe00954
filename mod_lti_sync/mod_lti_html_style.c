/* SPDX-License-Identifier: Apache-2.0 */
/* The one stylesheet of pages of several parts. */
#include "mod_lti_html.h"

/*
 * Colours are variables, so that dark is one block. Nothing is told by colour alone. Below 44rem tables become cards. Texts from outside may be one long word: they break anywhere rather
 * than push the page wider.
 */
const char mod_lti_html_style[] =
    ":root{color-scheme:light dark;--bg:#f4f6f8;--card:#fff;--ink:#18202a;--dim:#56616f;--line:#d5dbe3;--link:#0a55ad;"
    "--well:#17693c;--note:#1b5fa8;--warn:#875300;--error:#b0231b;--wellbg:#e5f4ea;--notebg:#e4eefa;--warnbg:#fdf1d8;--errorbg:#fce7e5}"
    "@media(prefers-color-scheme:dark){:root{--bg:#12161b;--card:#1b2129;--ink:#e6eaef;--dim:#a3aebb;--line:#36404c;--link:#84b8f7;"
    "--well:#7fd3a0;--note:#8fbdf5;--warn:#f0bf62;--error:#ff9d94;--wellbg:#163124;--notebg:#182c45;--warnbg:#382a0e;--errorbg:#43201d}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--bg);color:var(--ink);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}"
    "header,main,footer{max-width:76rem;margin:0 auto;padding:0 1rem}header{padding-top:1rem}footer{padding:1rem;color:var(--dim);font-size:.875rem}"
    "h1{font-size:1.5rem;line-height:1.25;margin:.25rem 0 1rem}h2{font-size:1.2rem;margin:2rem 0 .6rem}h3{font-size:1.05rem;margin:0 0 .4rem}"
    "h4{font-size:1rem;margin:1.2rem 0 .3rem}p{margin:.4rem 0}a{color:var(--link)}"
    ":focus-visible{outline:.19rem solid var(--link);outline-offset:.13rem;border-radius:.2rem}"
    ".skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;background:var(--card);padding:.5rem 1rem;z-index:1}"
    ".hide{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}"
    ".dim{color:var(--dim)}.small{font-size:.875rem}"
    "code,kbd{font:.92em ui-monospace,monospace}"
    ".card{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem;margin:0 0 1rem}"
    ".card.s3{border-left:.35rem solid var(--error)}.card.s2{border-left:.35rem solid var(--warn)}"
    ".card.s1{border-left:.35rem solid var(--note)}.card.s0{border-left:.35rem solid var(--well)}"
    /* marks */
    ".badge{display:inline-block;font-size:.8125rem;font-weight:600;line-height:1.4;padding:.08rem .5rem;border-radius:.7rem;"
    "color:var(--dim);background:var(--bg);border:1px solid currentColor}"
    ".badge::before{margin-right:.35em}.badge.s0{color:var(--well);background:var(--wellbg)}.badge.s0::before{content:\"\\2713\" / \"\"}"
    ".badge.s1{color:var(--note);background:var(--notebg)}.badge.s1::before{content:\"i\" / \"\";font-style:italic;font-family:serif}"
    ".badge.s2{color:var(--warn);background:var(--warnbg)}.badge.s2::before{content:\"!\" / \"\"}"
    ".badge.s3{color:var(--error);background:var(--errorbg)}.badge.s3::before{content:\"\\2715\" / \"\"}"
    /* diagnosis */
    ".diagnosis>p:first-child{margin-top:0}blockquote{margin:.6rem 0;padding:.3rem .8rem;border-left:.2rem solid var(--line);"
    "color:var(--dim);font-size:.9375rem;white-space:pre-wrap}ol.steps{margin:.4rem 0;padding-left:1.6rem}ol.steps li{margin:.2rem 0}"
    /* facts */
    "dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.25rem 1.2rem;margin:.6rem 0}dt{color:var(--dim)}dd{margin:0;min-width:0}"
    "ul.tiles{list-style:none;display:flex;flex-wrap:wrap;gap:.6rem;padding:0;margin:1rem 0}ul.tiles li{flex:1 1 7.5rem;background:var(--card);"
    "border:1px solid var(--line);border-radius:.6rem;padding:.5rem .8rem}ul.tiles b{display:block;font-size:1.35rem;line-height:1.3;font-variant-numeric:tabular-nums}"
    "ul.tiles span{color:var(--dim);font-size:.875rem}meter{width:min(100%,12rem);height:1rem;vertical-align:-.15rem}"
    /* tables */
    ".box{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.6rem;margin:0 0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.5rem .8rem;border-top:1px solid var(--line);font-weight:400}"
    "thead th{border-top:0;font-size:.875rem;font-weight:600;color:var(--dim);white-space:nowrap}tbody th{min-width:11rem;width:26%}"
    "td{overflow-wrap:break-word}td bdi{overflow-wrap:anywhere}td time{white-space:nowrap}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}"
    "thead a{color:inherit}th[aria-sort]{color:var(--ink)}th[aria-sort=ascending] a::after{content:\" \\2191\" / \"\"}"
    "th[aria-sort=descending] a::after{content:\" \\2193\" / \"\"}"
    ".card .box{border-radius:.4rem;margin:.4rem 0}"
    ".card>h2:first-child{margin-top:0}ul.names{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,13rem),1fr));gap:.1rem 1rem;"
    "list-style:none;padding:0;margin:.4rem 0;max-height:20rem;overflow:auto}"
    /* forms */
    "#update{margin:0 0 1rem}form.one{display:inline-block;margin:.1rem .3rem .1rem 0}button,.button,input,select{font:inherit;color:inherit;border:1px solid var(--dim);"
    "border-radius:.4rem;background:var(--card);padding:.3rem .8rem;min-height:2.3rem}"
    "button,.button{cursor:pointer;display:inline-block;text-decoration:none;font-weight:600}button:hover,.button:hover{border-color:var(--link)}"
    "button.main{background:var(--link);border-color:var(--link);color:var(--card)}button.danger{color:var(--error);border-color:var(--error)}"
    "button:disabled{opacity:.55;cursor:default}"
    "form.filter{display:flex;flex-wrap:wrap;gap:.6rem 1rem;align-items:end;margin:0 0 1rem}form.filter label{display:flex;flex-direction:column;font-size:.875rem;"
    "color:var(--dim);gap:.15rem}form.filter label,form.filter input,form.filter select{min-width:0;max-width:100%}form.filter .wide{flex:1 1 14rem}"
    "nav.pages{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center;margin:0 0 1rem}progress{width:100%;height:1rem}"
    ".said{padding:.6rem 1rem;border-radius:.5rem;background:var(--notebg);border:1px solid var(--note);margin:0 0 1rem}"
    "details{margin:.5rem 0}summary{cursor:pointer}summary h3,summary h4{display:inline}"
    "@media(max-width:44rem){dl{grid-template-columns:1fr;gap:0}dd{margin:0 0 .5rem}"
    ".box{border:0;background:none;overflow:visible}table,tbody,tr,td,tbody th{display:block;width:100%}"
    "thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}"
    "tr{background:var(--card);border:1px solid var(--line);border-radius:.6rem;margin:0 0 .7rem;padding:.4rem 0}"
    "td,tbody th{border:0;padding:.2rem .8rem}td.n{text-align:left}td::before{content:attr(data-title) \": \";color:var(--dim);font-size:.875rem}"
    "td:empty{display:none}}"
    "@media print{form,.skip,nav.pages{display:none}body{background:none}}";
