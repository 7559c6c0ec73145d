// Uploads and deletes from a list of files. Without it, the form uploads all the same.
'use strict';

const form = document.getElementById('upload'); // null where uploads are not offered
const dialog = document.getElementById('sure'); // null where deletions are not offered
const transfers = document.getElementById('transfers');
const said = document.getElementById('said');
const table = document.querySelector('table');

// What to tell people for a status; 0 stands for no answer at all.
const WORDS = {
  0: 'The connection was lost.',
  401: 'You are not allowed to do this.', 403: 'You are not allowed to do this.',
  404: 'It is not there any more.',
  409: 'This name is taken already.',
  413: 'The file is too large for this server.',
  503: 'The server is busy. Try again in a moment.',
  507: 'The disk of the server is full.',
};
const words = (status) => WORDS[status] ?? `The server did not do it (status ${status}).`;
const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const button = (text, onclick) => make('button', { type: 'button', onclick }, text);
// A name may turn the direction of writing, but only its own.
const bdi = (name) => make('bdi', {}, name);
const say = (failed, ...parts) => {
  said.classList.toggle('failed', failed);
  said.replaceChildren(...parts);
};
const size = (bytes) => {
  const power = Math.min(Math.floor(Math.log2(bytes + 1) / 10), 4);
  const unit = ['B', 'KiB', 'MiB', 'GiB', 'TiB'][power];
  return `${Math.round((10 * bytes) / 1024 ** power) / 10} ${unit}`;
};

// Takes a row away, and hands the keyboard's place on if it was in there.
const remove = (row) => {
  const near = row.nextElementSibling ?? row.previousElementSibling;
  const next = near?.querySelector('button') ?? form?.elements.file ?? table.querySelector('a');
  if (row.contains(document.activeElement)) next.focus();
  row.remove();
};

// --- Uploads: one after the other, in the order in which they were chosen.
const waiting = [];
const uploaded = new Set(); // the URLs of what has been stored
let sending = null; // the request under way

// A row for a file, with how far it is and what can be done about it.
const add = (file) => {
  const state = make('span', { className: 'state' });
  const buttons = make('span', { className: 'buttons' });
  const bar = make('progress', { ariaLabel: file.name });
  const row = transfers.appendChild(make('li', {}, bdi(file.name), state, buttons, bar));
  const show = (className, text, ...choices) => {
    const hadFocus = buttons.contains(document.activeElement);
    row.className = className;
    state.textContent = text;
    buttons.replaceChildren(...choices);
    if (hadFocus) (choices[0] ?? form.elements.file).focus();
  };
  return { file, row, state, bar, show };
};

const queue = (transfer) => {
  const cancel = () => {
    if (waiting.includes(transfer)) waiting.splice(waiting.indexOf(transfer), 1);
    remove(transfer.row);
    say(false, bdi(transfer.file.name), ' was cancelled.');
    transfer.request?.abort();
  };
  transfer.bar.value = 0;
  transfer.show('', `waiting, ${size(transfer.file.size)}`, button('Cancel', cancel));
  waiting.push(transfer);
  if (!sending) send();
};

const fail = ({ file, row, show }, text, ...choices) => {
  show('failed', text, ...choices, button('Dismiss', () => remove(row)));
  say(true, bdi(file.name), `: ${text}`);
};

const send = () => {
  const transfer = waiting.shift();
  const { file, state, bar, show } = transfer;
  const request = new XMLHttpRequest(); // which tells how far it is; fetch does not
  sending = transfer.request = request;
  say(false, 'Uploading ', bdi(file.name), waiting.length ? `, ${waiting.length} to follow.` : '.');
  request.upload.onprogress = ({ loaded, total }) => {
    bar.value = loaded / total;
    state.textContent = `${Math.floor((100 * loaded) / total)} % of ${size(file.size)}`;
  };
  const refused = () =>
    fail(transfer, words(request.status), button('Retry', () => queue(transfer)));
  request.onload = () => {
    if (request.status < 200 || request.status > 299) return refused();
    for (const { url } of request.response?.files ?? []) uploaded.add(new URL(url, location).href);
    show('done', 'done');
  };
  request.onerror = refused;
  request.onloadend = () => { // whether it was stored, refused, lost or cancelled
    sending = transfer.request = null;
    (waiting.length ? send : finish)();
  };
  request.open('POST', form.action);
  request.responseType = 'json';
  request.setRequestHeader('Accept', 'application/json');
  const content = new FormData();
  content.append('file', file);
  request.send(content);
};

