/**
 * Elements of the page.
 * @module elements
 */

/** @param {string} id
 * @returns {any} The element with this id. */
export const at = (id) => document.getElementById(id);

/** @param {HTMLCanvasElement} canvas
 * @returns {CanvasRenderingContext2D} */
export const contextOf = (canvas) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));

/** Make an element with attributes; text is text, never markup.
 * @param {string} tag
 * @param {Record<string, any>} [attributes] - One that is false is left out.
 * @param {(Node|string)[]} children
 * @returns {any} */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children);
  return element;
}

/** A number for people: four digits, in words where there is no number.
 * @param {?number} value
 * @returns {string} */
export function shown(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return 'not a number';
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(3);
  return String(Number(value.toPrecision(size >= 1e4 ? 6 : 4)));
}

/** Give a canvas as many pixels as the screen has where it is; what it shows is lost where that changes.
 * @param {HTMLCanvasElement} canvas
 * @returns {number} Pixels of the screen for each of the page. */
export function fitToScreen(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return ratio;
}
