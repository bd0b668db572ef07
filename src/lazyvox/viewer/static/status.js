/**
 * Work in the background, and what went wrong.
 * @module status
 */
import { RequestError } from './api.js';
import { at, make } from './elements.js';
import { sentence } from './volumes.js';

/** A message that goes away by itself stays for so long, in milliseconds. */
const STAY = 7000;

/** Banner, progress and passing messages. */
export class Status {
  /** @type {Map<string, string>} */
  #faults = new Map();
  #timer = 0;

  /** Show a message for a while; an empty one removes it.
   * @param {string} text
   * @param {boolean} [isFault] */
  say(text, isFault = false) {
    clearTimeout(this.#timer);
    at('toast').textContent = text;
    at('toast').hidden = !text;
    at('toast').classList.toggle('fault', isFault);
    if (text && !text.endsWith('…')) this.#timer = setTimeout(() => this.say(''), STAY);
  }

  /** Remove the message if it begins with these words.
   * @param {string} words */
  forget(words) {
    if (at('toast').textContent.startsWith(words)) this.say('');
  }

  /** @param {unknown} error */
  fail(error) {
    if (error instanceof RequestError && (error.status === 410 || error.status === 403)) {
      this.setFault('file', sentence(error));
    } else if (!(error instanceof RequestError && error.status === 0)) {
      this.say(sentence(error), true);
    }
  }

  /** Set or, by null, remove a line of the banner.
   * @param {string} kind
   * @param {?string} text */
  setFault(kind, text) {
    if ((this.#faults.get(kind) ?? null) === text) return;
    if (text) this.#faults.set(kind, text);
    else this.#faults.delete(kind);
    at('banner').hidden = this.#faults.size === 0;
    at('banner').replaceChildren(...[...this.#faults.values()].map((one) => make('p', {}, one)));
  }

  /** @param {boolean} isGone */
  setGone(isGone) {
    this.setFault('server', isGone
      ? 'The server has stopped. What is shown stays; to go on, start lazyvox view again.' : null);
  }

  /** @param {any} state - As the server tells it. */
  setState({ pass, index, file }) {
    this.setFault('file', file?.state === 'changed' ? file.message || 'The file has changed.' : null);
    this.setFault('pass', pass?.state === 'failed' ? pass.message || 'The run could not be read to its end.' : null);
    const work = [];
    if (index?.state === 'building') work.push(['Indexing', index]);
    if (pass?.state === 'running') work.push(['Statistics', pass]);
    at('progress').hidden = work.length === 0;
    if (work.length === 0) return;
    const share = ({ done, total }) => (total ? done / total : 0);
    const [, slowest] = work.reduce((a, b) => (share(a[1]) < share(b[1]) ? a : b));
    const names = work.map(([name]) => name).join(', ');
    at('progress-bar').value = share(slowest);
    const text = `${names} ${Math.floor(100 * share(slowest))} %`;
    if (at('progress-text').textContent !== text) at('progress-text').textContent = text;
  }
}
