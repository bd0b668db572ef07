/**
 * The controls of one overlay.
 * @module overlay_card
 */
import { OVERLAY_COLORMAPS } from './colormaps.js';
import { make } from './elements.js';

/**
 * @param {HTMLElement} host
 * @param {import('./overlays.js').Look} overlay - Changed by the controls.
 * @param {() => void} onChange
 * @param {() => void} onRemove
 * @returns {{element: HTMLElement, refresh: () => void}}
 */
export function addOverlayCard(host, overlay, onChange, onRemove) {
  const title = make('span', { class: 'overlay-name' });
  const isShown = make('input', { type: 'checkbox', 'data-testid': 'overlay-shown' });
  const colormap = make('select', { 'data-testid': 'overlay-colormap' },
    ...Object.entries(OVERLAY_COLORMAPS).map(([id, { name }]) => make('option', { value: id }, name)));
  const step = 10 ** Math.floor(Math.log10(overlay.limit / 50));
  const range = (testId, max) => make('input', { type: 'range', min: 0, max, step: 'any', 'data-testid': testId });
  const threshold = range('overlay-threshold', overlay.limit);
  const thresholdNumber = make('input', { type: 'number', min: 0, step, 'aria-label': 'Threshold, as a number' });
  const max = make('input', { type: 'number', min: 0, step, 'data-testid': 'overlay-max' });
  const opacity = range('overlay-opacity', 1);
  const remove = make('button', { type: 'button', class: 'quiet small', title: 'Remove' }, '×');

  const refresh = () => {
    title.textContent = overlay.name;
    element.setAttribute('aria-label', overlay.name);
    remove.setAttribute('aria-label', `Remove ${overlay.name}`);
    isShown.checked = overlay.isShown;
    colormap.value = overlay.colormap;
    threshold.value = String(overlay.threshold);
    thresholdNumber.value = String(Number(overlay.threshold.toPrecision(3)));
    max.value = String(Number(overlay.max.toPrecision(3)));
    opacity.value = String(overlay.opacity);
  };
  const on = (control, change) => control.addEventListener('input', () => {
    change();
    onChange();
  });
  on(isShown, () => { overlay.isShown = isShown.checked; });
  on(colormap, () => { overlay.colormap = colormap.value; });
  on(threshold, () => {
    overlay.threshold = Number(threshold.value);
    thresholdNumber.value = String(Number(overlay.threshold.toPrecision(3)));
  });
  on(thresholdNumber, () => {
    overlay.threshold = Math.max(0, Number(thresholdNumber.value) || 0);
    threshold.value = String(overlay.threshold);
  });
  on(max, () => { overlay.max = Number(max.value) || overlay.max; });
  on(opacity, () => { overlay.opacity = Number(opacity.value); });
  remove.addEventListener('click', onRemove);

  const element = make('div', { class: 'card', role: 'group' },
    make('div', { class: 'card-head' }, make('label', { class: 'check' }, isShown, title), remove),
    make('label', { class: 'row' }, make('span', {}, 'Colours'), colormap),
    make('div', { class: 'row' }, make('label', { class: 'inline' }, make('span', {}, 'Threshold'), threshold),
      thresholdNumber),
    make('label', { class: 'row' }, make('span', {}, 'Last colour'), max),
    make('label', { class: 'row' }, make('span', {}, 'Opacity'), opacity));
  host.append(element);
  refresh();
  return { element, refresh };
}
