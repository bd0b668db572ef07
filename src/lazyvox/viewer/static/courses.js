/**
 * The series of a voxel, measures of quality and the carpet plot, below one another on one axis of time.
 * @module courses
 */
import { NotYet, getBlob, getJson, isAbort, voxelQuery } from './api.js';
import { at, make } from './elements.js';
import { Carpet, TimePlot, eventColors } from './plots.js';

const VOXEL_COLOR = '#5cc8ff';
const REGION_COLOR = '#e6a23c';

/** Measures of quality that are plotted, in their order.
 * @type {[string, string, string][]} */
const MEASURES = [
  ['fd', 'Framewise displacement (mm)', '#d67ba8'],
  ['dvars', 'DVARS', '#5bbf8a'],
  ['global_signal', 'Global signal', '#b9a5f0'],
];

/** @param {(?number)[]} values
 * @returns {(?number)[]} Their distance from their mean in per cent of it; null where that is 0. */
function percentOfMean(values) {
  const finite = values.filter((value) => value !== null);
  const mean = finite.reduce((sum, value) => sum + value, 0) / finite.length;
  return values.map((value) => (value === null || !mean ? null : (100 * (value - mean)) / Math.abs(mean)));
}

/** All plots over time. */
export class Courses {
  /** @type {TimePlot[]} */
  #plots = [];
  /** @type {?TimePlot} */
  #series = null;
  /** @type {?Carpet} */
  #carpet = null;
  #controller = new AbortController();
  /** What is there already, or asked for. */
  #has = new Set();
  /** @type {any} The server's answer about the voxel whose series is shown. */
  shown = null;

  /** @param {import('./view.js').View} view */
  constructor(view) {
    this.view = view;
    const { t_r: step } = view.info;
    this.timeLabel = step ? 'Time (s)' : 'Volume';
    this.times = Array.from({ length: view.length }, (_, t) => t * (step || 1));
    view.addEventListener('time', () => this.#setTime(view.t));
    at('percent').addEventListener('input', () => this.#drawSeries());
    this.#addPlot('fd', view.info.fd);
  }

  #setTime(t) {
    this.#plots.forEach((plot) => plot.setTime(t));
    this.#carpet?.setTime(t);
  }

  #options(more) {
    return { onTime: (t) => this.view.showTime(t), ...more };
  }

  /**
   * Read and plot the series of a voxel. A newer request gives an older one up.
   * @param {number[]} voxel
   */
  async showSeries(voxel) {
    this.giveUp();
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    const place = `(${voxel.join(', ')})`;
    at('series-title').textContent = `Reading the series of voxel ${place} …`;
    at('series-plot').setAttribute('aria-busy', 'true');
    try {
      const answer = await getJson(`series?${voxelQuery(voxel)}`, signal);
      if (!signal.aborted) this.#plotSeries(answer, place);
    } catch (error) {
      if (isAbort(error)) return;
      at('series-title').textContent = 'Series';
      this.view.fail(error instanceof NotYet ? new Error('The run is being read; ask again later.') : error);
    } finally {
      if (!signal.aborted) at('series-plot').removeAttribute('aria-busy');
    }
  }

  /** Give up the series that is being read. */
  giveUp() {
    this.#controller.abort();
    at('series-plot').removeAttribute('aria-busy');
    if (!this.shown) at('series-title').textContent = 'Series';
  }

  #plotSeries(answer, place) {
    const { value, region, unit, voxel } = answer;
    const host = at('series-plot');
    if (!this.#series) {
      at('series-empty').remove();
      this.#series = new TimePlot(host, this.times, [
        { label: 'Region', color: REGION_COLOR }, { label: 'Voxel', color: VOXEL_COLOR },
      ], this.#options({ hasAxis: true, events: this.view.info.events ?? [], timeLabel: this.timeLabel }));
      this.#plots.push(this.#series);
    }
    this.shown = answer;
    const regional = region?.value ?? null;
    this.#drawSeries();
    at('series-title').textContent = `Voxel ${place}${unit ? `, ${unit}` : ''}`;
    host.setAttribute('aria-label', `Series of voxel ${place}${region ? ` and of ${region.name}` : ''}, `
      + `${value.length} volumes`);
    this.#legend(regional && region.name);
    const link = at('export');
    link.href = `series.tsv?${voxelQuery(voxel)}`;
    link.hidden = false;
  }

  /** Draw the values, or how far they are from their mean, in per cent of it. */
  #drawSeries() {
    if (!this.shown || !this.#series) return;
    const { value, region } = this.shown;
    const courses = [region?.value ?? this.times.map(() => null), value];
    this.#series.setData(at('percent').checked ? courses.map(percentOfMean) : courses);
    this.#series.setTime(this.view.t);
  }

  #legend(regionName) {
    const entry = (text, color, kind = 'line') => {
      const swatch = make('i', { class: `swatch ${kind}` });
      swatch.style.background = color;
      return make('span', { class: 'entry' }, swatch, text);
    };
    const entries = [entry('Voxel', VOXEL_COLOR)];
    if (regionName) entries.push(entry(regionName, REGION_COLOR));
    for (const [type, color] of eventColors(this.view.info.events ?? [])) {
      entries.push(entry(type, `${color}88`, 'area'));
    }
    at('series-legend').replaceChildren(...entries);
  }

  /** @param {string} measure
   * @param {?(?number)[]} values */
  #addPlot(measure, values) {
    if (!values || this.#has.has(measure)) return;
    this.#has.add(measure);
    const number = MEASURES.findIndex(([key]) => key === measure);
    const [, name, color] = MEASURES[number];
    const host = make('div', { class: 'plot low', role: 'img', 'aria-label': `${name} of each volume`,
      'data-testid': `plot-${measure}` });
    const block = make('div', { class: 'measure' }, make('h3', { class: 'small' }, name), host);
    block.dataset.order = String(number);
    const later = [...at('quality').children].find((one) => one.dataset.order > block.dataset.order);
    at('quality').insertBefore(block, later ?? null);
    const events = this.view.info.events ?? [];
    const plot = new TimePlot(host, this.times, [{ label: name, color }], this.#options({ events }));
    plot.setData([values]);
    plot.setTime(this.view.t);
    this.#plots.push(plot);
  }

  /** Show what the pass in the background has found. */
  async openResults() {
    if (this.#has.has('results')) return;
    this.#has.add('results');
    try {
      const quality = await getJson('quality');
      for (const [measure] of MEASURES) this.#addPlot(measure, quality[measure]);
      const blob = await getBlob('carpet.png');
      // No voxel varies over time.
      if (blob.size === 0) return;
      at('carpet').hidden = false;
      at('carpet-head').hidden = false;
      this.#carpet = new Carpet(at('carpet'), this.view.length, (t) => this.view.showTime(t));
      this.#carpet.setImage(blob);
      this.#carpet.setTime(this.view.t);
    } catch (error) {
      this.#has.delete('results');
      if (!(error instanceof NotYet)) this.view.fail(error);
    }
  }
}
