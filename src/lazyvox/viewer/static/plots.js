/**
 * Courses over time, drawn by uPlot, one below the other on one axis of time.
 * @module plots
 */
import { shown } from './elements.js';
import uPlot from './vendor/uplot.js';

/** Room for the axis of values, and at the right: those of the carpet plot too, in the style sheet. */
const LEFT = 58;
const RIGHT = 14;

const INK = '#8b95a5';
const GRID = 'rgba(139, 149, 165, 0.14)';
const FONT = '11px system-ui, sans-serif';

/** Colours of the types of events, told apart by people who confuse red and green too. */
const EVENT_COLORS = ['#4fb3e8', '#e6a23c', '#5bbf8a', '#d67ba8', '#b9a5f0', '#d9d36b', '#e0775a', '#9aa7b8'];

/** @typedef {{onset: number, duration: number, trial_type: string}} Event */

/** @typedef {{label: string, color: string, unit?: string}} Course */

/** @param {Event[]} events
 * @returns {Map<string, string>} The colour of each type. */
export function eventColors(events) {
  const types = [...new Set(events.map((event) => event.trial_type))].sort();
  return new Map(types.map((type, n) => [type, EVENT_COLORS[n % EVENT_COLORS.length]]));
}

/** A plot of one or more courses. A click or a drag moves in time. */
export class TimePlot {
  /**
   * @param {HTMLElement} host
   * @param {number[]} times - Of each volume, in seconds or as numbers of volumes.
   * @param {Course[]} courses
   * @param {object} options
   * @param {(t: number) => void} options.onTime - Called with a volume.
   * @param {boolean} [options.hasAxis] - Whether times stand below.
   * @param {Event[]} [options.events]
   * @param {string} [options.timeLabel]
   */
  constructor(host, times, courses, { onTime, hasAxis = false, events = [], timeLabel = '' }) {
    this.host = host;
    this.times = times;
    this.onTime = onTime;
    this.events = events;
    this.colors = eventColors(events);
    this.t = 0;
    this.plot = new uPlot(this.#options(courses, hasAxis, timeLabel), [times, ...courses.map(() => [])], host);
    this.mark = document.createElement('div');
    this.mark.className = 'time-mark';
    this.plot.over.append(this.mark);
    this.#followPointer();
    new ResizeObserver(() => this.resize()).observe(host);
  }

  /** @param {Course[]} courses
   * @param {boolean} hasAxis
   * @param {string} timeLabel
   * @returns {uPlot.Options} */
  #options(courses, hasAxis, timeLabel) {
    const axis = { stroke: INK, font: FONT, grid: { stroke: GRID, width: 1 }, ticks: { stroke: GRID, size: 4 } };
    return {
      width: Math.max(100, this.host.clientWidth),
      height: Math.max(40, this.host.clientHeight),
      padding: [8, RIGHT, hasAxis ? 0 : 6, 0],
      legend: { show: false },
      cursor: { drag: { setScale: false, x: false, y: false }, points: { show: false }, y: false, x: false },
      scales: { x: { time: false, range: () => this.#range() } },
      axes: [
        { ...axis, show: hasAxis, size: 24, gap: 2, label: timeLabel, labelFont: FONT, labelSize: timeLabel ? 14 : 0 },
        { ...axis, size: LEFT, space: 26, values: (_, ticks) => ticks.map((tick) => shown(tick)) },
      ],
      series: [{}, ...courses.map(({ label, color }) => ({
        label, stroke: color, width: 1.25, points: { show: false }, spanGaps: false,
      }))],
      hooks: { drawClear: [(plot) => this.#shadeEvents(plot)] },
    };
  }

  /** Each volume has the same width, half of it before and half behind its time.
   * @returns {uPlot.Range.MinMax} */
  #range() {
    const step = this.times.length > 1 ? this.times[1] - this.times[0] : 1;
    return [this.times[0] - step / 2, this.times[this.times.length - 1] + step / 2];
  }

  /** @param {(?number)[][]} courses */
  setData(courses) {
    this.plot.setData([this.times, ...courses]);
    this.setTime(this.t);
  }

  /** @param {number} t - The volume that is shown. */
  setTime(t) {
    this.t = t;
    this.mark.style.transform = `translateX(${this.plot.valToPos(this.times[t], 'x')}px)`;
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (width < 50 || height < 20) return;
    this.plot.setSize({ width, height });
    this.setTime(this.t);
  }

  #shadeEvents(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    for (const { onset, duration, trial_type: type } of this.events) {
      const left = Math.max(bbox.left, plot.valToPos(onset, 'x', true));
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(onset + duration, 'x', true));
      if (right < bbox.left || left > bbox.left + bbox.width) continue;
      ctx.fillStyle = `${this.colors.get(type)}38`;
      ctx.fillRect(left, bbox.top, Math.max(2 * devicePixelRatio, right - left), bbox.height);
    }
    ctx.restore();
  }

  #followPointer() {
    const { over } = this.plot;
    const move = (event) => {
      const x = event.clientX - over.getBoundingClientRect().left;
      this.onTime(this.plot.posToIdx(Math.min(over.clientWidth - 1, Math.max(0, x))));
    };
    scrub(over, move);
  }
}

/** Call for a press and for each movement until it ends.
 * @param {HTMLElement} element
 * @param {(event: PointerEvent) => void} move */
export function scrub(element, move) {
  element.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    move(event);
  });
  element.addEventListener('pointermove', (event) => {
    if (element.hasPointerCapture(event.pointerId)) move(event);
  });
}

/** The carpet plot: an image whose columns are volumes. */
export class Carpet {
  /**
   * @param {HTMLElement} host
   * @param {number} length - Number of volumes.
   * @param {(t: number) => void} onTime
   */
  constructor(host, length, onTime) {
    this.length = length;
    this.image = /** @type {HTMLImageElement} */ (host.querySelector('img'));
    this.mark = /** @type {HTMLElement} */ (host.querySelector('.time-mark'));
    scrub(this.image, (event) => {
      const frame = this.image.getBoundingClientRect();
      const t = Math.floor(((event.clientX - frame.left) / frame.width) * length);
      onTime(Math.min(length - 1, Math.max(0, t)));
    });
    this.image.addEventListener('dragstart', (event) => event.preventDefault());
  }

  /** @param {Blob} blob */
  setImage(blob) {
    URL.revokeObjectURL(this.image.src);
    this.image.src = URL.createObjectURL(blob);
    this.image.hidden = false;
  }

  /** @param {number} t - The volume that is shown. */
  setTime(t) {
    this.mark.style.left = `${(100 * (t + 0.5)) / this.length}%`;
  }
}
