/**
 * Values to colours, in the order of the volume as drawn.
 * @module colors
 */

/**
 * Colours of 256 steps, as one 32-bit number each.
 * @param {ArrayLike<number>} colors - Red, green, blue and alpha of each step.
 * @param {number} [alpha] - Of all of them, where given.
 * @returns {Uint32Array}
 */
export function packed(colors, alpha = undefined) {
  const bytes = Uint8ClampedArray.from(colors);
  if (alpha !== undefined) for (let n = 3; n < bytes.length; n += 4) bytes[n] = alpha;
  return new Uint32Array(bytes.buffer);
}

/**
 * Colour the values of a volume.
 * @param {Uint32Array} target
 * @param {Float32Array} values
 * @param {import('./geometry.js').Grid} grid
 * @param {number[]} window - Values of the first and the last colour. NaN has the first.
 * @param {Uint32Array} colors
 */
export function paint(target, values, grid, [low, high], colors) {
  const scale = 255 / (high - low || 1);
  const { order } = grid;
  for (let at = 0; at < order.length; at++) {
    const step = (values[order[at]] - low) * scale + 0.5;
    target[at] = colors[step >= 255 ? 255 : step > 0 ? step | 0 : 0];
  }
}

/**
 * @typedef {object} OverlayLook
 * @property {number} threshold - Absolute values below are not shown.
 * @property {number} max - Absolute value of the last colour.
 * @property {number} opacity - 0 to 1.
 * @property {Uint32Array} positive
 * @property {?Uint32Array} negative - Colours of values below 0; null leaves them out.
 */

/**
 * Draw an overlay over those that are there.
 * @param {Uint32Array} target
 * @param {Float32Array} values - 0 and NaN are not shown.
 * @param {import('./geometry.js').Grid} grid
 * @param {OverlayLook} look
 */
export function paintOverlay(target, values, grid, look) {
  const { threshold, max, positive, negative } = look;
  const scale = 255 / (max - threshold || 1);
  const alpha = Math.round(255 * look.opacity);
  const { order } = grid;
  for (let at = 0; at < order.length; at++) {
    const value = values[order[at]];
    const size = Math.abs(value);
    const colors = value > 0 ? positive : negative;
    if (size >= threshold && size > 0 && colors) {
      const step = (size - threshold) * scale + 0.5;
      target[at] = over(colors[step >= 255 ? 255 : step | 0], alpha, target[at]);
    }
  }
}

/**
 * Fill regions with their colours.
 * @param {Uint32Array} target
 * @param {Float32Array} labels
 * @param {import('./geometry.js').Grid} grid
 * @param {Map<number, number>} colors - Packed colour of each label.
 * @param {number} opacity - 0 to 1.
 */
export function paintLabels(target, labels, grid, colors, opacity) {
  const alpha = Math.round(255 * opacity);
  grid.order.forEach((from, at) => {
    const color = colors.get(labels[from]);
    if (color !== undefined) target[at] = over(color, alpha, target[at]);
  });
}

/**
 * A colour of this alpha, over another one.
 * @param {number} color
 * @param {number} alpha
 * @param {number} below
 * @returns {number}
 */
function over(color, alpha, below) {
  const belowAlpha = below >>> 24;
  if (belowAlpha === 0) return ((color & 0xffffff) | (alpha << 24)) >>> 0;
  const a = alpha / 255;
  const b = (belowAlpha / 255) * (1 - a);
  const total = a + b;
  const mixed = (shift) => Math.round((((color >> shift) & 255) * a + ((below >> shift) & 255) * b) / (total || 1));
  return (mixed(0) | (mixed(8) << 8) | (mixed(16) << 16) | (Math.round(255 * total) << 24)) >>> 0;
}

/**
 * The range of values but the most extreme: percentiles 2 and 98 of what is neither 0 nor NaN.
 * @param {Float32Array} values
 * @returns {number[]}
 */
export function robustRange(values) {
  const step = Math.max(1, Math.floor(values.length / 100000));
  const kept = [];
  for (let n = 0; n < values.length; n += step) {
    if (values[n] !== 0 && Number.isFinite(values[n])) kept.push(values[n]);
  }
  if (kept.length === 0) return [0, 1];
  kept.sort((a, b) => a - b);
  const at = (share) => kept[Math.round(share * (kept.length - 1))];
  return at(0.02) < at(0.98) ? [at(0.02), at(0.98)] : [Math.min(0, at(0)), at(1) || 1];
}
