/**
 * Pointer and keys.
 * @module input
 */
import { at } from './elements.js';
import { PLANES } from './geometry.js';

/** Whether a key belongs to a control, so that it must be left to it.
 * @param {?EventTarget} target
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

/** Pixels of the page up to which a press is a click. */
const STILL = 4;

/**
 * Click and drag move the crosshair, a drag with Shift or the middle button what is shown, a drag with the right
 * button the window. The wheel moves the slice, and zooms with Ctrl; two fingers zoom and move.
 * @param {import('./view.js').View} view
 * @param {Actions} actions
 */
export function bindPointer(view, actions) {
  const planes = at('planes');
  const pick = (event) => view.scene.pick(event.clientX, event.clientY, view.voxel);
  /** @type {?Drag} */
  let drag = null;
  const giveUp = () => {
    drag?.giveUp?.();
    drag = null;
  };
  bindFingers(view, planes, giveUp);
  /** @type {?{clientX: number, clientY: number}} */
  let pointer = null;
  const hover = () => actions.hover(pointer && (pick(pointer)?.voxel ?? null));
  // What is under a pointer that is still changes with keys, and while it plays.
  for (const type of ['frame', 'voxel', 'values']) view.addEventListener(type, hover);

  planes.addEventListener('contextmenu', (event) => event.preventDefault());
  // The middle button would scroll the page.
  planes.addEventListener('mousedown', (event) => event.button === 1 && event.preventDefault());
  planes.addEventListener('pointerdown', (event) => {
    if (event.pointerType === 'touch' && !event.isPrimary) return;
    const found = view.scene.placeAt(event.clientX, event.clientY, view.voxel);
    if (event.button === 2) {
      drag = windowDrag(view, event, planes.clientWidth);
    } else if (found && (event.button === 1 || (event.button === 0 && event.shiftKey))) {
      drag = panDrag(view, event, found.tile, () => event.button === 0 && correlateAt(pick(event)));
    } else if (found && event.button === 0) {
      const back = backFromHere(view);
      choose(pick(event));
      drag = { move: crosshairTo, end: () => actions.series(view.voxel), giveUp: back };
    } else {
      return;
    }
    planes.setPointerCapture(event.pointerId);
  });
  planes.addEventListener('pointermove', (event) => {
    pointer = event;
    hover();
    drag?.move(event);
  });
  planes.addEventListener('pointerup', () => {
    drag?.end();
    drag = null;
  });
  planes.addEventListener('pointercancel', giveUp);
  planes.addEventListener('pointerleave', () => {
    pointer = null;
    hover();
  });

  const choose = (found) => {
    view.plane = found.plane;
    view.moveTo(found.voxel);
  };
  const crosshairTo = (event) => {
    const found = pick(event);
    if (found?.plane === view.plane) view.moveTo(found.voxel);
  };
  const correlateAt = (found) => {
    choose(found);
    actions.correlate(view.voxel);
  };
  bindWheel(view, planes);
}

/** @typedef {{move: (event: PointerEvent) => void, end: () => void, giveUp?: () => void}} Drag */

/** Return what takes the crosshair back to where it is now: a finger that zooms or scrolls chooses no voxel.
 * @param {import('./view.js').View} view
 * @returns {() => void} */
function backFromHere(view) {
  const { plane, voxel, scene: { frame } } = view;
  const { centre } = frame;
  return () => {
    view.plane = plane;
    view.moveTo(voxel);
    frame.centre = centre;
    view.scene.draw();
  };
}

/** A drag that sets the window.
 * @param {import('./view.js').View} view
 * @param {PointerEvent} from
 * @param {number} size
 * @returns {Drag} */
function windowDrag(view, { clientX: x, clientY: y }, size) {
  const start = { x, y, window: view.window };
  return {
    move: (event) => {
      view.window = draggedWindow(start, event, size);
    },
    end: () => {},
  };
}

/** A drag that moves what is shown; one that moves nothing is a click.
 * @param {import('./view.js').View} view
 * @param {PointerEvent} from
 * @param {import('./geometry.js').Tile} tile
 * @param {() => void} onClick
 * @returns {Drag} */
function panDrag(view, { clientX, clientY }, tile, onClick) {
  let [x, y] = [clientX, clientY];
  let isClick = true;
  return {
    move: (event) => {
      isClick &&= Math.hypot(event.clientX - x, event.clientY - y) <= STILL;
      if (isClick) return;
      view.pan(tile, event.clientX - x, event.clientY - y);
      [x, y] = [event.clientX, event.clientY];
    },
    end: () => {
      if (isClick) onClick();
    },
  };
}

/** @param {import('./view.js').View} view
 * @param {HTMLElement} planes */
function bindWheel(view, planes) {
  let turned = 0;
  planes.addEventListener('wheel', (event) => {
    const found = view.scene.placeAt(event.clientX, event.clientY, view.voxel);
    if (!found) return;
    event.preventDefault();
    // A wheel turns by some 100 pixels, a touch pad by a few.
    const pixels = event.deltaMode === 0 ? event.deltaY : 100 * event.deltaY;
    if (event.ctrlKey || event.metaKey) {
      // Two fingers on a touch pad come as a wheel with Ctrl.
      view.zoomBy(2 ** (-Math.min(50, Math.max(-50, pixels)) / 100), found.place);
      return;
    }
    turned += pixels;
    const slices = Math.trunc(turned / 50);
    if (slices === 0) return;
    turned -= 50 * slices;
    view.plane = found.tile.plane;
    view.moveAlong(PLANES[found.tile.plane].through, -Math.sign(slices));
  }, { passive: false });
}

/** Zoom and move by two fingers.
 * @param {import('./view.js').View} view
 * @param {HTMLElement} planes
 * @param {() => void} onSecond - Called when a second finger is put down. */
function bindFingers(view, planes, onSecond) {
  /** @type {Map<number, {x: number, y: number}>} */
  const fingers = new Map();
  const span = () => {
    const [a, b] = [...fingers.values()];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, length: Math.hypot(a.x - b.x, a.y - b.y) };
  };
  const note = (event) => fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  planes.addEventListener('pointerdown', (event) => {
    if (event.pointerType !== 'touch') return;
    note(event);
    if (fingers.size === 2) onSecond();
  });
  planes.addEventListener('pointermove', (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = fingers.size === 2 ? span() : null;
    note(event);
    if (!before) return;
    const { x, y, length } = span();
    const found = view.scene.placeAt(before.x, before.y, view.voxel);
    if (!found) return;
    view.pan(found.tile, x - before.x, y - before.y);
    view.zoomBy(length / (before.length || 1), view.scene.placeAt(x, y, view.voxel)?.place ?? found.place);
  });
  planes.addEventListener('pointerup', (event) => fingers.delete(event.pointerId));
  planes.addEventListener('pointercancel', (event) => fingers.delete(event.pointerId));
  // Two fingers that go the same way would scroll the page.
  planes.addEventListener('touchmove', (event) => {
    if (event.touches.length > 1) event.preventDefault();
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
  const volume = (by) => (event) => view.showTime(view.wishedTime + (event.shiftKey ? 10 * by : by));
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
    '+': () => view.zoomSteps(1),
    '=': () => view.zoomSteps(1),
    '-': () => view.zoomSteps(-1),
    0: () => view.zoomOut(),
  };
  document.addEventListener('keydown', (event) => {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const action = keys[key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey || isTakenBy(event.target, key)) return;
    event.preventDefault();
    action(event);
  });
}
