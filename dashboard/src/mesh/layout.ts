// Where the nodes stand: this node in the middle, the others on one or two rings, in an order that does not change while
// nodes come and go elsewhere. Pure.

export interface Point {
  x: number;
  y: number;
}

/** The picture, in pixels; `em` is the height of its letters, which grows with the screen. */
export interface Size {
  width: number;
  height: number;
  em: number;
}

/** Nodes of the inner ring; more go outside. */
const INNER = 12;
/** More than this many would be a cloud, not a picture; the rest is counted in words. */
export const MOST_SHOWN = 40;

/** Radius of a node when `count` others are shown, in pixels. */
export function radius(count: number, size: Size): number {
  const roomy = Math.min(size.width, size.height) / 16;
  const crowded = count > INNER ? 0.5 : count > 6 ? 0.75 : 1;
  return Math.max(0.6 * size.em, Math.min(1.75 * size.em, roomy) * crowded);
}

/** The place of each of `count` others; this node stands at [`middle`]. */
export function places(count: number, size: Size): Point[] {
  const inner = count > INNER ? Math.ceil(count / 3) : count;
  return Array.from({ length: count }, (_, i) =>
    i < inner ? onRing(i, inner, count > INNER ? 0.56 : 1, size) : onRing(i - inner, count - inner, 1.04, size),
  );
}

export function middle(size: Size): Point {
  return { x: size.width / 2, y: size.height / 2 };
}

function onRing(i: number, of: number, share: number, size: Size): Point {
  const first = of === 1 ? 0 : of % 2 === 1 ? -90 : -90 + 180 / of;
  const angle = ((first + (360 * i) / of) * Math.PI) / 180;
  const at = middle(size);
  const margin = { x: Math.min(5 * size.em, size.width * 0.19), y: 4.6 * size.em };
  return {
    x: at.x + Math.cos(angle) * (at.x - margin.x) * share,
    y: at.y + Math.sin(angle) * (at.y - margin.y) * share,
  };
}

/** Labels stand past the middle: near this node the lines are close together. */
const LABEL_AT = 0.63;

/** How far a line stays away from a node's middle, in the direction `(ux, uy)`: outside its rim, and below its name. */
export type Clearance = (ux: number, uy: number) => number;

export const rim = (r: number): Clearance => () => r + 7;

/** For this node, whose name stands below it, among the lines. */
export function rimAndName(r: number, { em, width }: Size): Clearance {
  const [half, depth] = [2.5 * em, r + em * (width < 30 * em ? 1.7 : 2.7)];
  return (ux, uy) => (uy <= 0 ? r + 7 : Math.max(r + 7, Math.min(half / Math.max(0.01, Math.abs(ux)), depth / uy)));
}

/** A gently bent line between two nodes, and the point on it where a label may stand. */
export function bend(from: Point, to: Point, leave: Clearance, arrive: Clearance): { path: string; label: Point } {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const length = Math.hypot(dx, dy) || 1;
  const [ux, uy] = [dx / length, dy / length];
  const [out, into] = [Math.min(leave(ux, uy), length / 2 - 1), Math.min(arrive(-ux, -uy), length / 2 - 1)];
  const start = { x: from.x + ux * out, y: from.y + uy * out };
  const end = { x: to.x - ux * into, y: to.y - uy * into };
  const bow = Math.min(18, length * 0.07);
  const top = { x: (start.x + end.x) / 2 - uy * bow, y: (start.y + end.y) / 2 + ux * bow };
  const n = (value: number): string => value.toFixed(1);
  return {
    path: `M${n(start.x)} ${n(start.y)}Q${n(top.x)} ${n(top.y)} ${n(end.x)} ${n(end.y)}`,
    label: along(start, top, end, LABEL_AT),
  };
}

/** A point of a quadratic curve. */
function along(start: Point, top: Point, end: Point, t: number): Point {
  const [a, b, c] = [(1 - t) ** 2, 2 * t * (1 - t), t ** 2];
  return { x: a * start.x + b * top.x + c * end.x, y: a * start.y + b * top.y + c * end.y };
}
