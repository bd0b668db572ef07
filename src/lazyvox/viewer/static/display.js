/**
 * Controls of the image: which one, its colours, its window.
 * @module display
 */
import { IMAGE_COLORMAPS } from './colormaps.js';
import { at, contextOf, make, shown } from './elements.js';

/**
 * @param {import('./view.js').View} view
 * @param {import('./ink.js').Ink} ink
 */
export function bindDisplay(view, ink) {
  at('colormap').append(...Object.entries(IMAGE_COLORMAPS).map(([id, name]) => make('option', { value: id }, name)));
  at('colormap').addEventListener('input', () => view.setColormap(at('colormap').value));
  at('shown-image').addEventListener('input', () => view.showImage(at('shown-image').value));
  for (const id of ['window-low', 'window-high']) {
    at(id).addEventListener('change', () => {
      view.window = [Number(at('window-low').value), Number(at('window-high').value)];
      refresh();
    });
  }
  at('window-reset').addEventListener('click', () => view.resetWindow());
  at('smooth').addEventListener('input', () => view.scene.setSmooth(at('smooth').checked));
  at('radiological').addEventListener('input', () => view.scene.setRadiological(at('radiological').checked));
  at('crosshair').addEventListener('input', () => {
    ink.isCrosshairShown = at('crosshair').checked;
    ink.draw(view.voxel);
  });

  at('zoom-out').addEventListener('click', () => view.zoomSteps(-1));
  at('zoom-in').addEventListener('click', () => view.zoomSteps(1));
  at('zoom-reset').addEventListener('click', () => view.zoomOut());
  const showZoom = () => {
    at('zoom').textContent = `${Math.round(100 * view.scene.frame.zoom)} %`;
  };
  view.addEventListener('frame', showZoom);

  const refresh = () => {
    const [low, high] = view.window;
    const size = Math.floor(Math.log10(high - low || 1));
    const step = 10 ** (size - 1);
    // A ten-thousandth of the window is not seen.
    const unit = 10 ** (size - 4);
    const write = (id, value) => {
      at(id).step = String(step);
      at(id).value = String(Number((Math.round(value / unit) * unit).toPrecision(7)));
    };
    write('window-low', low);
    write('window-high', high);
    at('shown-image').value = view.image;
    at('colormap').value = view.colormap;
    drawRamp(at('ramp'), view.scene.colormap(view.colormap));
    at('ramp').title = `${shown(low)} to ${shown(high)}`;
  };
  view.addEventListener('look', refresh);
  refresh();
}

/** @param {HTMLCanvasElement} canvas
 * @param {Uint8ClampedArray} colors */
function drawRamp(canvas, colors) {
  const pixels = new ImageData(256, 1);
  pixels.data.set(colors);
  for (let n = 3; n < pixels.data.length; n += 4) pixels.data[n] = 255;
  contextOf(canvas).putImageData(pixels, 0, 0);
}

/** Offer the maps over time, which the pass in the background has made. */
export function offerMaps() {
  for (const option of at('shown-image').options) option.disabled = false;
}

/**
 * Controls of the atlas.
 * @param {import('./view.js').View} view
 * @param {import('./overlays.js').Overlays} overlays
 * @param {import('./ink.js').Ink} ink
 */
export async function bindAtlas(view, overlays, ink) {
  const { atlas } = view.info;
  if (!atlas) return;
  at('atlas-section').hidden = false;
  at('atlas-name').textContent = atlas.name;
  const labels = await overlays.openAtlas();
  ink.labelColors = new Map(atlas.regions.map(({ label, color }) => [label, lightened(color)]));
  const outline = () => {
    ink.labels = at('atlas-outline').checked ? labels : null;
    ink.draw(view.voxel);
  };
  at('atlas-outline').addEventListener('input', outline);
  at('atlas-fill').addEventListener('input', () => {
    overlays.fill = Number(at('atlas-fill').value);
    overlays.draw();
  });
  at('atlas-region').append(make('option', { value: '' }, 'a region …'),
    ...atlas.regions.map(({ label, name }) => make('option', { value: label }, name)));
  at('atlas-region').addEventListener('change', () => {
    const voxel = middleOf(labels, Number(at('atlas-region').value), view.grid.shape);
    if (voxel) view.moveTo(voxel);
  });
  outline();
}

/** @param {number[]} color
 * @returns {string} A colour that is seen on grey. */
function lightened(color) {
  return `rgb(${color.map((part) => Math.round(part + 0.35 * (255 - part))).join(', ')})`;
}

/** The voxel of a region that is nearest to its centre.
 * @param {Float32Array} labels
 * @param {number} label
 * @param {number[]} shape
 * @returns {?number[]} */
function middleOf(labels, label, [nx, ny]) {
  const voxels = [];
  labels.forEach((value, n) => {
    if (value === label && label !== 0) voxels.push([n % nx, Math.floor(n / nx) % ny, Math.floor(n / (nx * ny))]);
  });
  if (voxels.length === 0) return null;
  const centre = [0, 1, 2].map((axis) => voxels.reduce((sum, voxel) => sum + voxel[axis], 0) / voxels.length);
  const distance = (voxel) => voxel.reduce((sum, index, axis) => sum + (index - centre[axis]) ** 2, 0);
  return voxels.reduce((best, voxel) => (distance(voxel) < distance(best) ? voxel : best));
}
