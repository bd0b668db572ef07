/**
 * Volumes on their way from the server to the screen.
 * @module volumes
 */
import { RequestError, isAbort } from './api.js';

/** A request on its way may be finished, and shown on the way to a newer wish, for so long. */
const PATIENCE = 120;
const LOOK_AHEAD = 2;

/**
 * Shows one volume after the other, in the order of the wishes: what is presented never goes back to an older
 * wish. While somebody drags the slider, volumes that come in time are shown on the way; one that takes longer
 * is given up.
 */
export class VolumeLoader {
  #wish = { number: 0, t: 0 };
  #shown = 0;
  #isRunning = false;
  #direction = 1;
  /** @type {Map<number, {started: number, controller: AbortController, volume: Promise<any>}>} */
  #requests = new Map();
  /** @type {Map<number, import('./nifti.js').Volume>} */
  #kept = new Map();
  /** @type {(() => void)[]} */
  #waiting = [];

  /**
   * @param {number} length - Number of volumes.
   * @param {(t: number, signal: AbortSignal) => Promise<import('./nifti.js').Volume>} fetchVolume
   * @param {(t: number, volume: import('./nifti.js').Volume) => void} present
   * @param {(error: unknown) => void} onError
   * @param {number} [keptBytes] - Room for volumes that were shown or looked ahead for.
   */
  constructor(length, fetchVolume, present, onError, keptBytes = 48e6) {
    this.length = length;
    this.fetchVolume = fetchVolume;
    this.present = present;
    this.onError = onError;
    this.keptBytes = keptBytes;
  }

  /** Whether the newest wish is on the screen. */
  get isSettled() {
    return this.#shown === this.#wish.number;
  }

  /** Keep a volume that was loaded otherwise.
   * @param {number} t
   * @param {import('./nifti.js').Volume} volume */
  keep(t, volume) {
    this.#kept.delete(t);
    this.#kept.set(t, volume);
    const room = Math.max(LOOK_AHEAD + 2, Math.floor(this.keptBytes / volume.values.byteLength));
    for (const old of this.#kept.keys()) {
      if (this.#kept.size <= room) break;
      this.#kept.delete(old);
    }
  }

  /**
   * Wish for a volume.
   * @param {number} t
   * @returns {Promise<void>} Done when it, or a newer wish, is shown or has failed.
   */
  show(t) {
    const step = t - this.#wish.t;
    if (step !== 0) this.#direction = Math.abs(step) > this.length / 2 ? -Math.sign(step) : Math.sign(step);
    this.#wish = { number: this.#wish.number + 1, t };
    this.#giveUp();
    if (!this.#isRunning) this.#run();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Volumes that are likely to come next. */
  #ahead(t) {
    return Array.from({ length: LOOK_AHEAD }, (_, n) => t + this.#direction * (n + 1))
      .filter((next) => next >= 0 && next < this.length);
  }

  /** Give up requests that no wish needs, or that keep a newer wish waiting. */
  #giveUp() {
    const wanted = new Set([this.#wish.t, ...this.#ahead(this.#wish.t)]);
    for (const [t, request] of this.#requests) {
      if (!wanted.has(t) && (t !== this.loading || performance.now() - request.started >= PATIENCE)) {
        request.controller.abort();
      }
    }
  }

  async #run() {
    this.#isRunning = true;
    while (!this.isSettled) {
      const wish = this.#wish;
      this.loading = wish.t;
      const timer = setTimeout(() => this.#giveUp(), PATIENCE);
      try {
        const volume = await this.#load(wish.t);
        this.present(wish.t, volume);
        this.#shown = wish.number;
      } catch (error) {
        if (!isAbort(error) || wish === this.#wish) {
          this.onError(error);
          this.#shown = wish.number;
        }
      } finally {
        clearTimeout(timer);
      }
    }
    this.loading = -1;
    this.#isRunning = false;
    this.#waiting.splice(0).forEach((done) => done());
    for (const t of this.#ahead(this.#wish.t)) this.#load(t).catch(() => {});
  }

  /** @param {number} t
   * @returns {Promise<import('./nifti.js').Volume>} */
  async #load(t) {
    const kept = this.#kept.get(t);
    if (kept) return kept;
    const going = this.#requests.get(t);
    if (going && !going.controller.signal.aborted) return going.volume;
    const controller = new AbortController();
    const request = { started: performance.now(), controller, volume: this.fetchVolume(t, controller.signal) };
    this.#requests.set(t, request);
    try {
      const volume = await request.volume;
      this.keep(t, volume);
      return volume;
    } finally {
      if (this.#requests.get(t) === request) this.#requests.delete(t);
    }
  }
}

/**
 * Goes on from volume to volume. A volume that comes late is waited for, and none is left out.
 */
export class Player {
  #timer = 0;
  #due = 0;

  /**
   * @param {() => Promise<void>} advance - Shows the next volume.
   * @param {() => number} rate - Volumes for each second.
   */
  constructor(advance, rate) {
    this.advance = advance;
    this.rate = rate;
    this.isPlaying = false;
  }

  start() {
    if (this.isPlaying) return;
    this.isPlaying = true;
    this.#due = performance.now();
    this.#step();
  }

  stop() {
    this.isPlaying = false;
    clearTimeout(this.#timer);
  }

  async #step() {
    if (!this.isPlaying) return;
    await this.advance();
    this.#due = Math.max(this.#due + 1000 / this.rate(), performance.now());
    if (this.isPlaying) this.#timer = setTimeout(() => this.#step(), this.#due - performance.now());
  }
}

/** Words for a failure, for people.
 * @param {unknown} error
 * @returns {string} */
export function sentence(error) {
  if (error instanceof RequestError) return error.hint ? `${error.message} ${error.hint}` : error.message;
  return error instanceof Error ? error.message : String(error);
}
