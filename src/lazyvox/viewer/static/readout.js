/**
 * The words and numbers about the voxel under the crosshair and the one under the pointer, and about the time.
 * @module readout
 */
import { at, shown } from './elements.js';

/** Names of the values of each kind of image. */
const IMAGES = { volume: 'Value', mean: 'Mean', std: 'Standard deviation', tsnr: 'tSNR' };
const AXES = ['i', 'j', 'k'];
/** Screen readers hear a place when it has been still for so long. */
const STILL = 600;

/**
 * @param {import('./view.js').View} view
 * @param {import('./overlays.js').Overlays} overlays
 */
export function bindReadout(view, overlays) {
  const names = new Map((view.info.atlas?.regions ?? []).map(({ label, name }) => [label, name]));
  /** @param {number[]} voxel */
  const regionAt = (voxel) => names.get(overlays.labels?.[view.grid.offset(voxel)]) ?? 'none';
  let timer = 0;

  AXES.forEach((name, axis) => {
    const input = at(`voxel-${name}`);
    input.max = String(view.grid.shape[axis] - 1);
    input.addEventListener('change', () => {
      view.moveTo(AXES.map((one) => Number(at(`voxel-${one}`).value) || 0));
    });
  });

  const refresh = () => {
    const { voxel } = view;
    AXES.forEach((name, axis) => {
      at(`voxel-${name}`).value = String(voxel[axis]);
    });
    const mm = view.grid.toMm(voxel).map((one) => one.toFixed(1)).join(', ');
    const value = shown(view.valueAt(voxel));
    const region = overlays.labels ? regionAt(voxel) : '';
    at('mm').textContent = mm;
    at('value').textContent = value;
    at('value-label').textContent = IMAGES[view.image];
    at('region').textContent = region;
    at('region-fact').hidden = !overlays.labels;
    clearTimeout(timer);
    timer = setTimeout(() => {
      at('spoken').textContent = `Volume ${view.t}, voxel ${voxel.join(', ')}, ${mm} mm, value ${value}`
        + (region ? `, region ${region}` : '');
    }, STILL);
  };
  view.addEventListener('voxel', refresh);
  view.addEventListener('values', refresh);
  refresh();

  return {
    refresh,
    /** @param {?number[]} voxel - Under the pointer. */
    hover(voxel) {
      at('hover').textContent = voxel ? [
        voxel.join(', '), shown(view.valueAt(voxel)), ...(overlays.labels ? [regionAt(voxel)] : []),
        ...overlays.valuesAt(voxel),
      ].join('  ·  ') : '';
    },
  };
}

/**
 * Slider, number and seconds of the volume, play and its speed.
 * @param {import('./view.js').View} view
 * @param {import('./volumes.js').Player} player
 */
export function bindTime(view, player) {
  const last = String(view.length - 1);
  at('timeline').max = last;
  at('volume-number').max = last;
  at('timeline').addEventListener('input', () => view.showTime(Number(at('timeline').value)));
  at('volume-number').addEventListener('change', () => view.showTime(Number(at('volume-number').value) || 0));
  at('play').addEventListener('click', () => togglePlay(player));

  const words = (t) => (view.info.t_r ? `${(t * view.info.t_r).toFixed(1)} s` : `of ${view.length}`);
  const refresh = () => {
    at('timeline').setAttribute('aria-valuetext', `Volume ${view.t} of ${view.length}, ${words(view.t)}`);
    at('seconds').textContent = words(view.t);
    if (document.activeElement !== at('volume-number')) at('volume-number').value = String(view.t);
  };
  view.on('wish', (t) => {
    at('timeline').value = String(t);
  });
  view.addEventListener('time', () => {
    if (document.activeElement === at('volume-number')) at('volume-number').value = String(view.t);
    refresh();
  });
  refresh();
}

/** @param {import('./volumes.js').Player} player */
export function togglePlay(player) {
  if (player.isPlaying) player.stop();
  else player.start();
  const { isPlaying } = player;
  at('play').setAttribute('aria-pressed', String(isPlaying));
  at('play').setAttribute('aria-label', isPlaying ? 'Pause' : 'Play');
  at('play-icon').setAttribute('d', isPlaying ? 'M4 2.5h3v11H4zM9.5 2.5h3v11h-3z' : 'M4 2.5v11l9-5.5z');
}
