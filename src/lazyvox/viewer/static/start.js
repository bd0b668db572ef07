/**
 * Starts the page, and says what is wrong where it cannot.
 * @module start
 */
import { firstVolume, getJson } from './api.js';
import { at } from './elements.js';

/** @param {Error & {hint?: ?string}} error */
function show(error) {
  const banner = at('banner');
  const isMissing = error instanceof TypeError && /import|module|fetch/i.test(error.message);
  banner.textContent = isMissing
    ? 'Parts of the page are missing. Run make viewer in the folder of lazyvox, and open the page again.'
    : [error.message, error.hint].filter(Boolean).join(' ');
  banner.hidden = false;
  document.getElementById('waiting')?.remove();
}

// The server reads while the browser takes the libraries in.
const info = getJson('info');
const first = firstVolume();
for (const answer of [info, first]) answer.catch(() => {});
const ready = import('./main.js').then(({ main }) => main(info, first));
/** @type {any} */ (window).lazyvoxView = { ready };
ready.catch(show);
