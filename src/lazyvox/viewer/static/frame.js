/**
 * The part of the volume that the planes show: all of it, or a part around a place, the same in all planes.
 * @module frame
 */

/** Steps of a key or a button. */
const STEP = Math.SQRT2;
const LARGEST = 16;

/** Places are shares of the axes of the volume as drawn, from 0 to 1. */
export class Frame {
  zoom = 1;
  /** @type {number[]} The place in the middle. */
  centre = [0.5, 0.5, 0.5];

  /** @param {number} axis
   * @returns {number} The first place of an axis that is shown. */
  start(axis) {
    return this.centre[axis] - 0.5 / this.zoom;
  }

  /** @param {number} axis
   * @param {number} place
   * @returns {number} How far it is across what is shown, from 0 to 1; outside of that where it is not shown. */
  across(axis, place) {
    return (place - this.start(axis)) * this.zoom;
  }

  /** @param {number} axis
   * @param {number} share
   * @returns {number} The place so far across what is shown. */
  place(axis, share) {
    return this.start(axis) + share / this.zoom;
  }

  /** Zoom, and leave a place where it is.
   * @param {number} factor
   * @param {number[]} fixed */
  zoomBy(factor, fixed) {
    const before = this.zoom;
    this.zoom = Math.min(LARGEST, Math.max(1, before * factor));
    this.#setCentre(this.centre.map((one, axis) => fixed[axis] + ((one - fixed[axis]) * before) / this.zoom));
  }

  /** Zoom by some steps.
   * @param {number} steps
   * @param {number[]} fixed */
  zoomSteps(steps, fixed) {
    this.zoomBy(STEP ** steps, fixed);
  }

  /** @param {number[]} by - Shares of what is shown, on each axis. */
  move(by) {
    this.#setCentre(this.centre.map((one, axis) => one + by[axis] / this.zoom));
  }

  /** Move to a place that is not shown, along the axes that need it.
   * @param {number[]} place */
  follow(place) {
    const isShown = (axis) => Math.abs(place[axis] - this.centre[axis]) <= 0.5 / this.zoom;
    this.#setCentre(this.centre.map((one, axis) => (isShown(axis) ? one : place[axis])));
  }

  /** Show all. */
  reset() {
    this.zoom = 1;
    this.centre = [0.5, 0.5, 0.5];
  }

  /** What is shown stays inside of the volume.
   * @param {number[]} centre */
  #setCentre(centre) {
    const half = 0.5 / this.zoom;
    this.centre = centre.map((one) => Math.min(1 - half, Math.max(half, one)));
  }
}
