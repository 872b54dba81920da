/** What is drawn over uPlot's lines: names at their ends, marks for runs that stopped, single points. */
import type UPlot from "uplot";
import type { ChartPlan, Line, Mark } from "../curves.ts";
import { strokeOf } from "../palette.ts";
import type { Theme } from "./theme.ts";

/** Height of a label's line, and the widest label, in CSS pixels. */
const labelHeight = 15;
const labelWidth = 132;

/** Labels stand beside the lines while these are few, and while the chart is wide enough. */
export function labelled(plan: ChartPlan, width: number): readonly Line[] {
  return width < 430 || plan.lines.length > 12 ? [] : plan.lines;
}

/** Room to the right of the plot, in CSS pixels; in place, for the name of the line that ends last. */
export function labelRoom(plan: ChartPlan, width: number, font: string): number {
  const lines = labelled(plan, width);
  const context = document.createElement("canvas").getContext("2d");
  if (lines.length === 0 || context === null) {
    return 14;
  }
  context.font = font;
  const widest = Math.max(...lines.map(({ label }) => context.measureText(label).width));
  return Math.min(widest, labelWidth) + 18;
}

export function drawOverlay(u: UPlot, plan: ChartPlan, theme: Theme, ratio: number): void {
  const { ctx } = u;
  ctx.save();
  ctx.lineWidth = 2 * ratio;
  for (const line of plan.lines) {
    drawEnding(u, plan, line, theme, ratio);
  }
  for (const mark of plan.marks) {
    drawMark(u, plan, mark, theme, ratio);
  }
  ctx.font = theme.font.replace("12px", `${12 * ratio}px`);
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  if (plan.labels === "margin") {
    labelMargin(u, plan, theme, ratio);
  } else {
    labelInPlace(u, plan, theme, ratio);
  }
  ctx.restore();
}

interface Spot {
  readonly x: number;
  readonly y: number;
}

/** The last point of a line inside the visible part, in canvas pixels. */
function lastSpot(u: UPlot, { xs }: ChartPlan, values: Line["values"]): Spot | null {
  const { min, max } = u.scales["x"] ?? {};
  for (let i = xs.length - 1; i >= 0; i--) {
    const [x, y] = [xs[i], values[i] ?? null];
    if (x !== undefined && y !== null && x <= (max ?? x)) {
      return x < (min ?? x) ? null : { x: u.valToPos(x, "x", true), y: u.valToPos(y, "y", true) };
    }
  }
  return null;
}

/** Running: a dot. Diverged or failed: a cross, at the edge where the value is outside. Interrupted: a bar across. */
function drawEnding(u: UPlot, plan: ChartPlan, line: Line, theme: Theme, ratio: number): void {
  const last = line.ending === null ? null : lastSpot(u, plan, line.values);
  if (last === null) {
    return;
  }
  const { top, height } = u.bbox;
  const spot = {
    x: last.x,
    y: Math.min(Math.max(last.y, top + 6 * ratio), top + height - 6 * ratio),
  };
  const colour = theme.colours[strokeOf(line.method).colour] ?? theme.ink;
  u.ctx.strokeStyle = colour;
  u.ctx.fillStyle = colour;
  u.ctx.setLineDash([]);
  u.ctx.beginPath();
  if (line.ending === "running") {
    u.ctx.arc(spot.x, spot.y, 3.5 * ratio, 0, 2 * Math.PI);
    u.ctx.fill();
  } else if (line.ending === "interrupted") {
    u.ctx.moveTo(spot.x, spot.y - 6 * ratio);
    u.ctx.lineTo(spot.x, spot.y + 6 * ratio);
    u.ctx.stroke();
  } else {
    cross(u.ctx, spot, 4.5 * ratio);
  }
}

function drawMark(u: UPlot, plan: ChartPlan, mark: Mark, theme: Theme, ratio: number): void {
  const { ctx, bbox } = u;
  const worst =
    plan.better === "higher" ? bbox.top + bbox.height - 9 * ratio : bbox.top + 9 * ratio;
  const spot = {
    x: u.valToPos(mark.x, "x", true),
    y: mark.y === null ? worst : u.valToPos(mark.y, "y", true),
  };
  if (!inside(u, spot)) {
    return;
  }
  ctx.strokeStyle = theme.colours[strokeOf(mark.method).colour] ?? theme.ink;
  ctx.setLineDash([]);
  ctx.beginPath();
  if (mark.kind === "chosen") {
    ctx.arc(spot.x, spot.y, 7.5 * ratio, 0, 2 * Math.PI);
    ctx.stroke();
  } else {
    cross(ctx, spot, 4.5 * ratio);
  }
}

