/**
 * Colour maps on offer, by NiiVue's names.
 * @module colormaps
 */

/** For images. */
export const IMAGE_COLORMAPS = {
  gray: 'Grey', bone: 'Bone', viridis: 'Viridis', inferno: 'Inferno', plasma: 'Plasma', hot: 'Hot', jet: 'Jet',
};

/** For overlays: one map for values above 0, and one for those below, or none. */
export const OVERLAY_COLORMAPS = {
  warm: { name: 'Warm and cool', positive: 'warm', negative: 'winter' },
  redblue: { name: 'Red and blue', positive: 'red', negative: 'blue' },
  hot: { name: 'Hot, above 0', positive: 'hot', negative: null },
  viridis: { name: 'Viridis, above 0', positive: 'viridis', negative: null },
  green: { name: 'Green, above 0', positive: 'green', negative: null },
};
