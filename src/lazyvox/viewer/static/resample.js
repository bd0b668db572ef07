/**
 * Overlays on other grids than the run's.
 * @module resample
 */

/**
 * The inverse of an affine.
 * @param {number[][]} affine - At least its first three rows.
 * @returns {number[][]} Its first three rows.
 */
function inverse([a, b, c]) {
  const minor = (p, q, x, y) => p[x] * q[y] - p[y] * q[x];
  const det = a[0] * minor(b, c, 1, 2) - a[1] * minor(b, c, 0, 2) + a[2] * minor(b, c, 0, 1);
  const rows = [
    [minor(b, c, 1, 2), -minor(a, c, 1, 2), minor(a, b, 1, 2)],
    [-minor(b, c, 0, 2), minor(a, c, 0, 2), -minor(a, b, 0, 2)],
    [minor(b, c, 0, 1), -minor(a, c, 0, 1), minor(a, b, 0, 1)],
  ].map((row) => row.map((value) => value / det));
  return rows.map((row) => [...row, -(row[0] * a[3] + row[1] * b[3] + row[2] * c[3])]);
}

/** @param {number[][]} a
 * @param {number[][]} b
 * @returns {number[][]} The first three rows of the product of two affines. */
function product(a, b) {
  const last = [0, 0, 0, 1];
  return a.slice(0, 3).map((row) => [0, 1, 2, 3].map((column) =>
    row.reduce((sum, value, n) => sum + value * (b[n] ?? last)[column], 0)));
}

/**
 * Values of a volume at the voxels of the run's grid: linear between its voxels, 0 outside.
 * @param {import('./nifti.js').Volume} volume
 * @param {import('./geometry.js').Grid} grid
 * @returns {Float32Array} The volume's own where it has the run's grid.
 */
export function onGrid(volume, grid) {
  const there = product(inverse(volume.affine), grid.affine);
  const isSame = volume.shape.every((length, axis) => length === grid.shape[axis])
    && there.every((row, n) => row.every((value, m) => Math.abs(value - (n === m ? 1 : 0)) < 1e-3));
  if (isSame) return volume.values;
  const [nx, ny, nz] = grid.shape;
  const values = new Float32Array(nx * ny * nz);
  let n = 0;
  for (let k = 0; k < nz; k++) {
    for (let j = 0; j < ny; j++) {
      for (let i = 0; i < nx; i++, n++) {
        const [x, y, z] = there.map((row) => row[0] * i + row[1] * j + row[2] * k + row[3]);
        values[n] = valueAt(volume, x, y, z);
      }
    }
  }
  return values;
}

/** @param {import('./nifti.js').Volume} volume
 * @param {number} x
 * @param {number} y
 * @param {number} z
 * @returns {number} */
function valueAt({ shape: [nx, ny, nz], values }, x, y, z) {
  if (!(x >= -0.5 && y >= -0.5 && z >= -0.5 && x <= nx - 0.5 && y <= ny - 0.5 && z <= nz - 0.5)) return 0;
  const inside = (place, length) => Math.min(length - 1, Math.max(0, place));
  const [cx, cy, cz] = [inside(x, nx), inside(y, ny), inside(z, nz)];
  const [i, j, k] = [Math.floor(cx), Math.floor(cy), Math.floor(cz)];
  const [fx, fy, fz] = [cx - i, cy - j, cz - k];
  const row = (jj, kk) => {
    const first = nx * (Math.min(jj, ny - 1) + ny * Math.min(kk, nz - 1)) + i;
    return fx === 0 ? values[first] : values[first] * (1 - fx) + values[first + 1] * fx;
  };
  const plane = (kk) => (fy === 0 ? row(j, kk) : row(j, kk) * (1 - fy) + row(j + 1, kk) * fy);
  return fz === 0 ? plane(k) : plane(k) * (1 - fz) + plane(k + 1) * fz;
}
