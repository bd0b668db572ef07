/**
 * What is shown: image, volume, voxel, window and colours. Everything else follows its events.
 * @module view
 */
import { NotYet, getVolume, pause } from './api.js';
import { packed, paint, robustRange } from './colors.js';
import { VolumeLoader } from './volumes.js';

/** @typedef {'volume'|'mean'|'std'|'tsnr'} ImageKind */

/**
 * Events: `time` when another volume is on the screen, `voxel` when the crosshair has moved, `look` when image,
 * window or colours have changed, `values` when the values that are shown have, `frame` when another part of the
 * volume is shown, and `failure` with the error as its detail.
 */
export class View extends EventTarget {
  t = 0;
  voxel = [0, 0, 0];
  /** @type {import('./geometry.js').Grid} Of the run, from `open` on, as values and pixels are. */
  grid;
  /** @type {import('./geometry.js').PlaneName} */
  plane = 'axial';
  /** @type {ImageKind} */
  image = 'volume';
  colormap = 'gray';
  /** @type {Float32Array} */
  values;
  /** @type {Uint32Array} Colours of the volume as drawn. */
  pixels;
  /** Times in milliseconds from wish to pixels, the newest last, for tests and for who is curious.
   * @type {number[]} */
  latencies = [];
  /** @type {Map<ImageKind, number[]>} */
  #windows = new Map();
  /** @type {Map<ImageKind, Promise<import('./nifti.js').Volume>>} */
  #maps = new Map();
  #imageNumber = 0;
  /** The volume that was asked for last. */
  wishedTime = 0;
  /** Volumes that the server has read, as far as it has told. */
  #available = 0;

  /**
   * @param {any} info - The server's answer about the run.
   * @param {import('./scene.js').Scene} scene
   */
  constructor(info, scene) {
    super();
    this.info = info;
    this.scene = scene;
    this.length = info.shape[3] ?? 1;
    this.#windows.set('volume', info.window);
    this.loader = new VolumeLoader(
      this.length,
      (t, signal) => this.#fetchVolume(t, signal),
      (t, volume) => this.#present(t, volume),
      (error) => this.fail(error),
    );
  }

  /** Take the server's state: a volume that had not been read may be there.
   * @param {any} state */
  setProgress(state) {
    const isReading = state.pass?.state === 'running' || state.index?.state === 'building';
    this.#available = isReading ? Math.max(state.pass?.done ?? 0, state.index?.done ?? 0) : this.length;
  }

