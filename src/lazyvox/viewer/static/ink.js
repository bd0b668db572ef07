/**
 * Lines and letters over the slices: crosshair, orientation, outlines of regions. Lines follow the borders of
 * voxels and are one pixel thin at any size of a voxel, as textures of voxels could not be.
 * @module ink
 */
import { contextOf, fitToScreen } from './elements.js';
import { PLANES } from './geometry.js';

const LETTERS = { 0: ['L', 'R'], 1: ['P', 'A'], 2: ['I', 'S'] };
/** Room in pixels of the page around the voxel that the crosshair leaves free. */
const FREE = 7;
/** Length in pixels of the side of a plane below which two letters would lie over one another. */
const LEAST = 34;

/** A drawing over the canvas of a scene. */
export class Ink {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {import('./scene.js').Scene} scene
   */
  constructor(canvas, scene) {
    this.canvas = canvas;
    this.scene = scene;
    this.isCrosshairShown = true;
    /** @type {?Float32Array} */
    this.labels = null;
    /** @type {Map<number, string>} */
    this.labelColors = new Map();
  }

  /** @param {number[]} voxel */
  draw(voxel) {
    const context = this.#cleared();
    for (const tile of this.scene.tiles) {
      context.save();
      context.beginPath();
      context.rect(tile.left, tile.top, tile.width, tile.height);
      context.clip();
      if (this.labels) this.#outline(context, tile, voxel);
      if (this.isCrosshairShown) this.#crosshair(context, tile, voxel);
      context.restore();
      this.#letters(context, tile);
    }
  }

  /** @returns {CanvasRenderingContext2D} With the page's pixels as units. */
  #cleared() {
    const ratio = fitToScreen(this.canvas);
    const context = contextOf(this.canvas);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.canvas.clientWidth, this.canvas.clientHeight);
    return context;
  }

  #crosshair(context, tile, voxel) {
    const { grid, frame: { zoom } } = this.scene;
    const { x, y } = this.scene.onTile(tile, this.scene.placeOf(voxel));
    const { across, up } = PLANES[tile.plane];
    const freeX = Math.max(FREE, (0.5 * zoom * tile.width) / grid.drawnShape[across] + 2);
    const freeY = Math.max(FREE, (0.5 * zoom * tile.height) / grid.drawnShape[up] + 2);
    context.strokeStyle = 'rgba(92, 200, 255, 0.85)';
    context.lineWidth = 1;
    context.beginPath();
    const line = (fromX, fromY, toX, toY) => {
      context.moveTo(fromX, fromY);
      context.lineTo(toX, toY);
    };
    const [atX, atY] = [Math.round(x) + 0.5, Math.round(y) + 0.5];
    if (x - freeX > tile.left) line(tile.left, atY, x - freeX, atY);
    if (x + freeX < tile.left + tile.width) line(x + freeX, atY, tile.left + tile.width, atY);
    if (y - freeY > tile.top) line(atX, tile.top, atX, y - freeY);
    if (y + freeY < tile.top + tile.height) line(atX, y + freeY, atX, tile.top + tile.height);
    context.stroke();
  }

  #letters(context, tile) {
    const { across, up } = PLANES[tile.plane];
    const [left, right] = this.scene.isMirrored(tile.plane) ? [...LETTERS[across]].reverse() : LETTERS[across];
    const [bottom, top] = LETTERS[up];
    context.font = '600 12px system-ui, sans-serif';
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.lineWidth = 3;
    context.strokeStyle = 'rgba(7, 8, 10, 0.9)';
    context.fillStyle = '#e6b450';
    const middle = [tile.left + tile.width / 2, tile.top + tile.height / 2];
    const sideways = [[left, tile.left + 9, middle[1]], [right, tile.left + tile.width - 9, middle[1]]];
    const upright = [[top, middle[0], tile.top + 10], [bottom, middle[0], tile.top + tile.height - 10]];
    for (const [text, x, y] of [
      ...(tile.width < LEAST ? [] : sideways), ...(tile.height < LEAST ? [] : upright),
    ]) {
      context.strokeText(text, x, y);
      context.fillText(text, x, y);
    }
  }

  /** Draw the borders between regions, each half of a border in the colour of its side. */
  #outline(context, tile, voxel) {
    const { grid, frame } = this.scene;
    const { across, up, through } = PLANES[tile.plane];
    const [nx, ny] = [grid.drawnShape[across], grid.drawnShape[up]];
    const first = grid.start + grid.steps[through] * grid.toDrawn(voxel)[through];
    const labels = /** @type {Float32Array} */ (this.labels);
    const label = (x, y) => (x < 0 || y < 0 || x >= nx || y >= ny
      ? 0
      : labels[first + grid.steps[across] * x + grid.steps[up] * y]);
    /** @type {Map<number, Path2D>} */
    const paths = new Map();
    const corner = (x, y) => {
      const place = [0, 0, 0];
      [place[across], place[up]] = [x / nx, y / ny];
      return this.scene.onTile(tile, place);
    };
    const edge = (owner, from, to) => {
      const path = paths.get(owner) ?? new Path2D();
      paths.set(owner, path);
      path.moveTo(from.x, from.y);
      path.lineTo(to.x, to.y);
    };
    const seen = (axis, length) => [
      Math.max(0, Math.floor(frame.place(axis, 0) * length)), Math.min(length, Math.ceil(frame.place(axis, 1) * length)),
    ];
    const [left, right] = seen(across, nx);
    const [bottom, top] = seen(up, ny);
    for (let y = bottom; y <= top; y++) {
      for (let x = left; x <= right; x++) {
        const here = label(x, y);
        const before = label(x - 1, y);
        const below = label(x, y - 1);
        if (here !== before) edge(here || before, corner(x, y), corner(x, y + 1));
        if (here !== below) edge(here || below, corner(x, y), corner(x + 1, y));
      }
    }
    context.lineWidth = 1.25;
    for (const [owner, path] of paths) {
      context.strokeStyle = this.labelColors.get(owner) ?? '#ffffff';
      context.stroke(path);
    }
  }
}
