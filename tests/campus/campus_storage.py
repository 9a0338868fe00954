# SPDX-License-Identifier: Apache-2.0
"""The campus keeps values for tools, in the page that frames them: what a tool reads there proves that the browser is the one that put it there.

`Campus.storage` is what the campus sends as lti_storage_target: None (it keeps nothing), "_parent" (the page itself), or the name of a hidden frame, which is
on the campus's own origin even where the page is on another (`Campus.site`). `Campus.manners` says how it misbehaves:

    silent       no answer at all
    mute         capabilities are told, nothing else is answered
    error        every answer to put_data and get_data is an error
    message-id   answers to another message
    subject      answers with another subject
    source       a frame of the same origin answers in place of the one that was asked
    value        get_data gives another value than was put
    forgets      get_data gives null
    unnamed      capabilities do not tell the frame

"error@get_data" misbehaves with that subject only.
"""
import json

FRAME = "post_message_forwarding"

KEEPER = """
const values = new Map();
const [word, only] = %(manners)s.split('@');
addEventListener('message', (event) => {
  const asked = event.data;
  if (!asked || typeof asked !== 'object' || !/^lti\\.(capabilities|put_data|get_data)$/.test(asked.subject) || word === 'silent') return;
  const manners = !only || asked.subject === 'lti.' + only ? word : '';
  const answer = {subject: asked.subject + '.response', message_id: asked.message_id};
  const place = event.origin + ' ' + asked.key;
  const kept = ['put_data', 'get_data'].map((word) => ({subject: 'lti.' + word, ...(manners === 'unnamed' ? {} : {frame: %(frame)s})}));
  if (asked.subject === 'lti.capabilities') {
    answer.supported_messages = [{subject: 'lti.capabilities'}, ...kept];
    event.source.postMessage(answer, event.origin);
    return;
  }
  if (asked.subject === 'lti.put_data') {
    if (asked.value === null) values.delete(place);
    else values.set(place, asked.value);
  }
  answer.key = asked.key;
  answer.value = values.has(place) ? values.get(place) : null;
  if (asked.subject === 'lti.get_data' && manners === 'value') answer.value = 'x'.repeat(22);
  if (asked.subject === 'lti.get_data' && manners === 'forgets') answer.value = null;
  if (manners === 'error') answer.error = {code: 'storage_exhaustion', message: 'no room'};
  if (manners === 'message-id') answer.message_id += 'x';
  if (manners === 'subject') answer.subject = 'lti.other.response';
  document.body.dataset.asked = (document.body.dataset.asked || '') + ' ' + asked.subject;
  document.body.dataset.held = values.size;
  if (manners === 'mute') return;
  if (manners === 'source') document.getElementById('stranger').contentWindow.speak(event.source, answer, event.origin);
  else event.source.postMessage(answer, event.origin);
});
"""


def script(campus, frame=None):
    return "<script>" + KEEPER % {"manners": json.dumps(campus.manners), "frame": json.dumps(frame)} + "</script>"


def in_page(campus):
    """What the page that frames the tool has for it."""
    if campus.storage is None:
        return ""
    stranger = f'<iframe id="stranger" hidden src="{campus.issuer}/stranger"></iframe>' if campus.manners == "source" else ""
    if campus.storage == "_parent":
        return stranger + script(campus)
    return f'<iframe name="{campus.storage}" hidden src="{campus.issuer}/storage"></iframe>' + script(campus, campus.storage)


def frame(campus):
    return f"<!doctype html><title>storage</title><body>{script(campus)}</body>"


STRANGER = "<!doctype html><title>stranger</title><script>function speak(to, what, origin) { to.postMessage(what, origin) }</script>"
