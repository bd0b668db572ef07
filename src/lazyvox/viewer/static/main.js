/**
 * The page of lazyvox view: opens the run and joins the parts.
 * @module main
 */
import { watchState } from './api.js';
import { bindAtlas, bindDisplay, offerMaps } from './display.js';
import { at } from './elements.js';
import { Ink } from './ink.js';
import { bindKeys, bindPointer } from './input.js';
import { Overlays } from './overlays.js';
import { bindReadout, bindTime, togglePlay } from './readout.js';
import { Scene } from './scene.js';
import { Status } from './status.js';
import { View } from './view.js';
import { Player } from './volumes.js';

/** @param {any} info */
function describe(info) {
  document.title = `${info.name} – lazyvox view`;
  at('name').textContent = info.name;
  at('name').title = info.name;
  const [nx, ny, nz, nt = 1] = info.shape;
  const zooms = info.zooms.slice(0, 3).map((one) => Number(one.toFixed(2))).join(' × ');
  at('facts').textContent = [
    `${nx} × ${ny} × ${nz}`, `${nt} ${nt === 1 ? 'volume' : 'volumes'}`, `${zooms} mm`, ...(info.t_r ? [`TR ${Number(info.t_r.toFixed(4))} s`] : []),
    info.dtype, ...(info.is_computed ? ['computed'] : []),
  ].map((fact) => fact.replaceAll(' ', '\u00a0')).join('\u00a0\u00a0·  ');
}

/** Say how voxels are cleaned before they are correlated.
 * @param {any} info */
function describeCleaning({ confounds, n_left_out: nLeftOut, shape }) {
  const parts = [
    ...(confounds?.length ? [`${confounds.length} ${confounds.length === 1 ? 'confound' : 'confounds'} removed`] : []),
    ...(nLeftOut ? [`${nLeftOut} of ${shape[3]} volumes left out`] : []),
  ];
  at('removed').hidden = parts.length === 0;
  at('removed-count').textContent = `Correlations: ${parts.join(', ')}`;
  at('removed-names').textContent = (confounds ?? []).join(', ');
}

/** Follow the server: progress, banner, and results once they are there.
 * @param {View} view
 * @param {Status} status
 * @param {import('./courses.js').Courses} courses */
function followServer(view, status, courses) {
  watchState((state) => {
    status.setState(state);
    view.setProgress(state);
    if (state.pass?.state === 'done' && view.length > 1) {
      offerMaps();
      courses.openResults();
    }
  }, (isGone) => status.setGone(isGone));
}

/** What tests read back and call.
 * @param {View} view
 * @param {Overlays} overlays
 * @param {import('./courses.js').Courses} courses */
function hooks(view, overlays, courses) {
  return {
    state: () => ({
      t: view.t, voxel: view.voxel, mm: view.grid.toMm(view.voxel), value: view.valueAt(view.voxel),
      image: view.image, window: view.window, colormap: view.colormap, latencies: view.latencies,
      isSettled: view.loader.isSettled, isLabelled: overlays.labels !== null, series: courses.shown,
      overlays: overlays.list.map(({ id, name, t, threshold, max, opacity, colormap, isShown }) =>
        ({ id, name, t, threshold, max, opacity, colormap, isShown })),
      frame: { zoom: view.scene.frame.zoom, centre: [...view.scene.frame.centre] },
      planes: view.scene.tiles.map((tile) => ({ ...tile, ...view.scene.onTile(tile, view.scene.placeOf(view.voxel)) })),
    }),
    /** Time in milliseconds until a volume is on the screen, the graphics card's work included.
     * @param {number} t */
    async timeTo(t) {
      const began = performance.now();
      await view.showTime(t);
      view.scene.finish();
      return performance.now() - began;
    },
    show: (t) => view.showTime(t),
    moveTo: (voxel) => view.moveTo(voxel),
    isLaidOut: () => view.scene.isLaidOut,
    colormap: (name) => [...view.scene.colormap(name)],
  };
}

/**
 * @param {Promise<any>} asked - The server's answer about the run.
 * @param {Promise<import('./nifti.js').Volume>} volume - The first one.
 */
export async function main(asked, volume) {
  const status = new Status();
  const scene = new Scene(at('slices'));
  const [info, first] = await Promise.all([asked, volume, scene.attach()]);
  describe(info);
  describeCleaning(info);
  document.body.classList.toggle('still', (info.shape[3] ?? 1) === 1);
  const ink = new Ink(at('ink'), scene);
  const view = new View(info, scene);
  view.on('failure', (error) => status.fail(error));
  at('slices').addEventListener('webglcontextlost', () => status.setFault(
    'picture', 'The browser has taken the picture away, for want of memory say. Load the page again.'));
  view.on('waiting', (t) => status.say(`Volume ${t} has not been read yet …`));
  view.addEventListener('time', () => status.forget('Volume'));
  scene.onDraw = () => ink.draw(view.voxel);
  await view.open(first);
  performance.mark('first-image');
  at('waiting').remove();
  at('planes').removeAttribute('aria-busy');

  const { Courses } = await import('./courses.js');
  const overlays = new Overlays(view, at('overlays'), at('no-overlays'));
  const courses = new Courses(view);
  const readout = bindReadout(view, overlays);
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  if (calm) at('speed').value = '2';
  const player = new Player(() => view.showTime((view.t + 1) % view.length), () => Number(at('speed').value));
  bindTime(view, player);
  view.addEventListener('failure', () => player.isPlaying && togglePlay(player));
  bindDisplay(view, ink);
  const actions = {
    series: (voxel) => courses.showSeries(voxel),
    correlate: (voxel) => overlays.correlate(voxel, (text) => status.say(text)),
    togglePlay: () => togglePlay(player),
    giveUp: () => {
      overlays.giveUp();
      courses.giveUp();
      status.say('');
    },
    hover: (voxel) => readout.hover(voxel),
    say: (text) => status.say(text),
  };
  bindPointer(view, actions);
  bindKeys(view, actions);
  at('correlate').addEventListener('click', () => actions.correlate(view.voxel));
  at('help-open').addEventListener('click', () => at('help').showModal());
  const page = /** @type {any} */ (window).lazyvoxView;
  Object.assign(page, hooks(view, overlays, courses));

  followServer(view, status, courses);
  await bindAtlas(view, overlays, ink).catch((error) => status.fail(error));
  readout.refresh();
  await overlays.open();
  page.isComplete = true;
}