// All have been sent. What failed stays to be read, the others are in the list now.
const finish = async () => {
  const refreshed = await refresh().catch(() => false);
  if (sending) return; // there is more to come by now
  const [done, failed] = ['.done', '.failed'].map((kind) => transfers.querySelectorAll(kind));
  if (done.length) {
    const others = failed.length ? `, ${failed.length} not` : '';
    const rest = refreshed ? '.' : '. Reload the page to see the new list.';
    say(failed.length > 0, `${done.length} uploaded${others}${rest}`);
  }
  if (refreshed) done.forEach(remove);
};

// Puts the list as it is now in the place of the old one, if there still is a list.
const refresh = async () => {
  const answer = await fetch('./', { headers: { Accept: 'text/html' }, cache: 'no-store' });
  // Only a list of the server's own may run scripts; an index.html, which may be there by now, is
  // whoever's, and must not get its links in here.
  if (!answer.headers.get('Content-Security-Policy')?.includes('script-src')) return false;
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  table.tBodies[0].replaceWith(page.querySelector('tbody'));
  for (const row of table.tBodies[0].rows) {
    if (uploaded.has(row.querySelector('a').href)) row.className = 'new';
    if (dialog) offerDeletion(row);
  }
  return true;
};

if (form) {
  form.className = 'live'; // choosing is enough, and dropping is possible
  for (const child of form.querySelectorAll('button, span')) child.hidden = !child.hidden;
  form.elements.file.onchange = ({ target }) => {
    const files = [...target.files];
    target.value = ''; // so that the same file can be chosen again
    files.forEach((file) => queue(add(file)));
  };
  const drag = (event) => {
    const { type, relatedTarget, dataTransfer } = event;
    const hasFiles = dataTransfer.types.includes('Files');
    if (hasFiles) event.preventDefault(); // or the browser would open them
    const isOver = type !== 'drop' && (type !== 'dragleave' || relatedTarget !== null);
    document.body.classList.toggle('dropping', hasFiles && isOver);
  };
  for (const type of ['dragenter', 'dragover', 'dragleave', 'drop']) addEventListener(type, drag);
  addEventListener('drop', ({ dataTransfer }) => {
    for (const item of [...dataTransfer.items].filter(({ kind }) => kind === 'file')) {
      const isDirectory = item.webkitGetAsEntry?.()?.isDirectory;
      const transfer = add(item.getAsFile());
      if (isDirectory) fail(transfer, 'Only files can be uploaded, not directories.');
      else queue(transfer);
    }
    form.scrollIntoView({ block: 'nearest' });
  });
  addEventListener('beforeunload', (event) => sending && event.preventDefault());
}

// --- Deletions: of files, which are what has a size. Their links lead to them, whatever the name.
const offerDeletion = (row) => {
  const cell = Object.assign(row.insertCell(), { className: 'act' });
  if (!row.querySelector('data')) return;
  cell.append(button('Delete', () => del(row)));
  cell.firstChild.ariaLabel = `Delete ${row.querySelector('a').textContent}`;
};

const isSure = (name) => new Promise((decide) => {
  dialog.querySelector('bdi').textContent = name;
  dialog.returnValue = '';
  dialog.onclose = () => decide(dialog.returnValue === 'delete');
  dialog.showModal();
});

const del = async (row) => {
  const { href, textContent: name } = row.querySelector('a');
  if (!await isSure(name)) return;
  const request = { method: 'DELETE', headers: { Accept: 'application/json' } };
  const { ok, status } = await fetch(href, request).catch(() => ({ status: 0 }));
  say(!ok, bdi(name), ok ? ' was deleted.' : `: ${words(status)}`);
  // The list may have been fetched anew in between.
  const rows = ok ? [...table.tBodies[0].rows] : [];
  rows.filter((other) => other.querySelector('a').href === href).forEach(remove);
};

if (dialog) {
  table.tHead.rows[0].append(make('th', { className: 'act', scope: 'col', ariaLabel: 'Delete' }));
  for (const row of table.tBodies[0].rows) offerDeletion(row);
}
