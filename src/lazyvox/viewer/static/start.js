/**
 * Starts the page, and says what is wrong where it cannot.
 * @module start
 */
import { firstVolume, getJson } from './api.js';

/** @param {Error & {hint?: ?string}} error */
function show(error) {
  const banner = document.getElementById('banner');
  const isMissing = error instanceof TypeError && /import|module|fetch/i.test(error.message);
  banner.textContent = isMissing
    ? 'Parts of the page are missing. Run make viewer in the folder of lazyvox, and open the page again.'
    : [error.message, error.hint].filter(Boolean).join(' ');
  banner.hidden = false;
  document.getElementById('waiting')?.remove();
}

// The server reads while the browser takes the libraries in.
const asked = [getJson('info'), firstVolume()];
asked.forEach((answer) => answer.catch(() => {}));
const ready = import('./main.js').then(({ main }) => main(...asked));
window.lazyvoxView = { ready };
ready.catch(show);
