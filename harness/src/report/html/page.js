'use strict';
// The index is small and read at once; what a case said is packed and read when it is opened.
const index = JSON.parse(document.getElementById('index').textContent);
const main = document.getElementById('main');
const said = document.getElementById('said');

// What is known is less grave than any news.
const VERDICTS = {
  fail: { word: 'fail', many: 'failed', mark: '✗', gravity: 8 },
  'pass-unlike-known': { word: 'pass, unlike known', many: 'passed, unlike known', mark: '+', gravity: 7 },
  broken: { word: 'broken', many: 'broken', mark: '!', gravity: 6 },
  unrun: { word: 'not run', many: 'not run', mark: '?', gravity: 5 },
  deviation: { word: 'deviation', many: 'deviations', mark: '~', gravity: 4 },
  unsupported: { word: 'unsupported', many: 'unsupported', mark: '–', gravity: 3 },
  'fail-as-known': { word: 'fail, as known', many: 'failed, as known', mark: '≠', gravity: 2 },
  'deviation-as-known': { word: 'deviation, as known', many: 'deviations, as known', mark: '≈', gravity: 1 },
  pass: { word: 'pass', many: 'passed', mark: '✓', gravity: 0 },
};
const NO_NEWS = ['pass', 'unsupported', 'fail-as-known', 'deviation-as-known'];
const ROLES = { server: 'as server', client: 'as client' };
const ATTENTION_FIRST = 8;
const ATTENTION_STEP = 100;
const OPEN_ROWS_MAX = 60;
const TALL_FROM = 7;

// In which columns a case stands: the peer's that faces ours, or of two others, both.
function seats({ client, server }) {
  const asClient = { peer: client, role: 'client' };
  const asServer = { peer: server, role: 'server' };
  if (client === 'scripted' || (client === 'minissh' && server !== 'scripted')) return [asServer];
  return server === 'scripted' || server === 'minissh' ? [asClient] : [asServer, asClient];
}

const cases = index.cases.map(([scenario, client, server, verdict, notes, flaky, ms, told], id) => {
  const { name, title, level, subject } = index.scenarios[scenario];
  const one = { id, scenario, name, title, level, subject, client: index.peers[client].id, server: index.peers[server].id,
    verdict: verdict || 'unrun', noted: notes, flaky, ms, told };
  one.area = name.split('/')[0];
  one.seats = seats(one);
  one.text = `${name} ${title} ${one.client} ${one.server} ${one.verdict} ${told || ''}`.toLowerCase();
  one.href = '#/case/' + [name, one.client, one.server].map(encodeURIComponent).join('/');
  return one;
});
const byHref = new Map(cases.map((one) => [one.href, one]));
const versions = new Map(index.peers.map(({ id, version }) => [id, version]));
const areas = [...new Set(cases.map((one) => one.area))];

