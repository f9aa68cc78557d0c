// The list: filters, search, keys. The timelines are in timeline.js, the theme is in common.js. Without scripts everything
// but those can be read: items are <details>.
const items = all('.item'), filters = all('[data-filter]'), find = one('#find');
let verdict = 'all';

const visible = () => items.filter((item) => !item.hidden);
function show() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const item of items) {
    const fits = verdict === 'all' || item.dataset.verdict === verdict;
    item.text ??= item.textContent.toLowerCase();
    item.hidden = !(fits && words.every((word) => item.text.includes(word)));
  }
  for (const family of all('.family')) family.hidden = !one('.item:not([hidden])', family);
  for (const filter of filters) filter.setAttribute('aria-pressed', String(filter.dataset.filter === verdict));
  const left = visible().length;
  one('#none').hidden = left > 0;
  one('#left').textContent = left === items.length ? '' : `${left} of ${items.length} shown`;
}
function choose(name) {
  verdict = verdict === name ? 'all' : name;
  show();
}
filters.forEach((filter) => filter.addEventListener('click', () => choose(filter.dataset.filter)));
find.addEventListener('input', show);

function step(by) {
  const shown = visible();
  if (!shown.length) return;
  const here = shown.indexOf(document.activeElement?.closest?.('.item'));
  const next = here < 0 ? (by > 0 ? 0 : shown.length - 1) : Math.min(shown.length - 1, Math.max(0, here + by));
  const summary = one('summary', shown[next]);
  summary.focus({ preventScroll: true });
  summary.scrollIntoView({ block: 'nearest' });
}

const help = one('#help');
function reset() {
  find.value = '';
  verdict = 'all';
  show();
}
const keys = {
  j: () => step(1), k: () => step(-1), '/': () => { find.focus(); find.select(); }, '?': () => help.showModal(), Escape: reset,
  1: () => choose('fail'), 2: () => choose('error'), 3: () => choose('xfail'), 4: () => choose('skip'), 5: () => choose('pass'),
  t: () => theme(), '+': () => zoom(0.5), '=': () => zoom(0.5), '-': () => zoom(2), 0: () => zoom(0),
};
addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (event.target.matches('input')) {
    if (event.key === 'Escape') { reset(); find.blur(); } else if (event.key === 'Enter') step(1);
    return;
  }
  const action = keys[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});
one('#keys').addEventListener('click', () => help.showModal());

addEventListener('click', (event) => {
  const button = event.target.closest?.('.cmd button');
  if (!button) return;
  const code = one('code', button.parentElement);
  const told = (word) => { button.textContent = word; setTimeout(() => { button.textContent = 'Copy'; }, 1500); };
  const select = () => { getSelection().selectAllChildren(code); told('Selected'); };
  if (navigator.clipboard) navigator.clipboard.writeText(code.textContent).then(() => told('Copied'), select); else select();
});

function follow() {
  const item = items.find((item) => location.hash === `#${encodeURIComponent(item.id)}`);
  if (!item) return;
  item.open = true;
  one('summary', item).focus({ preventScroll: true });
  item.scrollIntoView();
}
addEventListener('hashchange', follow);
// On a click, which a key is too, and not when it opens by itself: the browser would scroll there.
items.forEach((item) => one('summary', item).addEventListener('click', () => {
  history.replaceState(null, '', item.open ? '#' : `#${encodeURIComponent(item.id)}`);
}));

show();
reserve();
all('.item[open] .tl').filter((box) => box.checkVisibility()).forEach(drawn);
follow();
if (location.hash === '#check') check();
root.dataset.items = items.length;
root.dataset.ready = 'yes';

// For the gate: everything opened and drawn; what it found is read from the document.
function check() {
  all('details').forEach((details) => { details.open = true; });
  all('.tl').forEach((box) => drawn(box));
  root.dataset.timelines = all('.tl svg').filter((svg) => svg.childElementCount > 0).length;
  root.dataset.wider = Math.max(0, root.scrollWidth - root.clientWidth);
  const box = one('.tl'), plan = box && plans.get(box);
  if (box) {
    keys['+']();
    root.dataset.zoomed = plan.until - plan.from < plan.end ? 'yes' : 'no';
    keys[0]();
    if (plan.from !== 0 || plan.until !== plan.end) root.dataset.zoomed = 'no';
  }
  keys.j();
  root.dataset.focus = document.activeElement === one('summary', items[0]) ? 'yes' : 'no';
  find.value = 'no such thing anywhere';
  show();
  root.dataset.found = visible().length;
  reset();
  const shown = filters.map((filter) => { choose(filter.dataset.filter); return visible().length; });
  verdict = 'all';
  show();
  root.dataset.filtered = shown.join(' ');
}
