/**
 * Volumes as the server sends them: uncompressed NIfTI-1 files, little-endian, voxels from byte 352 on.
 * @module nifti
 */

/**
 * @typedef {object} Volume
 * @property {number[]} shape - Voxels on each of three axes.
 * @property {number[][]} affine - Voxel indices to mm: three rows of four.
 * @property {Float32Array} values - Scaled values, the first axis fastest.
 * @property {ArrayBuffer} buffer - The file.
 */

const OFFSET = 352;

/** Views of the types that the server sends, by their code in the header.
 * @type {Record<number, any>} */
const TYPES = { 2: Uint8Array, 4: Int16Array, 8: Int32Array, 16: Float32Array, 512: Uint16Array };

/**
 * Read a file.
 * @param {ArrayBuffer} buffer
 * @returns {Volume}
 */
export function parseVolume(buffer) {
  const header = new DataView(buffer);
  if (buffer.byteLength < OFFSET || header.getInt32(0, true) !== 348) {
    throw new Error('The server sent no volume.');
  }
  const { shape, affine } = gridOf(header);
  const type = TYPES[header.getInt16(70, true)];
  const count = shape[0] * shape[1] * shape[2];
  if (!type || buffer.byteLength < OFFSET + count * type.BYTES_PER_ELEMENT) {
    throw new Error('The server sent a volume of another type or size than it says.');
  }
  const stored = new type(buffer, OFFSET, count);
  const values = scaled(stored, header.getFloat32(112, true), header.getFloat32(116, true));
  return { shape, affine, buffer, values };
}

/** @param {DataView} header
 * @returns {{shape: number[], affine: number[][]}} */
function gridOf(header) {
  const shape = [1, 2, 3].map((axis) => header.getInt16(40 + 2 * axis, true));
  const affine = [0, 1, 2].map((row) => [0, 1, 2, 3].map((n) => header.getFloat32(280 + 16 * row + 4 * n, true)));
  return { shape, affine };
}

/**
 * @param {ArrayLike<number>} stored
 * @param {number} slope - 0 means that there is no scaling.
 * @param {number} inter
 * @returns {Float32Array}
 */
function scaled(stored, slope, inter) {
  const isPlain = slope === 0 || !Number.isFinite(slope) || (slope === 1 && inter === 0);
  if (isPlain) return stored instanceof Float32Array ? stored : Float32Array.from(stored);
  const values = new Float32Array(stored.length);
  for (let n = 0; n < values.length; n++) values[n] = stored[n] * slope + inter;
  return values;
}

/**
 * The file of a volume of zeros of the same extent that has two voxels on each axis.
 * @param {ArrayBuffer} buffer - A file that the server sent.
 * @returns {ArrayBuffer}
 */
export function standIn(buffer) {
  const file = new ArrayBuffer(OFFSET + 8);
  new Uint8Array(file).set(new Uint8Array(buffer, 0, OFFSET));
  const header = new DataView(file);
  const { shape, affine } = gridOf(header);
  header.setInt16(40, 3, true);
  header.setInt16(70, 2, true);
  header.setInt16(72, 8, true);
  header.setFloat32(112, 1, true);
  header.setFloat32(116, 0, true);
  // The sform alone is valid.
  header.setInt16(252, 0, true);
  header.setInt16(254, 1, true);
  shape.forEach((length, axis) => {
    header.setInt16(42 + 2 * axis, 2, true);
    header.setFloat32(80 + 4 * axis, (header.getFloat32(80 + 4 * axis, true) * length) / 2, true);
    // The corner of the first voxel, at -0.5, stays where it is.
    affine.forEach((row) => {
      row[3] += row[axis] * (length - 2) / 4;
      row[axis] *= length / 2;
    });
  });
  affine.flat().forEach((value, n) => header.setFloat32(280 + 4 * n, value, true));
  return file;
}
