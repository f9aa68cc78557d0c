// The timelines: laid out when the page is loaded, so that nothing moves later; drawn when their item is opened.
// A drawing is a window of time onto the lanes: zooming and panning change the window and draw again.
const data = JSON.parse(document.getElementById('timelines').textContent);
const FAULT = 0, STATE = 1, ATTEMPT = 2, OPERATION = 3, GAP = 4;
const BEAT = 0, REQUEST = 1, NOTE = 2, PROCESS = 3, BITE = 4, BREACH = 5;
const GOOD = 1, BAD = 2;
const AXIS = 24, HEAD = 20, FOOT = 8;
// Names of rows stand left of the lanes, unless there is little room.
const gutter = (width) => (width >= 640 ? 108 : 4);

const safe = (text) => text.replace(/[&<>"]/g, (ch) => `&#${ch.charCodeAt(0)};`);
const round = (number) => Math.round(number * 10) / 10;

// Times are microseconds.
function clock(us, unit, latest) {
  if (unit < 1e3) return `${+(us / 1e3).toFixed(3)} ms`;
  if (unit < 1e6) return `${+(us / 1e6).toFixed(3)} s`;
  const secs = Math.round(us / 1e6), two = (number) => String(number).padStart(2, '0');
  if (latest < 6e8) return `${secs} s`;
  if (latest < 108e8) return `${Math.floor(secs / 60)}:${two(secs % 60)} min`;
  return `${Math.floor(secs / 3600)}:${two(Math.floor(secs / 60) % 60)} h`;
}
const exact = (us) => `${(us / 1e6).toFixed(3)} s`;

// Rows of a lane, top to bottom, each with what is drawn in it.
function rows(lane) {
  const spans = (kind) => lane.spans.filter((span) => span.kind === kind);
  const marks = (kind) => lane.marks.filter((mark) => mark.kind === kind);
  const found = [];
  const state = spans(STATE), beats = marks(BEAT), gaps = spans(GAP);
  if (state.length) found.push({ name: 'state', height: 14, spans: state });
  if (beats.length || gaps.length) found.push({ name: 'heartbeats', height: 10, beats, gaps });
  if (spans(ATTEMPT).length) found.push({ name: 'attempts', height: 14, spans: spans(ATTEMPT) });
  packed(spans(OPERATION)).forEach((bars, index) => found.push({ name: index ? '' : 'operations', height: 14, spans: bars }));
  if (marks(REQUEST).length) found.push({ name: 'requests', height: 12, ticks: marks(REQUEST) });
  const notes = marks(NOTE);
  if (notes.length) found.push({ name: 'notifications', height: notes.some((note) => percent(note)) ? 36 : 13, notes });
  return found;
}
// `12.5` of a progress note.
const percent = (note) => / ([\d.]+) %$/.exec(note.label)?.[1];
// Bars that overlap go to rows of their own, four at most.
function packed(bars) {
  const lines = [];
  for (const bar of bars) {
    const line = lines.find((line) => line.at(-1).until <= bar.from) ?? (lines.length < 4 ? (lines.push([]), lines.at(-1)) : lines.at(-1));
    line.push(bar);
  }
  return lines;
}
function laid(timeline) {
  const end = Math.max(timeline[0], 1);
  let y = AXIS;
  const lanes = timeline[1].map(([host, omitted, spans, marks]) => {
    const lane = { host: data.text[host], omitted, top: y };
    lane.spans = spans.map(([kind, label, from, until, tone]) => (
      { kind, label: data.text[label], from, until: until < 0 ? end : until, open: until < 0, tone }));
    lane.marks = marks.map(([kind, label, at, tone]) => ({ kind, label: data.text[label], at, tone }));
    y += HEAD;
    lane.rows = rows(lane).map((row) => { const placed = { ...row, y }; y += row.height + 3; return placed; });
    y += FOOT;
    lane.bottom = y;
    return lane;
  });
  return { end, lanes, height: y + 2, from: 0, until: end };
}

class Picture {
  constructor(plan, width) {
    this.plan = plan;
    this.width = width;
    this.left = gutter(width);
    this.out = [];
    this.scale = (width - this.left - 6) / (plan.until - plan.from);
  }
  x(at) { return this.left + (at - this.plan.from) * this.scale; }
  sees(from, until = from) { return until >= this.plan.from && from <= this.plan.until; }
  put(text) { this.out.push(text); }
  title(label, from, until, open) {
    const when = until === undefined ? exact(from) : `${exact(from)} to ${open ? 'the end' : exact(until)}, ${exact(until - from)}`;
    return `<title>${safe(label)} · ${when}</title>`;
  }
  // A bar with its label in it, if there is room for at least a word.
  bar(span, y, height, css, text = span.label) {
    if (!this.sees(span.from, span.until)) return;
    const x = Math.max(this.left, this.x(span.from)), end = Math.min(this.width - 6, this.x(span.until));
    const width = Math.max(end - x, 2);
    this.put(`<rect class="${css}" x="${round(x)}" y="${y}" width="${round(width)}" height="${height}" rx="${width < 8 ? 0 : 3}">${this.title(span.label, span.from, span.until, span.open)}</rect>`);
    const room = Math.floor((width - 8) / 6.5);
    if (text && room >= Math.min(text.length, 4)) {
      const cut = text.length > room ? `${text.slice(0, Math.max(1, room - 1))}…` : text;
      this.put(`<text class="in" x="${round(x + 4)}" y="${y + height - 3.5}">${safe(cut)}</text>`);
    }
  }
  tick(mark, y, height, css, width = 2) {
    if (!this.sees(mark.at)) return;
    this.put(`<rect class="${css}" x="${round(this.x(mark.at) - width / 2)}" y="${y}" width="${width}" height="${height}">${this.title(mark.label, mark.at)}</rect>`);
  }
  axis() {
    const { from, until, height } = this.plan;
    const wanted = (until - from) / Math.max(2, (this.width - this.left) / 110);
    const nice = [1, 2, 5, 10, 20, 50].flatMap((n) => [1, 100, 1e4].map((m) => n * m))
      .concat([1e6, 2e6, 5e6, 1e7, 2e7, 3e7, 6e7, 12e7, 3e8, 6e8, 12e8, 18e8, 36e8, 72e8, 144e8, 216e8, 432e8, 864e8]).sort((a, b) => a - b);
    const unit = nice.find((step) => step >= wanted) ?? nice.at(-1);
    for (let at = Math.ceil(from / unit) * unit; at <= until; at += unit) {
      const x = round(this.x(at));
      this.put(`<path class="grid" d="M${x} ${AXIS - 5}V${height}"/>`);
      const anchor = x < this.left + 16 ? 'start' : x > this.width - 40 ? 'end' : 'middle';
      this.put(`<text x="${x}" y="13" text-anchor="${anchor}">${clock(at, unit, until)}</text>`);
    }
  }
  lane(lane, index) {
    if (index) this.put(`<path class="sep" d="M0 ${lane.top}H${this.width}"/>`);
    for (const fault of lane.spans.filter((span) => span.kind === FAULT)) this.fault(fault, lane);
    for (const row of lane.rows) {
      if (this.left > 50 && row.name) this.put(`<text class="rl" x="8" y="${row.y + Math.min(row.height - 3, 11)}">${row.name}</text>`);
      (row.spans ?? []).forEach((span) => this.bar(span, row.y, row.height, css(span)));
      (row.gaps ?? []).forEach((gap) => this.bar(gap, row.y, row.height, gap.tone === BAD ? 'k-gap' : 'k-gap quiet', ''));
      (row.beats ?? []).forEach((beat) => this.tick(beat, row.y + 1, row.height - 2, 'm-beat'));
      (row.ticks ?? []).forEach((tick) => this.tick(tick, tick.tone === BAD ? row.y : row.y + 3, tick.tone === BAD ? row.height : row.height - 3, tick.tone === BAD ? 'm-bad' : 'm-req'));
      if (row.notes) this.notes(row);
    }
    for (const mark of lane.marks.filter((mark) => mark.kind >= PROCESS && this.sees(mark.at))) this.event(mark, lane);
    this.put(`<text class="host halo" x="8" y="${lane.top + 15}">${safe(lane.host)}</text>`);
    if (lane.omitted) this.put(`<text class="halo" x="${this.width - 8}" y="${lane.top + 14}" text-anchor="end">${lane.omitted} more not drawn</text>`);
  }
  fault(fault, lane) {
    if (!this.sees(fault.from, fault.until)) return;
    const x = Math.max(this.left, this.x(fault.from)), end = Math.min(this.width - 6, this.x(fault.until));
    const width = Math.max(end - x, 2);
    this.put(`<rect class="k-fault" x="${round(x)}" y="${lane.top + 3}" width="${round(width)}" height="${lane.bottom - lane.top - 6}" rx="3">${this.title(`fault: ${fault.label}`, fault.from, fault.until, fault.open)}</rect>`);
    const clear = Math.max(x + 5, lane.host.length * 7 + 24);
    if (clear + fault.label.length * 6 < Math.max(end, x + 90) && clear + fault.label.length * 6 < this.width) this.put(`<text class="fl halo" x="${round(clear)}" y="${lane.top + 15}">${safe(fault.label)}</text>`);
  }
  // Progress is a column as high as its percentage; the others are dots. Percentages are written where they fit.
  notes(row) {
    const foot = row.y + row.height;
    let free = -Infinity;
    for (const note of row.notes.filter((note) => this.sees(note.at))) {
      const x = round(this.x(note.at)), done = percent(note);
      if (done === undefined) {
        this.put(`<circle class="${note.tone === BAD ? 'm-bad' : note.tone === GOOD ? 'm-good' : 'm-req'}" cx="${x}" cy="${foot - 6}" r="4">${this.title(note.label, note.at)}</circle>`);
        continue;
      }
      const height = 2 + Math.min(100, Number(done)) / 100 * (row.height - 24), base = foot - 12;
      this.tick(note, round(base - height), round(height), 'm-pc', 3);
      const text = `${Number(done)} %`, half = text.length * 2.6;
      if (x - half > free && x + half < this.width) {
        this.put(`<text class="pc halo" x="${x}" y="${round(base - height - 3)}" text-anchor="middle">${text}</text>`);
        free = x + half + 4;
      }
    }
  }
  // A bite is a drop on the lane's edge; processes and breaches are lines across it.
  event(mark, lane) {
    const x = round(this.x(mark.at)), top = lane.top + 3, bottom = lane.bottom - 3;
    const title = this.title(mark.kind === BREACH ? `broken: ${mark.label}` : mark.label, mark.at);
    if (mark.kind === BITE) this.put(`<path class="m-bite hit" d="M${x - 4} ${top}h8l-4 7z" fill="var(--t-fault)">${title}</path>`);
    else if (mark.kind === PROCESS) this.put(`<path class="p-line" d="M${x} ${top}V${bottom}"/><path class="hit" fill="none" d="M${x} ${top}V${bottom}">${title}</path><text class="fl halo" x="${x + 4}" y="${lane.top + 15}">${safe(mark.label)}</text>`);
    else this.put(`<path class="v-line" d="M${x} ${top}V${bottom}"/><path class="m-bad" d="M${x} ${top}h9l-3 4 3 4h-9z">${title}</path><path class="hit" fill="none" d="M${x} ${top}V${bottom}">${title}</path>`);
  }
  text() {
    this.axis();
    this.plan.lanes.forEach((lane, index) => this.lane(lane, index));
    return this.out.join('');
  }
}
function css(span) {
  if (span.kind === STATE) return span.label === 'up' ? 's-up' : span.label === 'down' ? 's-down' : 's-init';
  return span.tone === BAD ? 'b-bad' : span.tone === GOOD ? (span.kind === ATTEMPT ? 'b-good' : 'b-ok') : 'b-off';
}

const plans = new Map();
// The height of every timeline, before anything is drawn.
function reserve() {
  for (const box of all('.tl')) {
    const plan = laid(data.timelines[box.dataset.timeline]);
    plans.set(box, plan);
    one('svg', box).setAttribute('height', plan.height);
  }
}
function draw(box) {
  const plan = plans.get(box), svg = one('svg', box);
  plan.width = svg.clientWidth || 600;
  svg.setAttribute('viewBox', `0 0 ${plan.width} ${plan.height}`);
  svg.innerHTML = new Picture(plan, plan.width).text();
  one('.tl-span', box).textContent = `${exact(plan.from)} to ${exact(plan.until)}`;
}
function drawn(box) {
  if (!box.dataset.drawn) {
    box.dataset.drawn = 'yes';
    wire(box);
  }
  draw(box);
}
function change(box, from, until) {
  const plan = plans.get(box);
  const length = Math.min(plan.end, Math.max(until - from, 100));
  plan.from = Math.max(0, Math.min(from, plan.end - length));
  plan.until = plan.from + length;
  plan.due ??= requestAnimationFrame(() => { plan.due = undefined; draw(box); });
}
// Zooms by a factor around a moment; 0 shows everything.
function zoomed(box, factor, share = 0.5) {
  const plan = plans.get(box), length = plan.until - plan.from;
  if (!factor) return change(box, 0, plan.end);
  const at = plan.from + length * share;
  change(box, at - length * factor * share, at + length * factor * (1 - share));
}
// By key: the timeline that has the focus, else the first one in sight.
function zoom(factor) {
  const here = document.activeElement?.closest?.('.tl, .item');
  const boxes = here ? (here.matches('.tl') ? [here] : all('.tl[data-drawn]', here)) : all('.tl[data-drawn]');
  const seen = boxes.find((box) => box.checkVisibility() && box.getBoundingClientRect().bottom > 0);
  if (seen) zoomed(seen, factor);
}
function wire(box) {
  const svg = one('svg', box), plan = plans.get(box), read = one('.tl-read', box), hint = read.textContent;
  const share = (event) => Math.min(1, Math.max(0, (event.offsetX - gutter(plan.width)) / (plan.width - gutter(plan.width))));
  svg.addEventListener('wheel', (event) => {
    // The wheel is the page's until the timeline is chosen.
    if (document.activeElement !== svg && !event.ctrlKey) return;
    event.preventDefault();
    const length = plan.until - plan.from;
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) change(box, plan.from + length * event.deltaX / plan.width, plan.until + length * event.deltaX / plan.width);
    else zoomed(box, event.deltaY < 0 ? 0.8 : 1.25, share(event));
  }, { passive: false });
  let last = null;
  svg.addEventListener('pointerdown', (event) => { last = event.clientX; svg.setPointerCapture(event.pointerId); });
  svg.addEventListener('pointermove', (event) => {
    if (last !== null && event.buttons) {
      const by = (last - event.clientX) / plan.width * (plan.until - plan.from);
      last = event.clientX;
      if (by) change(box, plan.from + by, plan.until + by);
    }
    const first = event.target.firstElementChild;
    read.textContent = first?.localName === 'title' ? first.textContent : hint;
  });
  svg.addEventListener('pointerup', () => { last = null; });
  svg.addEventListener('keydown', (event) => {
    const step = { ArrowLeft: -0.2, ArrowRight: 0.2 }[event.key];
    if (!step) return;
    event.preventDefault();
    const by = step * (plan.until - plan.from);
    change(box, plan.from + by, plan.until + by);
  });
  all('button', box).forEach((button) => button.addEventListener('click', () => zoomed(box, Number(button.dataset.zoom))));
}
addEventListener('toggle', (event) => {
  if (!event.target.open) return;
  for (const box of all('.tl', event.target).filter((box) => box.checkVisibility())) {
    if (!box.dataset.drawn || plans.get(box).width !== one('svg', box).clientWidth) drawn(box);
  }
}, true);
let resized;
addEventListener('resize', () => {
  cancelAnimationFrame(resized);
  resized = requestAnimationFrame(() => all('.tl[data-drawn]').filter((box) => box.checkVisibility()).forEach(draw));
});
