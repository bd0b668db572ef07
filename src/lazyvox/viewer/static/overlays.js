/**
 * Images over the image: those of the command line, the correlation map of a voxel, the atlas.
 * @module overlays
 */
import { NotYet, getVolume, isAbort, voxelQuery } from './api.js';
import { OVERLAY_COLORMAPS } from './colormaps.js';
import { packed, paintLabels, paintOverlay, robustRange } from './colors.js';
import { addOverlayCard } from './overlay_card.js';
import { onGrid } from './resample.js';

/**
 * @typedef {object} Look
 * @property {string} id
 * @property {string} name
 * @property {boolean} isShown
 * @property {number} threshold
 * @property {number} max
 * @property {number} limit - The largest threshold that makes sense.
 * @property {number} opacity
 * @property {string} colormap
 * @property {Float32Array} values
 * @property {number} t - The volume that it shows.
 */

/** @typedef {Look & {card: {element: HTMLElement, refresh: () => void}}} Overlay - With its controls. */

/** All overlays, drawn into one texture. */
export class Overlays {
  /** @type {Overlay[]} */
  list = [];
  fill = 0;
  /** @type {?Float32Array} */
  labels = null;
  /** @type {Map<number, number>} */
  colors = new Map();
  #controller = new AbortController();

  /**
   * @param {import('./view.js').View} view
   * @param {HTMLElement} host - Where their controls go.
   * @param {HTMLElement} none - The words in place of them.
   */
  constructor(view, host, none) {
    this.view = view;
    this.host = host;
    this.none = none;
    this.pixels = new Uint32Array(view.pixels.length);
  }

  /** Load those of the command line, one after the other. */
  async open() {
    for (const { id, name: file, n_volumes: length } of this.view.info.overlays) {
      const isCourse = length > 1 && length === this.view.length;
      const name = length > 1 && !isCourse ? `${file}, first of ${length} volumes` : file;
      try {
        const load = async (t) => onGrid(await getVolume(`overlay/${id}?t=${t}`), this.view.grid);
        const overlay = this.add({ id: `overlay-${id}`, name, values: await load(0) });
        if (isCourse) this.#follow(overlay, load);
      } catch (error) {
        this.view.fail(error);
      }
    }
  }

  /** Show the volume of the same time of an overlay that has as many as the run. One at a time is on its way; the
   * newest wish is next.
   * @param {Overlay} overlay
   * @param {(t: number) => Promise<Float32Array>} load */
  #follow(overlay, load) {
    let isLoading = false;
    const update = async () => {
      if (isLoading) return;
      isLoading = true;
      try {
        while (overlay.t !== this.view.t && this.list.includes(overlay)) {
          const t = this.view.t;
          overlay.values = await load(t);
          overlay.t = t;
          if (overlay.isShown) this.draw();
        }
      } catch (error) {
        this.view.fail(error);
      } finally {
        isLoading = false;
      }
    };
    this.view.addEventListener('time', update);
    update();
  }

  /** Load the labels of the atlas.
   * @returns {Promise<Float32Array>} */
  async openAtlas() {
    const { atlas } = this.view.info;
    this.labels = (await getVolume('atlas')).values;
    this.colors = new Map(atlas.regions.map(({ label, color: [r, g, b] }) =>
      [label, ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0]));
    return this.labels;
  }

  /** Add an overlay, or give one that is there other values.
   * @param {{id: string, name: string, values: Float32Array, threshold?: number, max?: number}} given
   * @returns {Overlay} */
  add({ id, name, values, threshold, max }) {
    const there = this.list.find((one) => one.id === id);
    if (there) {
      Object.assign(there, { name, values, isShown: true });
      there.card.refresh();
      this.draw();
      return there;
    }
    const top = Math.max(...robustRange(values).map(Math.abs));
    const largest = largestOf(values);
    const look = {
      id, name, values, t: 0, isShown: true, opacity: 0.8, colormap: 'warm',
      threshold: threshold ?? roundedDown(0.5 * top), max: max ?? top, limit: max === undefined ? largest : 1,
    };
    const card = addOverlayCard(this.host, look, () => this.draw(), () => this.remove(look));
    /** @type {Overlay} */
    const overlay = Object.assign(look, { card });
    this.list.push(overlay);
    this.draw();
    return overlay;
  }

  /** @param {Look} look - An overlay. */
  remove(look) {
    this.list.find((one) => one === look)?.card.element.remove();
    this.list = this.list.filter((one) => one !== look);
    this.draw();
  }

  /**
   * Show the correlation of all voxels with one. A newer request gives an older one up.
   * @param {number[]} voxel
   * @param {(text: string) => void} say
   */
  async correlate(voxel, say) {
    this.#controller.abort();
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    const { confounds } = this.view.info;
    const removed = confounds?.length ? `, ${confounds.length} confounds removed` : '';
    say(`Correlating all voxels with (${voxel.join(', ')}) …`);
    try {
      const { values } = await getVolume(`correlation?${voxelQuery(voxel)}`, signal);
      if (signal.aborted) return;
      this.add({ id: 'seed', name: `Correlation with (${voxel.join(', ')})${removed}`, values, threshold: 0.3, max: 0.8 });
      say('');
    } catch (error) {
      if (isAbort(error)) return;
      say('');
      this.view.fail(error instanceof NotYet ? new Error('The run is being read; ask again later.') : error);
    }
  }

  /** Give up the correlation map that is being computed. */
  giveUp() {
    this.#controller.abort();
  }

  /** @param {number[]} voxel
   * @returns {string[]} Values of the overlays that are shown there, with their names. */
  valuesAt(voxel) {
    const at = this.view.grid.offset(voxel);
    return this.list.filter((one) => one.isShown).map((one) => `${one.name}: ${one.values[at].toPrecision(3)}`);
  }

  draw() {
    const { scene, grid } = this.view;
    this.pixels.fill(0);
    if (this.labels && this.fill > 0) paintLabels(this.pixels, this.labels, grid, this.colors, this.fill);
    for (const overlay of this.list.filter((one) => one.isShown)) {
      const { positive, negative } = OVERLAY_COLORMAPS[overlay.colormap];
      paintOverlay(this.pixels, overlay.values, grid, {
        threshold: overlay.threshold,
        max: overlay.max,
        opacity: overlay.opacity,
        positive: packed(scene.colormap(positive), 255),
        negative: negative && packed(scene.colormap(negative), 255),
      });
    }
    this.none.hidden = this.list.length > 0;
    scene.setOverlay(this.pixels);
    scene.draw();
  }
}

/** @param {Float32Array} values
 * @returns {number} */
function largestOf(values) {
  let largest = 0;
  for (const value of values) if (Math.abs(value) > largest && Number.isFinite(value)) largest = Math.abs(value);
  return largest || 1;
}

/** @param {number} value
 * @returns {number} Two digits of it. */
function roundedDown(value) {
  if (!(value > 0)) return 0;
  const unit = 10 ** (Math.floor(Math.log10(value)) - 1);
  return Number((Math.floor(value / unit) * unit).toPrecision(2));
}
