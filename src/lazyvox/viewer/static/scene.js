/**
 * The slices, drawn by NiiVue.
 *
 * NiiVue cuts and shows the volume; its textures are written in place. Its own way from values to pixels colours
 * the volume by one draw call for each slice and makes the gradients of a 3D rendering each time. Where no graphics
 * card is, that and its shader take 110 ms for a volume of 61 x 73 x 61; colouring here, writing in place and the
 * shader below take 15 ms. At its start it compiles forty shaders, of meshes and 3D renderings for the most part:
 * 1.7 s of processor time of the 3.9 s that a first image took. It knows a stand-in of eight voxels only.
 * @module scene
 */
import { Niivue, NVImage, SLICE_TYPE } from './vendor/niivue.js';
import { fitToScreen } from './elements.js';
import { Frame } from './frame.js';
import { Grid, PLANES, layOut, layOutOne } from './geometry.js';
import { standIn } from './nifti.js';

const SLICES = { sagittal: SLICE_TYPE.SAGITTAL, coronal: SLICE_TYPE.CORONAL, axial: SLICE_TYPE.AXIAL };

/** @type {Partial<import('./vendor/niivue.js').NVConfigOptions>} */
const OPTIONS = {
  backColor: [0.027, 0.031, 0.039, 1],
  crosshairWidth: 0,
  dragAndDropEnabled: false,
  interactive: false,
  isNearestInterpolation: true,
  isOrientationTextVisible: false,
  isResizeCanvas: false,
  logLevel: 'error',
};

/** A pixel of a slice: the image, and the overlays over it. NiiVue's own has drawings, masks and outlines too. */
const SHADER = `#version 300 es
precision highp float;
uniform highp sampler3D volume, overlay;
in vec3 texPos;
out vec4 color;
void main() {
  vec4 above = texture(overlay, texPos);
  color = vec4(mix(texture(volume, texPos).rgb, above.rgb, above.a), 1.0);
}`;

/** WebGL that neither compiles nor draws, for what NiiVue prepares and slices do not need. */
const IDLE = {
  compileShader: () => {},
  linkProgram: () => {},
  getProgramParameter: () => true,
  getUniformLocation: () => null,
  useProgram: () => {},
  drawArrays: () => {},
};

/** NiiVue that draws when it is asked to, not with every change; without its letters and the reflections of its
 * meshes, two pictures to decode. */
class Slices extends Niivue {
  async initText() {}

  drawScene() {}

  draw() {
    super.drawScene();
  }
}