function cross(ctx: CanvasRenderingContext2D, { x, y }: Spot, size: number): void {
  ctx.moveTo(x - size, y - size);
  ctx.lineTo(x + size, y + size);
  ctx.moveTo(x - size, y + size);
  ctx.lineTo(x + size, y - size);
  ctx.stroke();
}

function inside({ bbox }: UPlot, { x, y }: Spot): boolean {
  return (
    x >= bbox.left && x <= bbox.left + bbox.width && y >= bbox.top && y <= bbox.top + bbox.height
  );
}

/** Names at the height of their lines' ends, pushed apart where they would overlap. */
function labelMargin(u: UPlot, plan: ChartPlan, theme: Theme, ratio: number): void {
  const { ctx, bbox } = u;
  const [top, bottom] = [bbox.top, bbox.top + bbox.height];
  const placed = labelled(plan, u.width)
    .flatMap((line) => {
      const spot = lastSpot(u, plan, line.values);
      return spot === null ? [] : [{ line, spot, y: Math.min(Math.max(spot.y, top), bottom) }];
    })
    .toSorted((a, b) => a.y - b.y);
  const heights = pushApart(
    placed.map(({ y }) => y),
    labelHeight * ratio,
    [top, bottom],
  );
  const left = bbox.left + bbox.width;
  for (const [i, { line, spot }] of placed.entries()) {
    const y = heights[i] ?? spot.y;
    const colour = theme.colours[strokeOf(line.method).colour] ?? theme.ink;
    ctx.strokeStyle = colour;
    ctx.globalAlpha = 0.55;
    ctx.lineWidth = ratio;
    ctx.setLineDash([2 * ratio, 2 * ratio]);
    ctx.beginPath();
    ctx.moveTo(Math.min(spot.x + 4 * ratio, left), Math.min(Math.max(spot.y, top), bottom));
    ctx.lineTo(left + 4 * ratio, y);
    ctx.stroke();
    ctx.globalAlpha = 1;
    ctx.fillStyle = colour;
    ctx.fillText(fitted(ctx, line.label, labelWidth * ratio), left + 7 * ratio, y);
  }
}

/** Names right of their lines' ends, each moved down until it is clear of those before. */
function labelInPlace(u: UPlot, plan: ChartPlan, theme: Theme, ratio: number): void {
  const { ctx } = u;
  const taken: { readonly left: number; readonly right: number; readonly y: number }[] = [];
  for (const line of labelled(plan, u.width)) {
    const spot = lastSpot(u, plan, line.values);
    if (spot === null) {
      continue;
    }
    const text = fitted(ctx, line.label, labelWidth * ratio);
    const left = spot.x + 11 * ratio;
    const right = left + ctx.measureText(text).width;
    const height = labelHeight * ratio;
    let y = spot.y;
    while (taken.some((t) => left < t.right && t.left < right && Math.abs(t.y - y) < height)) {
      y += height / 4;
    }
    taken.push({ left, right, y });
    ctx.strokeStyle = theme.card;
    ctx.lineWidth = 4 * ratio;
    ctx.lineJoin = "round";
    ctx.strokeText(text, left, y);
    ctx.fillStyle = theme.colours[strokeOf(line.method).colour] ?? theme.ink;
    ctx.fillText(text, left, y);
  }
}

/** Ascending heights, at least `gap` apart and inside the bounds where there is room. */
export function pushApart(
  heights: readonly number[],
  gap: number,
  [top, bottom]: readonly [number, number],
): number[] {
  const moved = [...heights];
  for (let i = 1; i < moved.length; i++) {
    moved[i] = Math.max(moved[i] ?? 0, (moved[i - 1] ?? 0) + gap);
  }
  let limit = bottom;
  for (let i = moved.length - 1; i >= 0; i--) {
    moved[i] = Math.max(Math.min(moved[i] ?? 0, limit), top);
    limit = (moved[i] ?? 0) - gap;
  }
  return moved;
}

function fitted(ctx: CanvasRenderingContext2D, text: string, width: number): string {
  let shown = text;
  while (shown.length > 1 && ctx.measureText(shown).width > width) {
    shown = `${shown.slice(0, -2)}…`;
  }
  return shown;
}