  /**
   * Ask for a volume; where a first pass has not come to it, wait for that.
   * @param {number} t
   * @param {AbortSignal} signal
   */
  async #fetchVolume(t, signal) {
    for (;;) {
      try {
        return await getVolume(`volume/${t}`, signal);
      } catch (error) {
        if (!(error instanceof NotYet)) throw error;
        if (t === this.wishedTime) this.#tell('waiting', t);
        await this.#untilRead(t, signal);
      }
    }
  }

  /** @param {number} t
   * @param {AbortSignal} signal */
  async #untilRead(t, signal) {
    do {
      await pause(200, signal);
    } while (this.#available <= t);
  }

  /** Show the first volume.
   * @param {import('./nifti.js').Volume} first */
  async open(first) {
    await this.scene.open(first, this.info);
    this.grid = this.scene.grid;
    this.pixels = new Uint32Array(first.values.length);
    this.loader.keep(0, first);
    this.voxel = this.grid.shape.map((length) => Math.floor(length / 2));
    this.scene.setCrosshair(this.voxel);
    this.#present(0, first);
  }

  /** @param {string} type
   * @param {any} [detail] */
  #tell(type, detail = undefined) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /** Call with the detail of each event of a kind.
   * @param {string} type
   * @param {(detail: any) => void} call */
  on(type, call) {
    this.addEventListener(type, (event) => call(/** @type {CustomEvent} */ (event).detail));
  }

  /** @param {unknown} error */
  fail(error) {
    this.#tell('failure', error);
  }

  get window() {
    return this.#windows.get(this.image) ?? [0, 1];
  }

  /** @param {number[]} window */
  set window(window) {
    const [low, high] = window;
    if (!Number.isFinite(low) || !Number.isFinite(high) || low >= high) return;
    this.#windows.set(this.image, [low, high]);
    this.#repaint();
    this.#tell('look');
  }

  /** Go back to the window that shows all values but the most extreme. */
  resetWindow() {
    this.window = this.image === 'volume' ? this.info.window : robustRange(this.values);
  }

  /** @param {string} name */
  setColormap(name) {
    this.colormap = name;
    this.#repaint();
    this.#tell('look');
  }

  /**
   * Show a volume. Moving in time leaves a map for the volumes again.
   * @param {number} t
   * @returns {Promise<void>} Done when it is on the screen, or something newer is. One that failed leaves the wish for
   * what is on the screen.
   */
  async showTime(t) {
    const wished = Math.min(this.length - 1, Math.max(0, Math.round(t)));
    this.#imageNumber += 1;
    this.#tellWish(wished);
    const began = performance.now();
    await this.loader.show(wished);
    if (this.wishedTime === wished && this.t !== wished) this.#tellWish(this.t);
    if (this.t === wished) this.latencies.push(performance.now() - began);
    if (this.latencies.length > 1000) this.latencies.shift();
  }

  /** @param {number} t */
  #tellWish(t) {
    this.wishedTime = t;
    this.#tell('wish', t);
  }

  /**
   * Show the volumes, or a map over time.
   * @param {ImageKind} kind
   */
  async showImage(kind) {
    if (kind === 'volume') {
      await this.showTime(this.t);
      return;
    }
    this.#imageNumber += 1;
    const number = this.#imageNumber;
    const asked = this.#maps.get(kind) ?? getVolume(`map/${kind}`);
    this.#maps.set(kind, asked);
    try {
      const map = await asked;
      if (number !== this.#imageNumber) return;
      if (!this.#windows.has(kind)) this.#windows.set(kind, robustRange(map.values));
      this.image = kind;
      this.values = map.values;
      this.#repaint();
      this.#tell('look');
      this.#tell('values');
    } catch (error) {
      this.#maps.delete(kind);
      this.#tell('look');
      this.fail(error);
    }
  }

  /** @param {number[]} voxel */
  moveTo(voxel) {
    this.voxel = this.grid.clamp(voxel);
    this.scene.setCrosshair(this.voxel);
    this.scene.draw();
    this.#tell('voxel');
  }

  /** Show more or less of the volume around a place, which stays where it is.
   * @param {number} factor
   * @param {number[]} [place] - Shares of the axes as drawn; by default the crosshair's. */
  zoomBy(factor, place = this.scene.placeOf(this.voxel)) {
    this.scene.frame.zoomBy(factor, place);
    this.#reframe();
  }

  /** @param {number} steps - Of a key. */
  zoomSteps(steps) {
    this.scene.frame.zoomSteps(steps, this.scene.placeOf(this.voxel));
    this.#reframe();
  }

  /** Show the whole planes. */
  zoomOut() {
    this.scene.frame.reset();
    this.#reframe();
  }

  /** Move what is shown by a drag on a plane.
   * @param {import('./geometry.js').Tile} tile
   * @param {number} dx - In pixels of the page.
   * @param {number} dy */
  pan(tile, dx, dy) {
    this.scene.pan(tile, dx, dy);
    this.#reframe();
  }

  #reframe() {
    this.scene.draw();
    this.#tell('frame');
  }

  /** Move the slice of the chosen plane.
   * @param {number} axis - Of the volume as drawn.
   * @param {number} by */
  moveAlong(axis, by) {
    this.moveTo(this.grid.moved(this.voxel, axis, by));
  }

  /** @param {number[]} voxel
   * @returns {number} The value that is shown there. */
  valueAt(voxel) {
    return this.values[this.grid.offset(voxel)];
  }

  #present(t, volume) {
    this.t = t;
    this.values = volume.values;
    const isBack = this.image !== 'volume';
    this.image = 'volume';
    this.#repaint();
    if (isBack) this.#tell('look');
    this.#tell('time');
    this.#tell('values');
  }

  #repaint() {
    const colors = packed(this.scene.colormap(this.colormap), 255);
    paint(this.pixels, this.values, this.grid, this.window, colors);
    this.scene.setBase(this.pixels);
    this.scene.draw();
  }
}
