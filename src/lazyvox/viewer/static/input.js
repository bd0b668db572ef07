/**
 * Pointer and keys.
 * @module input
 */
import { at } from './elements.js';
import { PLANES } from './geometry.js';

/** Whether a key belongs to a control, so that it must be left to it.
 * @param {EventTarget} target
 * @param {string} key */
function isTakenBy(target, key) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest('dialog')) return true;
  if (target instanceof HTMLInputElement) {
    if (target.type === 'checkbox') return key === ' ';
    if (target.type === 'range') return key !== ' ' && key !== '?';
    return true;
  }
  if (target instanceof HTMLSelectElement) return true;
  return (target instanceof HTMLButtonElement || target instanceof HTMLAnchorElement)
    && (key === ' ' || key === 'Enter');
}

/**
 * @typedef {object} Actions
 * @property {(voxel: number[]) => void} series
 * @property {(voxel: number[]) => void} correlate
 * @property {() => void} togglePlay
 * @property {() => void} giveUp
 * @property {(voxel: ?number[]) => void} hover
 * @property {(text: string) => void} say
 */

/**
 * Click and drag move the crosshair, the wheel the slice, a drag with the right button the window.
 * @param {import('./view.js').View} view
 * @param {Actions} actions
 */
export function bindPointer(view, actions) {
  const planes = at('planes');
  const pick = (event) => view.scene.pick(event.clientX, event.clientY, view.voxel);
  /** @type {?{x: number, y: number, window: number[]}} */
  let windowing = null;
  let isMoving = false;

  planes.addEventListener('contextmenu', (event) => event.preventDefault());
  planes.addEventListener('pointerdown', (event) => {
    const found = pick(event);
    if (event.button === 2) {
      windowing = { x: event.clientX, y: event.clientY, window: view.window };
      planes.setPointerCapture(event.pointerId);
    } else if (event.button === 0 && found) {
      view.plane = found.plane;
      view.moveTo(found.voxel);
      if (event.shiftKey) {
        actions.correlate(view.voxel);
      } else {
        isMoving = true;
        planes.setPointerCapture(event.pointerId);
      }
    }
  });
  planes.addEventListener('pointermove', (event) => {
    const found = pick(event);
    actions.hover(found?.voxel ?? null);
    if (windowing) {
      view.window = draggedWindow(windowing, event, planes.clientWidth);
    } else if (isMoving && found?.plane === view.plane) {
      view.moveTo(found.voxel);
    }
  });
  const end = () => {
    if (isMoving) actions.series(view.voxel);
    isMoving = false;
    windowing = null;
  };
  planes.addEventListener('pointerup', end);
  planes.addEventListener('pointercancel', () => {
    isMoving = false;
    windowing = null;
  });
  planes.addEventListener('pointerleave', () => actions.hover(null));

  let turned = 0;
  planes.addEventListener('wheel', (event) => {
    const found = pick(event);
    if (!found || event.ctrlKey) return;
    event.preventDefault();
    // A wheel turns by some 100 pixels, a touch pad by a few.
    turned += event.deltaMode === 0 ? event.deltaY : 100 * event.deltaY;
    const slices = Math.trunc(turned / 50);
    if (slices === 0) return;
    turned -= 50 * slices;
    view.plane = found.plane;
    view.moveAlong(PLANES[found.plane].through, -Math.sign(slices));
  }, { passive: false });
}

/** Across for the width of the window, up for its middle.
 * @param {{x: number, y: number, window: number[]}} from
 * @param {PointerEvent} to
 * @param {number} size
 * @returns {number[]} */
function draggedWindow({ x, y, window: [low, high] }, to, size) {
  const width = (high - low) * 2 ** ((2 * (to.clientX - x)) / size * 2);
  const middle = (low + high) / 2 + ((high - low) * (to.clientY - y)) / size * 2;
  return [middle - width / 2, middle + width / 2];
}

/**
 * @param {import('./view.js').View} view
 * @param {Actions} actions
 */
export function bindKeys(view, actions) {
  const slice = (by) => () => view.moveAlong(PLANES[view.plane].through, by);
  const plane = (name) => () => {
    view.plane = name;
    if (document.body.classList.contains('large')) view.scene.showOnly(name);
    actions.say(`Up and down move the ${name} plane.`);
  };
  const enlarge = () => {
    const isLarge = document.body.classList.toggle('large');
    view.scene.showOnly(isLarge ? view.plane : null);
  };
  const volume = (by) => (event) => view.showTime((view.wishedTime ?? view.t) + (event.shiftKey ? 10 * by : by));
  /** @type {Record<string, (event: KeyboardEvent) => void>} */
  const keys = {
    ArrowLeft: volume(-1),
    ArrowRight: volume(1),
    ArrowUp: slice(1),
    ArrowDown: slice(-1),
    PageUp: slice(1),
    PageDown: slice(-1),
    Home: () => view.showTime(0),
    End: () => view.showTime(view.length - 1),
    ' ': () => actions.togglePlay(),
    Enter: () => actions.series(view.voxel),
    Escape: () => actions.giveUp(),
    '?': () => at('help').showModal(),
    1: plane('sagittal'),
    2: plane('coronal'),
    3: plane('axial'),
    c: () => actions.correlate(view.voxel),
    r: () => view.resetWindow(),
    o: () => at('atlas-outline').click(),
    x: () => at('crosshair').click(),
    z: enlarge,
  };
  document.addEventListener('keydown', (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = keys[key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey || isTakenBy(event.target, key)) return;
    event.preventDefault();
    action(event);
  });
}
