// Sizes of the timeline in CSS pixels.
export const GUTTER = 176, VALUES = 104, PAD = 9; // title and scale; values at the current frame; space for the handles beside the frames
export const NARROW = 700, NARROW_GUTTER = 104, NARROW_VALUES = 62; // below this width: no scale, one value
export const NUMBERS = 18, BAND = 16, RULER = NUMBERS + BAND; // frame numbers; the in/out range under them
export const ROW_LEAST = 16, ROW_MOST = 22, FOOT = 14;
export const GRIP = 7, REACH = 4; // width of a handle and how far beyond it the pointer may be
export const LEAST_FRAMES = 8; // that zooming leaves in view
export const TICK_GAP = 64, STEP = 10; // between frame numbers; frames of Page Up and Shift+arrow
