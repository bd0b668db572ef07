/**
 * Places: voxels of the run, millimetres, and the volume as it is drawn, whose axes point to the right, the
 * front and the top.
 * @module geometry
 */

/** @typedef {'sagittal'|'coronal'|'axial'} PlaneName */

/** Axes (of the volume as drawn) that run across and up in each plane, and the one that it cuts.
 * @type {Record<PlaneName, {across: number, up: number, through: number}>} */
export const PLANES = {
  sagittal: { across: 1, up: 2, through: 0 },
  coronal: { across: 0, up: 2, through: 1 },
  axial: { across: 0, up: 1, through: 2 },
};

/** The grid of the run. */
export class Grid {
  /**
   * @param {number[]} shape - Voxels on each axis of the run.
   * @param {number[][]} affine - Voxel indices to mm, 4 x 4.
   * @param {number[]} zooms - Size of a voxel in mm, on each axis.
   * @param {number[]} permutation - For each axis as drawn the axis of the run, from 1, negative where it is
   *   reversed.
   */
  constructor(shape, affine, zooms, permutation) {
    this.shape = shape.slice(0, 3);
    this.affine = affine;
    this.axes = permutation.map((axis) => Math.abs(axis) - 1);
    this.isReversed = permutation.map((axis) => axis < 0);
    this.drawnShape = this.axes.map((axis) => shape[axis]);
    this.drawnZooms = this.axes.map((axis) => zooms[axis] || 1);
    const steps = [1, shape[0], shape[0] * shape[1]];
    /** Steps through the values of the run along each axis as drawn, and where they begin. */
    this.steps = this.axes.map((axis, n) => (this.isReversed[n] ? -steps[axis] : steps[axis]));
    this.start = this.axes.reduce(
      (sum, axis, n) => sum + (this.isReversed[n] ? steps[axis] * (shape[axis] - 1) : 0), 0);
    this.order = this.#drawingOrder();
  }

  /** For each voxel in the order in which it is drawn, its index in the values of the run.
   * @returns {Int32Array} */
  #drawingOrder() {
    const [nx, ny, nz] = this.drawnShape;
    const [sx, sy, sz] = this.steps;
    const order = new Int32Array(nx * ny * nz);
    let at = 0;
    for (let z = 0; z < nz; z++) {
      for (let y = 0; y < ny; y++) {
        for (let x = 0; x < nx; x++) order[at++] = this.start + x * sx + y * sy + z * sz;
      }
    }
    return order;
  }

  /** Length in mm of each axis as drawn. */
  get extent() {
    return this.drawnShape.map((length, n) => length * this.drawnZooms[n]);
  }

  /** @param {number[]} voxel
   * @returns {number[]} Its place on the axes as drawn. */
  toDrawn(voxel) {
    return this.axes.map((axis, n) => (this.isReversed[n] ? this.shape[axis] - 1 - voxel[axis] : voxel[axis]));
  }

  /** @param {number[]} drawn
   * @returns {number[]} The voxel of the run there. */
  toVoxel(drawn) {
    const voxel = [0, 0, 0];
    this.axes.forEach((axis, n) => {
      voxel[axis] = this.isReversed[n] ? this.shape[axis] - 1 - drawn[n] : drawn[n];
    });
    return voxel;
  }

  /** @param {number[]} voxel
   * @returns {number[]} Its centre in mm. */
  toMm(voxel) {
    return [0, 1, 2].map((row) => {
      const [a, b, c, d] = this.affine[row];
      return a * voxel[0] + b * voxel[1] + c * voxel[2] + d;
    });
  }

  /** @param {number[]} voxel
   * @returns {number} Its index in the values of a volume. */
  offset(voxel) {
    return voxel[0] + this.shape[0] * (voxel[1] + this.shape[1] * voxel[2]);
  }

  /** @param {number[]} voxel
   * @returns {number[]} The nearest voxel of the grid. */
  clamp(voxel) {
    return voxel.map((index, axis) => Math.min(this.shape[axis] - 1, Math.max(0, Math.round(index))));
  }

  /** Move along an axis as drawn, and stay inside.
   * @param {number[]} voxel
   * @param {number} axis
   * @param {number} by
   * @returns {number[]} */
  moved(voxel, axis, by) {
    const drawn = this.toDrawn(voxel);
    drawn[axis] = Math.min(this.drawnShape[axis] - 1, Math.max(0, drawn[axis] + by));
    return this.toVoxel(drawn);
  }
}

/** @typedef {{plane: PlaneName, left: number, top: number, width: number, height: number}} Tile */

/**
 * Place one plane, as large as the room allows.
 * @param {PlaneName} plane
 * @param {number[]} extent - Length in mm of each axis as drawn.
 * @param {number} width - In pixels.
 * @param {number} height - In pixels.
 * @returns {Tile[]}
 */
export function layOutOne(plane, extent, width, height) {
  const { across, up } = PLANES[plane];
  const gap = 10;
  const scale = Math.max(0.01, Math.min((width - 2 * gap) / extent[across], (height - 2 * gap) / extent[up]));
  const [wide, high] = [extent[across] * scale, extent[up] * scale];
  return [{ plane, left: (width - wide) / 2, top: (height - high) / 2, width: wide, height: high }];
}

/**
 * Place the three planes, all at one scale, as large as the room allows: in a row, or in two rows.
 * @param {number[]} extent - Length in mm of each axis as drawn.
 * @param {number} width - In pixels.
 * @param {number} height - In pixels.
 * @returns {Tile[]}
 */
export function layOut(extent, width, height) {
  const [x, y, z] = extent;
  const gap = 10;
  const row = Math.min((width - 4 * gap) / (y + x + x), (height - 2 * gap) / Math.max(y, z));
  const square = Math.min((width - 3 * gap) / (y + x), (height - 3 * gap) / (z + y));
  const scale = Math.max(row, square, 0.01);
  const tile = (plane, left, top) => {
    const { across, up } = PLANES[plane];
    return { plane, left, top, width: extent[across] * scale, height: extent[up] * scale };
  };
  if (row >= square) {
    const left = (width - (y + x + x) * scale - 2 * gap) / 2;
    const middle = (length) => (height - length * scale) / 2;
    return [
      tile('sagittal', left, middle(z)),
      tile('coronal', left + y * scale + gap, middle(z)),
      tile('axial', left + (y + x) * scale + 2 * gap, middle(y)),
    ];
  }
  const left = (width - (y + x) * scale - gap) / 2;
  const top = (height - (z + y) * scale - gap) / 2;
  return [
    tile('coronal', left, top),
    tile('sagittal', left + x * scale + gap, top),
    tile('axial', left, top + z * scale + gap),
  ];
}