const escapes = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const esc = (text) => String(text).replace(/[&<>"']/g, (c) => escapes[c]);
const count = (number) => number.toLocaleString('en');
const plural = (number, word) => `${count(number)} ${word}${number === 1 ? '' : 's'}`;
const mark = (verdict) => `<span class="mark ${verdict}" aria-hidden="true">${VERDICTS[verdict].mark}</span>`;
const secs = (ms) => (ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`);

// Filters live in the address, so that what one person sees can be shown to another.

const EMPTY = { q: '', role: '', area: '', level: '', verdict: '' };
let filters = { ...EMPTY };

function readFilters(query) {
  const given = new URLSearchParams(query);
  filters = Object.fromEntries(Object.keys(EMPTY).map((key) => [key, given.get(key) || '']));
}

function overviewHref() {
  const query = new URLSearchParams(Object.entries(filters).filter(([, value]) => value)).toString();
  return query ? `#/?${query}` : '#/';
}

function filtered(without) {
  const words = filters.q.toLowerCase().split(/\s+/).filter(Boolean);
  const verdicts = filters.verdict && without !== 'verdict' ? filters.verdict.split(',') : null;
  return cases.filter((one) =>
    (!filters.role || one.seats.some(({ role }) => role === filters.role)) && (!filters.area || one.area === filters.area)
    && (!filters.level || one.level === filters.level) && (!verdicts || verdicts.includes(one.verdict))
    && words.every((word) => one.text.includes(word)));
}

// The overview.

function overview() {
  const title = heading();
  document.title = `${title} · sshdrill`;
  const option = (value, text, key) => `<option value="${esc(value)}"${filters[key] === value ? ' selected' : ''}>${esc(text)}</option>`;
  const select = (key, label, options) => `<label>${label}<select class="field" name="${key}">${option('', 'all', key)}${
    options.map(([value, text]) => option(value, text, key)).join('')}</select></label>`;
  const levels = ['security', 'must', 'should', 'may'].filter((level) => index.scenarios.some((one) => one.level === level));
  main.innerHTML = `
    <h1 tabindex="-1">${title}</h1>
    <p class="lede">${esc(lede())}</p>
    <div class="share" aria-hidden="true" id="share"></div>
    <div class="chips" role="group" aria-label="Show only these verdicts" id="chips"></div>
    <form class="filters" role="search" id="filters">
      <label>Search<input class="field" type="search" name="q" value="${esc(filters.q)}" placeholder="scenario, peer, what happened" autocomplete="off" spellcheck="false"></label>
      ${select('role', 'Role of the peer', Object.entries(ROLES))}
      ${select('area', 'Area', areas.map((area) => [area, area]))}
      ${select('level', 'Level', levels.map((level) => [level, level]))}
      <button type="reset" class="quiet field" style="width:auto">Clear</button>
    </form>
    <p class="shown" id="shown"></p>
    <section id="attention" aria-labelledby="attention-title"></section>
    <section id="matrix" aria-labelledby="matrix-title"></section>
    ${people()}${leftOut()}`;
  const form = document.getElementById('filters');
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('input', (event) => { filters[event.target.name] = event.target.value; filtersChanged(); });
  form.addEventListener('reset', () => { filters = { ...EMPTY }; setTimeout(() => { overview(); filtersChanged(); document.querySelector('[name=q]').focus(); }); });
  refresh();
}

function heading() {
  const of = (verdict) => cases.filter((one) => one.verdict === verdict).length;
  const all = plural(cases.length, 'case');
  if (of('fail')) return `${count(of('fail'))} of ${all} failed`;
  if (of('pass-unlike-known')) return `${count(of('pass-unlike-known'))} of ${all} passed, unlike known`;
  return `None of ${all} failed${of('fail-as-known') ? ' but as known' : ''}`;
}

function lede() {
  const { participants } = index;
  const peers = participants.filter((id) => id !== 'scripted');
  const scenarios = plural(index.scenarios.length, 'scenario');
  return `${scenarios} with ${plural(peers.length, 'peer')}, in ${secs(index.took_ms)}.`;
}

let pending;
function filtersChanged() {
  clearTimeout(pending);
  pending = setTimeout(() => { history.replaceState(null, '', overviewHref()); refresh(); }, 80);
}

function refresh() {
  const shown = filtered();
  chips(filtered('verdict'));
  const text = shown.length === cases.length ? `All ${plural(cases.length, 'case')} shown` : `${count(shown.length)} of ${plural(cases.length, 'case')} shown`;
  document.getElementById('shown').textContent = text;
  said.textContent = text;
  attention(shown);
  matrix(shown);
}

function chips(among) {
  const tally = {};
  for (const one of among) tally[one.verdict] = (tally[one.verdict] || 0) + 1;
  const chosen = filters.verdict ? filters.verdict.split(',') : [];
  const present = Object.keys(VERDICTS).filter((verdict) => tally[verdict] || chosen.includes(verdict));
  const box = document.getElementById('chips');
  box.innerHTML = present.map((verdict) => `<button type="button" class="chip ${verdict}" data-verdict="${verdict}" aria-pressed="${chosen.includes(verdict)}">${
    mark(verdict)}<span><b>${count(tally[verdict] || 0)}</b> ${VERDICTS[verdict].many}</span></button>`).join('');
  box.onclick = (event) => {
    const button = event.target.closest('button');
    if (!button) return;
    const { verdict } = button.dataset;
    const now = chosen.includes(verdict) ? chosen.filter((other) => other !== verdict) : [...chosen, verdict];
    filters.verdict = now.join(',');
    filtersChanged();
    setTimeout(() => box.querySelector(`[data-verdict=${verdict}]`)?.focus(), 120);
  };
  document.getElementById('share').innerHTML = present.slice().reverse()
    .map((verdict) => `<span class="${verdict}" style="flex:${tally[verdict] || 0}"></span>`).join('');
}

function attention(shown, limit = ATTENTION_FIRST) {
  const box = document.getElementById('attention');
  const loud = shown.filter((one) => !['pass', 'unsupported'].includes(one.verdict) || one.flaky);
  loud.sort((a, b) => VERDICTS[b.verdict].gravity - VERDICTS[a.verdict].gravity || a.id - b.id);
  box.hidden = loud.length === 0;
  const item = (one) => `<li><a class="${one.verdict}" href="${one.href}">${mark(one.verdict)}
    <strong><span class="sr">${VERDICTS[one.verdict].word}: </span>${esc(one.name)}</strong>
    <span class="who">${esc(one.client)} → ${esc(one.server)}</span>
    <span class="what">${esc(one.title)}${one.flaky ? ' (flaky)' : ''}</span>
    ${one.told ? `<span class="what">${esc(one.told)}</span>` : ''}</a></li>`;
  box.innerHTML = `<h2 id="attention-title">What did not simply pass <small>${count(loud.length)}</small></h2>
    <ul class="list">${loud.slice(0, limit).map(item).join('')}</ul>
    ${loud.length > limit ? `<button type="button" class="quiet more">Show ${count(Math.min(loud.length - limit, ATTENTION_STEP))} more</button>` : ''}`;
  box.querySelector('.more')?.addEventListener('click', () => {
    attention(shown, limit + ATTENTION_STEP);
    box.querySelectorAll('.list a')[limit]?.focus();
  });
}

// The matrix: one body for each area, whose rows are made when it is opened.

let openAreas = new Map();

function matrix(shown) {
  const box = document.getElementById('matrix');
  const used = new Set(shown.flatMap((one) => one.seats.map(({ peer, role }) => `${peer} ${role}`)));
  const columns = index.columns.flatMap((peer) => Object.keys(ROLES).map((role) => ({ peer, role })))
    .filter(({ peer, role }) => used.has(`${peer} ${role}`));
  const heads = [];
  for (const column of columns) {
    const last = heads[heads.length - 1];
    if (last?.peer === column.peer) { last.span += 1; columns[columns.indexOf(column) - 1].last = false; } else heads.push({ peer: column.peer, span: 1 });
    column.last = true;
  }
  const rows = new Set(shown.map((one) => one.scenario)).size;
  const groups = areas.map((area) => ({ area, cases: shown.filter((one) => one.area === area) })).filter((group) => group.cases.length);
  const tall = heads.length >= TALL_FROM ? 'tall' : '';
  box.innerHTML = `<h2 id="matrix-title">Scenarios by peers <small>${count(rows)} × ${heads.length}</small></h2>
    ${shown.length ? `<div class="frame" tabindex="0" role="region" aria-labelledby="matrix-title"><table class="matrix">
    <caption class="sr">The verdict of each scenario with each peer, as server and as client. Arrow keys move between verdicts, Enter opens the case.</caption>
    <thead><tr><th scope="col" rowspan="2">Scenario</th>${heads.map(({ peer, span }) => `<th scope="colgroup" colspan="${span}" class="last" title="${esc(versions.get(peer) || peer)}"><span class="${tall}">${esc(peer)}</span></th>`).join('')}</tr>
    <tr>${columns.map(({ role, last }) => `<th scope="col" class="${last ? 'last' : ''}"><abbr title="the peer ${ROLES[role]}" style="text-decoration:none"><span aria-hidden="true">${role[0]}</span><span class="sr">${ROLES[role]}</span></abbr></th>`).join('')}</tr></thead>
    </table></div><p class="key">${legend(shown)}</p>` : '<p class="note">Nothing fits these filters.</p>'}`;
  if (!shown.length) return;
  const table = box.querySelector('table');
  const quietMax = rows <= OPEN_ROWS_MAX;
  for (const group of groups) {
    const body = document.createElement('tbody');
    const loud = group.cases.some((one) => !NO_NEWS.includes(one.verdict));
    const open = openAreas.get(group.area) ?? (quietMax || (loud && group.cases.length <= 600));
    areaBody(body, group, columns, open);
    body.addEventListener('click', (event) => {
      const button = event.target.closest('.area button');
      if (!button) return;
      const now = button.getAttribute('aria-expanded') !== 'true';
      openAreas.set(group.area, now);
      areaBody(body, group, columns, now);
      body.querySelector('button').focus();
    });
    table.append(body);
  }
  const head = table.querySelector('thead tr');
  table.style.setProperty('--head', `${head.getBoundingClientRect().height}px`);
  roving(table);
}

function areaBody(body, { area, cases: inArea }, columns, open) {
  const scenarios = new Map();
  for (const one of inArea) {
    if (!scenarios.has(one.scenario)) scenarios.set(one.scenario, []);
    scenarios.get(one.scenario).push(one);
  }
  const cellsOf = (some, label) => {
    const worst = new Map();
    for (const one of some) {
      for (const { peer, role } of one.seats) {
        const key = `${peer} ${role}`;
        const known = worst.get(key);
        if (!known || VERDICTS[one.verdict].gravity > VERDICTS[known.verdict].gravity) worst.set(key, one);
      }
    }
    return columns.map(({ peer, role, last }) => {
      const one = worst.get(`${peer} ${role}`);
      return `<td class="${last ? 'last' : ''}">${one ? label(one) : ''}</td>`;
    }).join('');
  };
  const link = (one) => `<a tabindex="-1" class="cell ${one.verdict}${one.noted ? ' noted' : ''}" href="${one.href}" title="${esc(`${one.name}\n${one.client} → ${one.server}: ${VERDICTS[one.verdict].word}`)}"><span aria-hidden="true">${VERDICTS[one.verdict].mark}</span><span class="sr">${VERDICTS[one.verdict].word}${one.noted ? ', with a note' : ''}</span></a>`;
  const sign = (one) => `<span class="cell ${one.verdict}"><span aria-hidden="true">${VERDICTS[one.verdict].mark}</span><span class="sr">${VERDICTS[one.verdict].word}</span></span>`;
  const rows = open ? [...scenarios.values()].map((some) => `<tr class="row"><th scope="row" title="${esc(some[0].title)}">${
    esc(some[0].name.slice(area.length + 1) || area)}</th>${cellsOf(some, link)}</tr>`).join('') : '';
  body.innerHTML = `<tr class="area"><th scope="rowgroup"><button type="button" aria-expanded="${open}">${esc(area)} <small>${
    plural(scenarios.size, 'scenario')}</small></button></th>${open ? columns.map(() => '<td></td>').join('') : cellsOf(inArea, sign)}</tr>${rows}`;
}

function legend(shown) {
  const present = Object.keys(VERDICTS).filter((verdict) => shown.some((one) => one.verdict === verdict)).reverse();
  return present.map((verdict) => `<span>${mark(verdict)} ${VERDICTS[verdict].word}</span>`).join('')
    + (shown.some((one) => one.noted) ? '<span>• with a note</span>' : '') + '<span><b>s</b> the peer as server</span><span><b>c</b> as client</span>';
}

// One stop for the tab key in the whole table; arrows go from verdict to verdict.
function roving(table) {
  const first = () => table.querySelector('a.cell');
  first()?.setAttribute('tabindex', '0');
  table.addEventListener('keydown', (event) => {
    const link = event.target.closest('a.cell');
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!link || !step) return;
    event.preventDefault();
    const all = [...table.querySelectorAll('tr.row')];
    let row = all.indexOf(link.closest('tr'));
    let column = link.closest('td').cellIndex;
    for (;;) {
      row += step[0];
      column += step[1];
      const cell = all[row]?.cells[column];
      if (!cell || cell.tagName !== 'TD') return;
      const next = cell.querySelector('a.cell');
      if (next) { table.querySelectorAll('a.cell[tabindex="0"]').forEach((a) => { a.tabIndex = -1; }); next.tabIndex = 0; next.focus(); return; }
    }
  });
}

function people() {
  const rows = index.participants.map((id) => `<tr><th scope="row">${esc(id)}</th><td>${esc(versions.get(id) || '')}</td></tr>`).join('');
  return `<section><h2>Who took part</h2><table class="plain"><caption class="sr">Peers and their versions</caption><tbody>${rows}</tbody></table></section>`;
}

function leftOut() {
  if (!index.left_out.length) return '';
  const item = ({ why, hint, whats }) => `<li>${whats.length > 3 ? `<details><summary><b>${esc(whats[0])}</b> and ${count(whats.length - 1)} more</summary>${whats.slice(1).map((what) => `<code>${esc(what)}</code><br>`).join('')}</details>`
    : `<b>${whats.map(esc).join(', ')}</b>`}<br>${esc(why)}${hint ? `<br><span class="note">${esc(hint)}</span>` : ''}</li>`;
  return `<section><h2>What was left out</h2><ul class="left">${index.left_out.map(item).join('')}</ul></section>`;
}

// A case.

const unpacked = new Map();
function unpack(name) {
  if (!unpacked.has(name)) {
    const packed = Uint8Array.from(atob(document.getElementById(name).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
    unpacked.set(name, new Response(stream).json());
  }
  return unpacked.get(name);
}

async function page(one) {
  const [texts, some] = await Promise.all([unpack('texts'), unpack(`cases-${Math.floor(one.id / index.chunk)}`)]);
  if (location.hash !== one.href) return;
  const detail = some[one.id % index.chunk];
  const scenario = texts.scenarios[one.scenario];
  const list = filtered();
  const at = list.indexOf(one);
  const go = (other, text) => (other ? `<a href="${other.href}" title="${esc(other.name)}">${text}</a>` : '');
  const player = (side) => `<span class="player ${side}"><small>${side}</small>${esc(one[side])}${
    versions.get(one[side]) && versions.get(one[side]) !== one[side] ? `<small>${esc(versions.get(one[side]))}</small>` : ''}</span>`;
  document.title = `${VERDICTS[one.verdict].word}: ${one.name} · sshdrill`;
  main.innerHTML = `<article class="case">
    <nav class="crumbs" aria-label="Cases"><a href="${esc(overviewHref())}">← All results</a>
      <span>${at >= 0 ? go(list[at - 1], '↑ Previous') + go(list[at + 1], '↓ Next') : ''}</span></nav>
    <span class="badge ${one.verdict}">${mark(one.verdict)}${VERDICTS[one.verdict].word}${one.noted && one.verdict === 'pass' ? ', with a note' : ''}${one.flaky ? ', flaky' : ''}</span>
    <h1 tabindex="-1">${esc(one.name)}</h1>
    <p class="lede">${esc(one.title)}</p>
    <div class="players">${player('client')}<span aria-hidden="true">→</span><span class="sr">with</span>${player('server')}</div>
    ${outcome(one, detail)}
    ${requirement(one, scenario, texts.clauses)}
    <section><h2 id="again-title">Run it again</h2>
      <div class="again"><code tabindex="0" aria-labelledby="again-title">${esc(detail.rerun)}</code><button type="button" class="quiet" id="copy">Copy</button></div>
      ${gets(detail)}</section>
    <div class="wire">${steps(scenario, detail)}${ladder(one, detail)}</div>
    ${logs(detail)}
  </article>`;
  // What went wrong stands at the end of a log.
  for (const log of document.querySelectorAll('pre.log')) log.scrollTop = log.scrollHeight;
  document.getElementById('copy').addEventListener('click', async (event) => {
    try { await navigator.clipboard.writeText(detail.rerun); event.target.textContent = 'Copied'; } catch { getSelection().selectAllChildren(document.querySelector('.again code')); }
  });
  document.getElementById('capture')?.addEventListener('click', (event) => save(event, detail.capture));
  main.querySelector('h1').focus({ preventScroll: true });
  scrollTo(0, 0);
}

function facts(pairs) {
  const shown = pairs.filter(([, value]) => value);
  return `<dl class="facts">${shown.map(([name, value]) => `<dt>${name}</dt><dd>${esc(value)}</dd>`).join('')}</dl>`;
}

function outcome(one, { failure, known, notes, runs, seed }) {
  const rows = [];
  if (failure) rows.push(['Step', failure.step], ['Expected', failure.expected], ['Actual', failure.actual], ['Hint', failure.hint]);
  if (known) rows.push(['Known as', known]);
  for (const note of notes || []) rows.push(['Note', note]);
  if (runs?.length) rows.push(['Runs', runs.join(', ')]);
  if (one.verdict === 'unrun') rows.push(['', 'The run was stopped before this case ended.']);
  rows.push(['Took', secs(one.ms)], ['Seed', seed]);
  return `<section><h2>What happened</h2><div class="card told ${one.verdict}">${facts(rows)}</div></section>`;
}

function requirement(one, scenario, clauses) {
  const level = { may: 'May', should: 'Should', must: 'Must', security: 'Must, for security' }[one.level];
  const clause = (id) => {
    const known = clauses[id];
    return `<div class="clause"><b>${known ? esc(known.source) : ''} <code>${esc(id)}</code></b>${known ? `<blockquote>${esc(known.says)}</blockquote>` : ''}</div>`;
  };
  return `<section><h2>What is asked <small>${level}</small></h2><div class="card">${scenario.cites.map(clause).join('')}
    ${scenario.consequence ? `<p class="consequence"><b>If it is broken:</b> ${esc(scenario.consequence)}</p>` : ''}</div></section>`;
}

function gets({ capture, files }) {
  const links = [];
  if (capture) links.push(capture.bytes ? `<a id="capture" href="#" role="button">Download the capture (${secsOfBytes(capture.bytes)})</a>` : `<a href="${esc(capture.href)}" download>Download the capture</a>`);
  if (files) links.push(files.href ? `<a href="${esc(files.href)}">All files</a>` : `<span class="note">Files: <code>${esc(files.path)}</code></span>`);
  const help = capture ? '<p class="note" style="flex-basis:100%">Wireshark 4.6 opens it decrypted: the keys are inside.</p>' : '';
  return links.length ? `<div class="gets">${links.join('')}${help}</div>` : '';
}

const secsOfBytes = (base64) => `${Math.ceil((base64.length * 3) / 4 / 1024)} KiB`;

function save(event, capture) {
  event.preventDefault();
  const bytes = Uint8Array.from(atob(capture.bytes), (c) => c.charCodeAt(0));
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes], { type: 'application/x-pcapng' }));
  link.download = capture.name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function steps(scenario, { failure }) {
  const line = ({ line, source }) => `<span data-line="${line}"${failure?.line === line ? ' class="hit" aria-label="the step that decided"' : ''}>${esc(source)}</span>`;
  return `<section><h2>The scenario <small>${esc(scenario.path)}</small></h2><pre class="code lines" tabindex="0"><code>${scenario.steps.map(line).join('')}</code></pre></section>`;
}

function ladder(one, { packets }) {
  if (!packets?.shown?.length) {
    return `<section><h2>What crossed the wire</h2><p class="note">${one.verdict === 'unrun' ? 'Nothing was recorded.' : 'The packets of this case were not kept.'}</p></section>`;
  }
  const witness = one.client === 'scripted' || one.server === 'scripted' ? 'scripted' : 'minissh';
  const usIsClient = one.client === witness;
  const gap = (number) => (number ? `<li class="gap">… ${plural(number, 'packet')} left out</li>` : '');
  const item = (packet, number) => {
    const side = (packet.from === 'us') === usIsClient ? 'client' : 'server';
    const at = packet.text.search(/ /);
    const [name, rest] = at < 0 ? [packet.text, ''] : [packet.text.slice(0, at), packet.text.slice(at + 1)];
    const seq = packet.sequence === undefined ? '' : `<i title="key epoch and sequence number">${packet.epoch}:${packet.sequence}</i>`;
    const head = `<span class="sr">${side}: </span><b>${esc(name)}</b>${seq}`;
    const body = rest ? `<details><summary>${head}<span class="mono">${esc(rest)}</span></summary><dl>${fields(rest)}</dl></details>` : head;
    const decided = packets.decided === number + 1 && one.verdict !== 'pass';
    return `<li${decided ? ' class="decided"' : ''}><time>${(packet.at_us / 1000).toFixed(2)} ms</time><div class="lane ${side}">${body}${decided ? '<span class="sr"> Here the verdict fell.</span>' : ''}</div></li>`;
  };
  return `<section><h2>What crossed the wire <small>as ${esc(witness)} saw it</small></h2><div class="code">
    <div class="ends" aria-hidden="true"><span class="client">${esc(one.client)}</span><span class="server">${esc(one.server)}</span></div>
    <ol class="ladder">${gap(packets.before)}${packets.shown.map(item).join('')}${gap(packets.after)}</ol></div></section>`;
}

// `name=value name="a value"`; what is not of this form is shown as it is.
function fields(text) {
  const found = [...text.matchAll(/([a-z][a-z0-9-]*)=("(?:[^"\\]|\\.)*"|\S*)/g)];
  if (!found.length) return `<dt></dt><dd>${esc(text)}</dd>`;
  return found.map(([, name, value]) => `<dt>${esc(name)}</dt><dd>${esc(value)}</dd>`).join('');
}

function logs({ logs: some }) {
  if (!some?.length) return '';
  const log = ({ name, text, before }) => `<section><h3>${esc(name)}</h3>${before ? `<p class="note">${plural(before, 'byte')} before this left out</p>` : ''}<pre class="code log" tabindex="0">${esc(text) || '<span class="note">It said nothing.</span>'}</pre></section>`;
  return `<section><h2>${some.length > 1 ? 'What both sides logged' : 'What was logged'}</h2><div class="two">${some.map(log).join('')}</div></section>`;
}

// Routes and colours.

let scrolled = 0;
function route() {
  const { hash } = location;
  const one = byHref.get(hash);
  if (one) {
    page(one).catch((error) => { main.innerHTML = `<h1 tabindex="-1">This case cannot be shown</h1><p class="note">${esc(error)}</p>`; console.error(error); });
    return;
  }
  readFilters(hash.startsWith('#/?') ? hash.slice(3) : '');
  overview();
  scrollTo(0, scrolled);
}
addEventListener('hashchange', route);
addEventListener('click', (event) => { if (event.target.closest('a[href^="#/case/"]') && !main.querySelector('.case')) scrolled = scrollY; }, true);
document.querySelector('.skip').addEventListener('click', (event) => { event.preventDefault(); main.focus(); });

const theme = document.getElementById('theme');
const THEMES = { auto: 'as the system has them', light: 'light', dark: 'dark' };
let chosen = 'auto';
try { chosen = localStorage.getItem('sshdrill-theme') || 'auto'; } catch { /* Not for a file of this browser. */ }
function applyTheme() {
  if (chosen === 'auto') delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = chosen;
  theme.textContent = chosen[0].toUpperCase() + chosen.slice(1);
  theme.setAttribute('aria-label', `Colours: ${THEMES[chosen]}`);
}
theme.addEventListener('click', () => {
  const names = Object.keys(THEMES);
  chosen = names[(names.indexOf(chosen) + 1) % names.length];
  try { localStorage.setItem('sshdrill-theme', chosen); } catch { /* As above. */ }
  applyTheme();
});
applyTheme();

document.getElementById('run').textContent = `${index.tool} · seed ${index.seed} · ${plural(cases.length, 'case')} in ${secs(index.took_ms)}`;
route();
