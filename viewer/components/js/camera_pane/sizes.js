// Numbers that several modules of the camera pane need.

export const PIXELATED = 3; // device pixels per camera pixel from which on pixels are drawn as squares and the zoom is a whole number
export const PLAIN_FROM = 1500; // marks from which on they are drawn without smooth edges, to stay quick
export const UNKNOWN = [154, 164, 178]; // colour of a mark without a value
