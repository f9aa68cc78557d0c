// What every page's script begins with: short names, an error that is kept for the gate, light and dark.
'use strict';
const root = document.documentElement;
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const one = (selector, within = document) => within.querySelector(selector);
addEventListener('error', (event) => { root.dataset.error = event.message; });

function theme() {
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
  // A file that is opened from a disk may have no storage.
  try { localStorage.setItem('clinker-theme', root.dataset.theme); } catch { /* the choice lasts as long as the page */ }
}
one('#theme').addEventListener('click', theme);
