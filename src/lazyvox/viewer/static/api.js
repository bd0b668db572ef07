/**
 * Requests to the server. Addresses are relative, so that the page works in a frame and behind a prefix.
 * @module api
 */
import { parseVolume } from './nifti.js';

/** An answer that is no success; `message` and `hint` are the server's. */
export class RequestError extends Error {
  /**
   * @param {number} status - Status of HTTP, or 0 where nothing answered.
   * @param {string} message
   * @param {?string} hint
   */
  constructor(status, message, hint = null) {
    super(message);
    this.name = 'RequestError';
    this.status = status;
    this.hint = hint;
  }
}

/** The answer of 202: what was asked for is being computed. */
export class NotYet extends Error {
  constructor() {
    super('Being computed.');
    this.name = 'NotYet';
  }
}

/** Whether a failure only says that nobody waits any more.
 * @param {unknown} error
 * @returns {boolean} */
export function isAbort(error) {
  return error instanceof DOMException && error.name === 'AbortError';
}

/** Wait, unless the signal says that nobody does.
 * @param {number} milliseconds
 * @param {?AbortSignal} [signal]
 * @returns {Promise<void>} */
export function pause(milliseconds, signal = null) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new DOMException('Aborted', 'AbortError'));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener('abort', stop, { once: true });
  });
}

/** @param {Response} response
 * @returns {Promise<RequestError>} */
async function failureOf(response) {
  try {
    const body = await response.json();
    return new RequestError(response.status, String(body.error), body.hint);
  } catch (error) {
    if (isAbort(error)) throw error;
    return new RequestError(response.status, `The server answered with status ${response.status}.`);
  }
}

/**
 * Ask the server; a busy one is asked again when it says so.
 * @param {string} address
 * @param {?AbortSignal} signal
 * @returns {Promise<Response>}
 */
async function ask(address, signal) {
  for (;;) {
    let response;
    try {
      response = await fetch(address, { signal, credentials: 'same-origin' });
    } catch (error) {
      if (isAbort(error)) throw error;
      throw new RequestError(0, 'The server does not answer.', 'Start lazyvox view again.');
    }
    if (response.status === 503) {
      await pause(1000 * Math.min(30, Number(response.headers.get('Retry-After')) || 1), signal);
      continue;
    }
    if (response.status === 202) throw new NotYet();
    if (!response.ok) throw await failureOf(response);
    return response;
  }
}

/** @param {string} address
 * @param {?AbortSignal} [signal]
 * @returns {Promise<any>} */
export async function getJson(address, signal = null) {
  return (await ask(address, signal)).json();
}

/** @param {string} address
 * @param {?AbortSignal} [signal]
 * @returns {Promise<import('./nifti.js').Volume>} */
export async function getVolume(address, signal = null) {
  return parseVolume(await (await ask(address, signal)).arrayBuffer());
}

/** Ask for the first volume, until the server has it.
 * @returns {Promise<import('./nifti.js').Volume>} */
export async function firstVolume() {
  for (;;) {
    try {
      return await getVolume('volume/0');
    } catch (error) {
      if (!(error instanceof NotYet)) throw error;
      await pause(100);
    }
  }
}

/** @param {string} address
 * @param {?AbortSignal} [signal]
 * @returns {Promise<Blob>} */
export async function getBlob(address, signal = null) {
  return (await ask(address, signal)).blob();
}

/** @param {number[]} voxel
 * @returns {string} */
export function voxelQuery([i, j, k]) {
  return `i=${i}&j=${j}&k=${k}`;
}

/**
 * Follow the state of the server. The open connection is also how it knows that a page is open.
 * @param {(state: any) => void} onState
 * @param {(isGone: boolean) => void} onGone
 */
export function watchState(onState, onGone) {
  const stream = new EventSource('events-stream');
  stream.onmessage = (event) => {
    onGone(false);
    onState(JSON.parse(event.data));
  };
  stream.onerror = () => onGone(true);
  window.addEventListener('pagehide', () => {
    stream.close();
    navigator.sendBeacon('close');
  });
  // A page that comes back out of the browser's cache has lost its connection.
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) window.location.reload();
  });
}