/** The three planes of a volume. */
export class Scene {
  #niivue = new Slices(OPTIONS);
  #isReady = false;
  #size = [0, 0];
  /** @type {Grid} */
  grid;
  frame = new Frame();
  /** @type {import('./geometry.js').Tile[]} */
  tiles = [];
  /** @type {?import('./geometry.js').PlaneName} The only plane that is shown, null for all three. */
  #only = null;
  /** Called after each drawing. */
  onDraw = () => {};

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.room = /** @type {HTMLElement} */ (canvas.parentElement);
  }

  /** Prepare what needs no volume, while a first one is on its way. */
  async attach() {
    const gl = this.canvas.getContext('webgl2', { antialias: false });
    if (!gl) {
      throw new Error('The planes are drawn with WebGL 2, which this browser does not offer. Allow it in the '
        + 'settings of the browser, or use another browser.');
    }
    Object.assign(gl, IDLE);
    await this.#niivue.attachToCanvas(this.canvas, false);
    this.#endIdling();
    this.#niivue.setCustomSliceShader(SHADER);
  }

  #endIdling() {
    for (const name of Object.keys(IDLE)) delete this.#niivue.gl[name];
  }

  /**
   * Take the grid of a first volume.
   * @param {import('./nifti.js').Volume} volume
   * @param {{affine: number[][], zooms: number[]}} info
   */
  async open(volume, info) {
    const niivue = this.#niivue;
    const file = standIn(volume.buffer);
    // NiiVue gets the grid only. A second volume makes it interpolate overlays too.
    // All but the first are optional, its types say otherwise.
    const images = /** @type {any} */ (NVImage);
    const [base, overlay] = await Promise.all(
      ['base.nii', 'overlay.nii'].map((name) => images.new(file, name, 'gray', 1, null, 0, 1, false)));
    this.grid = new Grid(volume.shape, info.affine, info.zooms, base.permRAS);
    Object.assign(niivue.gl, IDLE);
    niivue.addVolume(base);
    niivue.addVolume(overlay);
    this.#endIdling();
    const { gl } = niivue;
    const dims = [3, ...this.grid.drawnShape];
    niivue.volumeTexture = niivue.rgbaTex(niivue.volumeTexture, gl.TEXTURE0, dims);
    niivue.overlayTexture = niivue.rgbaTex(niivue.overlayTexture, gl.TEXTURE2, dims);
    niivue.setInterpolation(true);
    this.#isReady = true;
    this.#layOut();
    new ResizeObserver(() => this.isLaidOut || this.resize()).observe(this.room);
  }

  /** Whether the planes are laid out for the room that there is. */
  get isLaidOut() {
    const { clientWidth, clientHeight } = this.room;
    return this.#size[0] === clientWidth && this.#size[1] === clientHeight;
  }

  /** Lay the planes out anew. */
  resize() {
    this.#layOut();
    this.draw();
  }

  #layOut() {
    const { clientWidth: width, clientHeight: height } = this.room;
    if (!this.#isReady || width < 20 || height < 20) return;
    this.#size = [width, height];
    const { extent } = this.grid;
    this.tiles = this.#only ? layOutOne(this.#only, extent, width, height) : layOut(extent, width, height);
    this.#niivue.setCustomLayout(this.tiles.map((tile) => ({
      sliceType: SLICES[tile.plane],
      position: [tile.left / width, tile.top / height, tile.width / width, tile.height / height],
    })));
  }

  /** Show one plane alone, or by null all three.
   * @param {?import('./geometry.js').PlaneName} plane */
  showOnly(plane) {
    this.#only = plane;
    this.resize();
  }

  /** @param {Uint32Array} colors - Of the volume as drawn. */
  setBase(colors) {
    this.#write(WebGL2RenderingContext.TEXTURE0, this.#niivue.volumeTexture, colors);
  }

  /** @param {Uint32Array} colors - Of the volume as drawn; alpha 0 shows what is below. */
  setOverlay(colors) {
    this.#write(WebGL2RenderingContext.TEXTURE2, this.#niivue.overlayTexture, colors);
  }

  /** @param {boolean} isSmooth - Whether pixels between voxels are interpolated. */
  setSmooth(isSmooth) {
    this.#niivue.setInterpolation(!isSmooth);
    this.draw();
  }

  /** @param {boolean} isRadiological - Whether the left of the body is shown on the right. */
  setRadiological(isRadiological) {
    this.#niivue.opts.isRadiologicalConvention = isRadiological;
    this.draw();
  }

  get isRadiological() {
    return this.#niivue.opts.isRadiologicalConvention;
  }

  /** Cut the planes through a voxel, from the next drawing on.
   * @param {number[]} voxel */
  setCrosshair(voxel) {
    const place = this.placeOf(voxel);
    Object.assign(this.#niivue.scene.crosshairPos, place);
    this.frame.follow(place);
  }

  draw() {
    if (!this.#isReady) return;
    fitToScreen(this.canvas);
    this.#frame();
    this.#niivue.draw();
    this.onDraw();
  }

  /** Have NiiVue show the part of the volume that the frame shows. */
  #frame() {
    const { scene, volumes: [{ extentsMinOrtho: low = [], extentsMaxOrtho: high = [] }] } = this.#niivue;
    const { zoom, centre } = this.frame;
    const pan = centre.map((place, axis) =>
      (low[axis] + high[axis]) / 2 - zoom * (low[axis] + place * (high[axis] - low[axis])));
    scene.pan2Dxyzmm = [...pan, zoom];
  }

  /** Wait until the graphics card, or what stands for it, is done. */
  finish() {
    const { gl } = this.#niivue;
    gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  }

  /** @param {string} name
   * @returns {Uint8ClampedArray} Red, green, blue and alpha of 256 steps. */
  colormap(name) {
    return this.#niivue.colormap(name);
  }

  /**
   * The place of the volume at a place of the screen.
   * @param {number} clientX
   * @param {number} clientY
   * @param {number[]} crosshair - The voxel through which the planes are cut.
   * @returns {?{tile: import('./geometry.js').Tile, place: number[]}} Shares of the axes as drawn.
   */
  placeAt(clientX, clientY, crosshair) {
    const bounds = this.canvas.getBoundingClientRect();
    const x = clientX - bounds.left;
    const y = clientY - bounds.top;
    const tile = this.tiles.find((one) =>
      x >= one.left && x < one.left + one.width && y >= one.top && y < one.top + one.height);
    if (!tile) return null;
    const { across, up } = PLANES[tile.plane];
    const place = this.placeOf(crosshair);
    const share = (x - tile.left) / tile.width;
    place[across] = this.frame.place(across, this.isMirrored(tile.plane) ? 1 - share : share);
    place[up] = this.frame.place(up, 1 - (y - tile.top) / tile.height);
    return { tile, place };
  }

  /**
   * The voxel at a place of the screen.
   * @param {number} clientX
   * @param {number} clientY
   * @param {number[]} crosshair - The voxel through which the planes are cut.
   * @returns {?{plane: import('./geometry.js').PlaneName, voxel: number[]}}
   */
  pick(clientX, clientY, crosshair) {
    const found = this.placeAt(clientX, clientY, crosshair);
    if (!found) return null;
    const drawn = found.place.map((share, axis) => Math.floor(share * this.grid.drawnShape[axis]));
    return { plane: found.tile.plane, voxel: this.grid.clamp(this.grid.toVoxel(drawn)) };
  }

  /** Move the volume by a drag on a plane.
   * @param {import('./geometry.js').Tile} tile
   * @param {number} dx - In pixels of the page.
   * @param {number} dy */
  pan(tile, dx, dy) {
    const { across, up } = PLANES[tile.plane];
    const by = [0, 0, 0];
    by[across] = (this.isMirrored(tile.plane) ? dx : -dx) / tile.width;
    by[up] = dy / tile.height;
    this.frame.move(by);
  }

  /** Whether a plane shows the right of the body on the left.
   * @param {import('./geometry.js').PlaneName} plane */
  isMirrored(plane) {
    return this.isRadiological && plane !== 'sagittal';
  }

  /** The middle of a voxel, as shares of the axes as drawn.
   * @param {number[]} voxel */
  placeOf(voxel) {
    return this.grid.toDrawn(voxel).map((index, axis) => (index + 0.5) / this.grid.drawnShape[axis]);
  }

  /** A place on a plane, in pixels of the page from the corner of the canvas; outside of the plane where it is not
   * shown.
   * @param {import('./geometry.js').Tile} tile
   * @param {number[]} place - Shares of the axes as drawn. */
  onTile(tile, place) {
    const { across, up } = PLANES[tile.plane];
    const share = this.frame.across(across, place[across]);
    return {
      x: tile.left + (this.isMirrored(tile.plane) ? 1 - share : share) * tile.width,
      y: tile.top + (1 - this.frame.across(up, place[up])) * tile.height,
    };
  }

  /** @param {number} unit
   * @param {?WebGLTexture} texture
   * @param {Uint32Array} colors */
  #write(unit, texture, colors) {
    const { gl } = this.#niivue;
    const [nx, ny, nz] = this.grid.drawnShape;
    gl.activeTexture(unit);
    gl.bindTexture(gl.TEXTURE_3D, texture);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    const bytes = new Uint8Array(colors.buffer);
    gl.texSubImage3D(gl.TEXTURE_3D, 0, 0, 0, 0, nx, ny, nz, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
  }
}
