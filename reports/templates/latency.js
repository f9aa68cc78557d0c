// The page of a sweep: everything is drawn already. What is left are the theme's key, parts that open when a link leads to
// them, and the gate's questions.
function follow() {
  const part = all('details').find((details) => location.hash === `#${details.id}`);
  if (part) part.open = true;
}
addEventListener('hashchange', follow);
follow();
addEventListener('keydown', (event) => {
  if (event.key === 't' && !event.ctrlKey && !event.metaKey && !event.altKey) theme();
});

// For the gate: texts that leave their picture, or lie upon each other, by name.
function check() {
  all('details').forEach((details) => { details.open = true; });
  root.dataset.wider = Math.max(0, root.scrollWidth - root.clientWidth);
  const wrong = [];
  for (const svg of all('figure svg[role]')) {
    const frame = svg.closest('figure').getBoundingClientRect();
    const texts = all('text', svg).map((text) => ({ says: text.textContent, box: text.getBoundingClientRect() }));
    texts.forEach(({ says, box }, index) => {
      if (box.left < frame.left || box.right > frame.right || box.top < frame.top || box.bottom > frame.bottom) wrong.push(`cut: ${says}`);
      for (const other of texts.slice(index + 1)) {
        const apart = box.right <= other.box.left || other.box.right <= box.left || box.bottom <= other.box.top + 2 || other.box.bottom <= box.top + 2;
        if (!apart) wrong.push(`together: ${says}, ${other.says}`);
      }
    });
  }
  root.dataset.texts = wrong.length;
  root.dataset.first = wrong.slice(0, 5).join('; ');
}
if (location.hash === '#check') check();
root.dataset.pictures = all('figure svg[role]').length;
root.dataset.ready = 'yes';
